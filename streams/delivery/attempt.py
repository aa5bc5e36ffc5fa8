"""One attempt: what was heard of it, and what that amounts to.

Facts are joined by `streams.delivery.facts`; `commanded_at`, `asks`, `fetches`, `price_asks`, `ended`,
`superseded_at` and what was told are steps (`streams.delivery.steps`). What follows from these fields alone
is worked out once for each state of an attempt, however often it is asked for: every callback asks several
times.
"""

from functools import cached_property

import msgspec

from schemas.vocabulary import Channel, CommandResult, ContentKind, ErrorClass, Verdict
from streams.error_codes import classify
from streams.fold import GOOD_ENDS, Folded, StatusMark, fold

ABSENT = "absent"


class BadEnd(msgspec.Struct, frozen=True, array_like=True):
    """How an attempt ended badly, and when (ms)."""

    at: int
    result: str
    error_code: int | None = None
    error_class: ErrorClass = ErrorClass.TERMINAL
    detail: str | None = None


class Ruling(msgspec.Struct, frozen=True, array_like=True):
    """What admission said to the last check of an attempt. Times in ms."""

    verdict: Verdict
    reason: str | None
    at: int
    until: int | None = None
    not_after: int | None = None
    content: ContentKind = ContentKind.TEXT

    @property
    def refusal(self) -> BadEnd | None:
        """The end that the verdict is, if it is one; whatever else is known of the attempt."""
        match self.verdict:
            case Verdict.SUPPRESS:
                return BadEnd(self.at, "suppressed", None, ErrorClass.OPT_OUT, self.reason)
            case Verdict.NEXT_CHANNEL:
                return BadEnd(self.at, "not_admitted", None, ErrorClass.CHANNEL, self.reason)
            case Verdict.ADMIT | Verdict.DEFER:
                return None


class SinkAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The last thing the sink said of a command that has no message: absent, held, rejected and the like.

    `error_class` is the sink's word: the code may be of a provider whose codes only its adapter knows.
    """

    result: CommandResult
    at: int
    error_code: int | None = None
    detail: str | None = None
    error_class: ErrorClass | None = None

    @property
    def bad_end(self) -> BadEnd | None:
        """The end that the answer is, if it is one."""
        match self.result:
            case CommandResult.ABSENT:
                return BadEnd(self.at, ABSENT, None, ErrorClass.TRANSIENT, self.detail)
            case CommandResult.REJECTED:
                error_class = self.error_class or classify(self.error_code)
                return BadEnd(self.at, "rejected", self.error_code, error_class, self.detail)
            case CommandResult.SUPPRESSED:
                return BadEnd(self.at, "suppressed", None, ErrorClass.OPT_OUT, "opted-out")
            case CommandResult.EXPIRED | CommandResult.CANCELED as result:
                return BadEnd(self.at, result.value, None, ErrorClass.TERMINAL, self.detail)
        return None


class AttemptState(msgspec.Struct, frozen=True, array_like=True, dict=True):
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
    price_asks: int = 0
    is_priced: bool = False

    @cached_property
    def folded(self) -> Folded:
        return fold(self.marks)

    @cached_property
    def bad_end(self) -> BadEnd | None:
        """What is known now: a message that exists is judged by its statuses, else admission's and the sink's
        word counts."""
        if self.sid is not None or self.marks:
            folded = self.folded
            if not folded.bad:
                return None
            error_class = classify(folded.error_code)
            return BadEnd(folded.at or 0, str(folded.status), folded.error_code, error_class)
        refused = self.ruling.refusal if self.ruling is not None else None
        if refused is not None:
            return refused
        return self.answer.bad_end if self.answer is not None else None

    @cached_property
    def has_good_mark(self) -> bool:
        return any(mark.status in GOOD_ENDS for mark in self.marks)

    @property
    def last_news_at(self) -> int:
        return max((mark.at for mark in self.marks), default=self.accepted_at or self.asked_at)
