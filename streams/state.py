"""The row of one recipient: what admission has to remember of a person.

Every part is a set with a rule for what leaves it, so that the same events give the same row in any order;
the modules of `streams.recipients` have the rules. Its Avro file lies in `schemas/` because the changelog
carries it; nobody else should read it. Times are milliseconds since the epoch, and come from the events.
"""

from schemas.records import AdmissionVerdict, ConsentChange, Record
from schemas.vocabulary import Category


class LifeSign(Record, frozen=True, kw_only=True):
    """When the person was last heard of in a place: what failed there before that is forgotten."""

    place: str
    at: int


class Failure(Record, frozen=True, kw_only=True):
    """An answer of the provider that says the person cannot be reached in a place."""

    place: str
    evidence_id: str
    error_code: int
    at: int


class Heard(Record, frozen=True, kw_only=True):
    """The person's last WhatsApp message to a sender: opens the window for free texts."""

    tenant: str
    sender: str
    at: int


class Admitted(Record, frozen=True, kw_only=True):
    """A notification that was admitted: counts against the caps of its tenant and category."""

    tenant: str
    category: Category
    notification_id: str
    at: int


class RecipientRow(Record, frozen=True, kw_only=True):
    consents: tuple[ConsentChange, ...] = ()
    life: tuple[LifeSign, ...] = ()
    failures: tuple[Failure, ...] = ()
    heard: tuple[Heard, ...] = ()
    admitted: tuple[Admitted, ...] = ()
    verdicts: tuple[AdmissionVerdict, ...] = ()
    seen_at: int = 0
