"""The rows the processors keep: one per notification, one per recipient.

Their Avro files lie in `schemas/` because the changelog topics carry them; nobody else should read them.
"""

from schemas.records import ConsentChange, NotificationRequest, Record
from schemas.vocabulary import Channel, ErrorClass, NotificationState
from streams.fold import StatusMark


class AttemptState(Record, frozen=True, kw_only=True):
    attempt: int
    channel: Channel
    sender: str
    segments: int
    phase: str
    commanded_at: int
    accepted_at: int | None = None
    ended_at: int | None = None
    sid: str | None = None
    marks: tuple[StatusMark, ...] = ()
    result: str | None = None
    error_code: int | None = None
    error_class: ErrorClass | None = None
    fetches: int = 0
    settled: bool = False


class NotificationRow(Record, frozen=True, kw_only=True):
    request: NotificationRequest | None = None
    state: NotificationState = NotificationState.REQUESTED
    reason: str | None = None
    detail: str | None = None
    version: int = 0
    channel_index: int = 0
    tries: int = 0
    attempts: tuple[AttemptState, ...] = ()
    due_at: int | None = None
    wake: str = ""
    repeats: tuple[str, ...] = ()
    duplicates: int = 0
    updated_at: int = 0


class RecipientRow(Record, frozen=True, kw_only=True):
    consents: tuple[ConsentChange, ...] = ()
