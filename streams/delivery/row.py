"""The row of one notification: the facts that were heard, and the steps that were taken on them.

Facts are joined (`streams.delivery.facts`) and are the same in whatever order they came; steps
(`streams.delivery.steps`) are what was written because of them, and are never taken back.
"""

import msgspec

from schemas.records import (
    AdmissionVerdict,
    AttemptEvent,
    NotificationRequest,
    ProviderStatus,
    Step,
)
from schemas.vocabulary import NotificationState
from streams.delivery.attempt import AttemptState


class Closed(msgspec.Struct, frozen=True, array_like=True):
    """The notification was given up, or was not to be sent. Only a person who was reached overrides it."""

    state: NotificationState
    at: int
    reason: str | None = None
    detail: str | None = None


class Early(msgspec.Struct, frozen=True, array_like=True):
    """Facts of attempts that are not there yet, each as it came."""

    verdicts: tuple[AdmissionVerdict, ...] = ()
    answers: tuple[AttemptEvent, ...] = ()
    statuses: tuple[ProviderStatus, ...] = ()

    def __len__(self) -> int:
        return len(self.verdicts) + len(self.answers) + len(self.statuses)


class NotificationRow(msgspec.Struct, frozen=True, array_like=True):
    """`arrived_at` is the broker's time of the request's record, `clock` the latest deadline that has come,
    `heard_at` the latest time of any fact (ms)."""

    request: NotificationRequest | None = None
    arrived_at: int = 0
    attempts: tuple[AttemptState, ...] = ()
    closed: Closed | None = None
    retry_at: int | None = None
    clock: int = 0
    heard_at: int = 0
    due_at: int | None = None
    early: Early = Early()
    repeats: tuple[tuple[int, int], ...] = ()
    duplicates: int = 0
    version: int = 0

    @property
    def last(self) -> AttemptState | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def is_reached(self) -> bool:
        """The person was reported as reached, by whichever attempt; a later report to the contrary is shown,
        but does not make it right to write to them again."""
        return any(attempt.has_good_mark for attempt in self.attempts)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.request.steps if self.request is not None else ()

    def attempt(self, number: int) -> AttemptState | None:
        return self.attempts[number - 1] if 0 < number <= len(self.attempts) else None

    def with_attempt(self, attempt: AttemptState) -> "NotificationRow":
        attempts = list(self.attempts)
        attempts[attempt.attempt - 1] = attempt
        return msgspec.structs.replace(self, attempts=tuple(attempts))
