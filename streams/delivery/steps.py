"""What follows from the facts of a notification, step after step, until nothing is left to do now.

Guarantees: at most one attempt is under way at a time; an attempt's end is judged once, and not before
`settle_ms` have gone by, so that news which cross each other on the way are judged together; who was reached
is sent nothing more; nothing depends on the order in which facts came between two deadlines, and all times
are those of facts and deadlines, never of their arrival.

A person who turns out to be reached while another attempt is under way is the one thing whose order counts:
what had not been commanded is not, and what had been is canceled.
"""

from msgspec.structs import replace

from schemas.records import NotificationRequest
from schemas.vocabulary import CommandResult, ErrorClass, NotificationState, Verdict
from streams.delivery import writing
from streams.delivery.attempt import AttemptState, BadEnd
from streams.delivery.deadlines import asked_again_at, deadline_of, last_fetch_at, next_fetch_at
from streams.delivery.facts import join_early
from streams.delivery.judging import (
    may_move_on,
    may_retry,
    reason_after,
    retry_wait,
    state_after,
)
from streams.delivery.policy import DeliveryPolicy
from streams.delivery.pricing import ask_for_prices
from streams.delivery.row import Closed, NotificationRow
from streams.delivery.telling import tell
from streams.effects import Emit
from streams.error_codes import OUTSIDE_WINDOW

HELD = "held"


