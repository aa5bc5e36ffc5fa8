"""The row of one recipient.

Their Avro files lie in `schemas/` because the changelog topics carry them; nobody else should read them.
"""

from schemas.records import ConsentChange, Record


class RecipientRow(Record, frozen=True, kw_only=True):
    consents: tuple[ConsentChange, ...] = ()
