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
from schemas.vocabulary import Channel, CommandResult, ContentKind, ErrorClass, NotificationState, Verdict
from streams.fold import GOOD_ENDS, Folded, StatusMark, fold


class Ruling(msgspec.Struct, frozen=True, array_like=True):
    """What admission said to the last check of an attempt. Times in ms."""

    verdict: Verdict
    reason: str | None
    at: int
    until: int | None = None
    not_after: int | None = None
    content: ContentKind = ContentKind.TEXT


class SinkAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The last thing the sink said of a command that has no message: absent, held, rejected and the like."""

    result: CommandResult
    at: int
    error_code: int | None = None
    detail: str | None = None


class BadEnd(msgspec.Struct, frozen=True, array_like=True):
    """How an attempt ended badly, and when (ms)."""

    at: int
    result: str
    error_code: int | None = None
    error_class: ErrorClass = ErrorClass.TERMINAL
    detail: str | None = None


class AttemptState(msgspec.Struct, frozen=True, array_like=True):
    """`attempt` counts from 1, `step` from 0. All times in ms; None: not so far.

    `marks` are the first sights of its statuses, `codes` all error codes with the first time of each;
    `accepted_at` is when the provider is first known to have it, `reported_at` when its first callback came,
    `told` and `told_codes` which of `streams.delivery.telling`'s news were written.
    """

    attempt: int
    step: int
    channel: Channel
    sender: str
    segments: int
    asked_at: int
    template_only: bool = False
    check: int = 1
    asks: int = 1
    ruling: Ruling | None = None
    commanded_at: int | None = None
    not_after: int | None = None
    sid: str | None = None
    accepted_at: int | None = None
    reported_at: int | None = None
    doubted_at: int | None = None
    answer: SinkAnswer | None = None
    marks: tuple[StatusMark, ...] = ()
    codes: tuple[tuple[int, int], ...] = ()
    fetches: int = 0
    ended: BadEnd | None = None
    superseded_at: int | None = None
    told: int = 0
    told_codes: tuple[int, ...] = ()

    @property
    def folded(self) -> Folded:
        return fold(self.marks)

    @property
    def has_good_mark(self) -> bool:
        return any(mark.status in GOOD_ENDS for mark in self.marks)

    @property
    def last_news_at(self) -> int:
        return max((mark.at for mark in self.marks), default=self.accepted_at or self.asked_at)


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