class Steps:
    """The steps of one decision: the row as it becomes, and what is written."""

    def __init__(self, row: NotificationRow, policy: DeliveryPolicy) -> None:
        self.row = row
        self.policy = policy
        self.effects: list[Emit] = []

    def take(self) -> None:
        """All that are due."""
        if self.row.request is None:
            return
        while self._one(self.row.request):
            pass
        if self.row.closed is not None or self.row.is_reached:
            self.row, asked = ask_for_prices(self.row, self.row.request, self.policy)
            self.effects += asked
        self.row = tell(self.row, self.effects)

    def _one(self, request: NotificationRequest) -> bool:
        """One step; False when there is none."""
        row = self.row
        last = row.last
        if row.is_reached:
            return False
        if row.closed is not None:
            return self._reopen(row.closed, last)
        if last is None:
            return self._start(request)
        if row.retry_at is not None:
            if last.bad_end != last.ended:
                return self._take_back(last)
            return row.clock >= row.retry_at and self._begin(
                request, last.step, row.retry_at, template_only=last.template_only
            )
        if last.commanded_at is None:
            return self._admission(request, last)
        end = last.bad_end
        if end is not None:
            return row.clock >= end.at + self.policy.settle_ms and self._judge(request, last, end)
        return self._under_way(request, last)

    def _start(self, request: NotificationRequest) -> bool:
        if request.refusal is not None:
            return self._close(
                NotificationState.INVALID, self.row.arrived_at, request.refusal, request.refusal_detail
            )
        if not request.steps:
            return self._close(
                NotificationState.INVALID, self.row.arrived_at, "no-steps", "the request has no step to take"
            )
        send_at = request.send_at
        if send_at is None or send_at <= self.row.arrived_at:
            return self._begin(request, 0, self.row.arrived_at)
        return self.row.clock >= send_at and self._begin(request, 0, send_at)

    def _begin(
        self, request: NotificationRequest, step: int, at: int, *, template_only: bool = False
    ) -> bool:
        """A new attempt: ask for its admission."""
        if request.expires_at is not None and request.expires_at <= at:
            return self._close(
                NotificationState.EXPIRED, at, "expired", "expires_at passed before it could be sent"
            )
        wanted = request.steps[step]
        attempt = AttemptState(
            attempt=len(self.row.attempts) + 1,
            step=step,
            channel=wanted.channel,
            sender=wanted.sender or self.policy.default_sender,
            segments=wanted.segments,
            asked_at=at,
            template_only=template_only,
        )
        self.row = replace(self.row, attempts=(*self.row.attempts, attempt), retry_at=None)
        self.effects.append(writing.check(request, attempt))
        self.row = join_early(self.row)
        return True

    def _admission(self, request: NotificationRequest, attempt: AttemptState) -> bool:
        ruling = attempt.ruling
        if ruling is None:
            if request.expires_at is not None and self.row.clock >= request.expires_at:
                detail = "expires_at passed before it was admitted"
                return self._close(NotificationState.EXPIRED, request.expires_at, "expired", detail)
            if self.row.clock < asked_again_at(attempt, self.policy):
                return False
            self._set(replace(attempt, asks=attempt.asks + 1))
            self.effects.append(writing.check(request, attempt))
            return True
        match ruling.verdict:
            case Verdict.ADMIT:
                return self._command(request, attempt)
            case Verdict.DEFER:
                return self._ask_later(request, attempt, ruling.until or ruling.at)
            case Verdict.SUPPRESS | Verdict.NEXT_CHANNEL:
                # Not `bad_end`: callbacks of the attempt, had they come first, would say that it goes on.
                end = ruling.refusal
                assert end is not None
                return self._judge(request, attempt, end)

    def _ask_later(self, request: NotificationRequest, attempt: AttemptState, until: int) -> bool:
        if request.expires_at is not None and request.expires_at <= until:
            detail = "it may be sent only after it has expired"
            return self._close(NotificationState.EXPIRED, _at(attempt), _reason(attempt), detail)
        if self.row.clock < until:
            return False
        again = replace(attempt, asked_at=until, check=attempt.check + 1, asks=1, ruling=None)
        self._set(again)
        self.effects.append(writing.check(request, again))
        self.row = join_early(self.row)
        return True

    def _command(self, request: NotificationRequest, attempt: AttemptState) -> bool:
        ruling = attempt.ruling
        assert ruling is not None
        if request.expires_at is not None and request.expires_at <= ruling.at:
            return self._close(
                NotificationState.EXPIRED, ruling.at, "expired", "expires_at passed before it could be sent"
            )
        limits = (ruling.at + self.policy.command_ttl_ms, request.expires_at, ruling.not_after)
        not_after = min(limit for limit in limits if limit is not None)
        commanded = replace(attempt, commanded_at=ruling.at, not_after=not_after)
        self._set(commanded)
        self.effects.append(writing.send(request, commanded))
        return True

    def _judge(self, request: NotificationRequest, attempt: AttemptState, end: BadEnd) -> bool:
        """Once: again, another channel, or the end."""
        self._set(replace(attempt, ended=end))
        tries = sum(each.step == attempt.step for each in self.row.attempts)
        if may_retry(end, tries, self.policy):
            wait = max(retry_wait(request, attempt.attempt, tries, self.policy), self.policy.settle_ms)
            self.row = replace(self.row, retry_at=end.at + wait)
            return True
        at = end.at if attempt.commanded_at is None else end.at + self.policy.settle_ms
        has_template = request.steps[attempt.step].content_sid is not None
        if end.error_code == OUTSIDE_WINDOW and has_template and not writing.as_template(request, attempt):
            return self._begin(request, attempt.step, at, template_only=True)
        following = self._following(request, attempt, end)
        if following is not None:
            return self._begin(request, following, at)
        detail = end.detail if end.result in ("rejected", "absent", "expired", "canceled") else None
        return self._close(state_after(end), at, reason_after(end), detail)

    def _take_back(self, attempt: AttemptState) -> bool:
        """A retry that rests on what has turned out otherwise: a message that exists is not sent again."""
        self._set(replace(attempt, ended=None))
        self.row = replace(self.row, retry_at=None)
        return True

    def _following(self, request: NotificationRequest, attempt: AttemptState, end: BadEnd) -> int | None:
        """The step to go on with. Who has opted out of a channel is not written to on one that shares it."""
        step = attempt.step + 1
        if end.error_class is ErrorClass.OPT_OUT:
            while step < len(request.steps) and (
                request.steps[step].channel.consent_group is attempt.channel.consent_group
            ):
                step += 1
        elif not may_move_on(end):
            return None
        return step if step < len(request.steps) else None

    def _under_way(self, request: NotificationRequest, attempt: AttemptState) -> bool:
        clock = self.row.clock
        has_next = attempt.step + 1 < len(request.steps)
        wait_ms = request.steps[attempt.step].wait_ms if has_next else None
        if wait_ms is not None:
            late_at = (attempt.accepted_at or attempt.commanded_at or 0) + wait_ms
            if clock >= late_at:
                self._set(replace(attempt, superseded_at=late_at))
                return self._begin(request, attempt.step + 1, late_at)
        held = attempt.answer is not None and attempt.answer.result is CommandResult.HELD
        if held and attempt.sid is None and wait_ms is None:
            assert attempt.answer is not None
            detail = "nobody knows whether the provider took it, so it is not sent again"
            return self._close(NotificationState.UNCONFIRMED, attempt.answer.at, HELD, detail)
        if attempt.accepted_at is None:
            last_at = (attempt.not_after or 0) + self.policy.unconfirmed_after_ms
            return clock >= last_at and self._close(
                NotificationState.UNCONFIRMED, last_at, "no-answer", "nothing was heard of the command"
            )
        last_at = attempt.accepted_at + self.policy.unconfirmed_after_ms
        if clock >= last_at:
            detail = "the carrier never reported what became of it"
            return self._close(NotificationState.UNCONFIRMED, last_at, "no-report", detail)
        due_at = next_fetch_at(attempt, self.policy)
        if clock < due_at:
            return False
        asked = replace(attempt, fetches=attempt.fetches + 1)
        self._set(asked)
        is_quiet = attempt.last_news_at + self.policy.quiet_after_ms <= due_at
        is_last = due_at == last_fetch_at(attempt, self.policy)
        if is_quiet or is_last:
            # After a standstill all questions are late; the answer to the last still shows through the end.
            not_after = last_at + self.policy.remember_ms if is_last else last_at
            self.effects.append(writing.fetch(request, asked, due_at, not_after))
        return True

    def _reopen(self, closed: Closed, last: AttemptState | None) -> bool:
        """More is known now of a command that was held."""
        held = last is not None and last.answer is not None and last.answer.result is CommandResult.HELD
        if closed.reason != HELD or last is None or (held and last.accepted_at is None):
            return False
        self.row = replace(self.row, closed=None)
        return True

    def _close(self, state: NotificationState, at: int, reason: str | None, detail: str | None) -> bool:
        self.row = replace(self.row, closed=Closed(state, at, reason, detail), retry_at=None)
        return True

    def _set(self, attempt: AttemptState) -> None:
        self.row = self.row.with_attempt(attempt)


def _at(attempt: AttemptState) -> int:
    return attempt.ruling.at if attempt.ruling is not None else attempt.asked_at


def _reason(attempt: AttemptState) -> str:
    return (attempt.ruling.reason if attempt.ruling is not None else None) or "deferred"


def settled(row: NotificationRow, policy: DeliveryPolicy) -> tuple[NotificationRow, list[Emit]]:
    """The row after all steps that are due, with its next deadline; and what they wrote."""
    if row.request is not None:
        policy = policy.of(row.request.tenant)
    steps = Steps(row, policy)
    steps.take()
    due_at = deadline_of(steps.row, policy)
    if due_at != steps.row.due_at:
        steps.row = replace(steps.row, due_at=due_at)
    return steps.row, steps.effects
