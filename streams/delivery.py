"""The delivery processor's decisions: one row per notification, one truth, one next step.

Pure: `decide(row, event, at, policy)`, where `at` is the event's broker time (ms), so that a replay decides
as the first run did. Guarantees, whatever the order, the copies and the replays of events: at most one
attempt is open; an attempt's end is judged once; a final notification starts nothing; every state that is
not final has a deadline (`due_at`). What is written about one fact always carries the same id.
"""

import hashlib
from typing import NamedTuple

import msgspec

from schemas.identity import command_id, event_id
from schemas.records import (
    AdmissionCheck,
    AdmissionVerdict,
    AttemptEvent,
    ConsentChange,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    OutboundCommand,
    ProviderStatus,
    TimerTick,
)
from schemas.topics import Topic
from schemas.vocabulary import (
    CommandKind,
    CommandResult,
    Consent,
    ErrorClass,
    NotificationState,
    Priority,
    Verdict,
)
from streams.effects import Emit
from streams.error_codes import classify
from streams.fold import KNOWN, StatusMark, add_mark, fold
from streams.outcome import conflict_outcome, outcome_of, same_view
from streams.segments import segments
from streams.state import AttemptState, NotificationRow

Event = NotificationRequest | AdmissionVerdict | AttemptEvent | ProviderStatus | TimerTick

_RETRIED = frozenset({ErrorClass.TRANSIENT, ErrorClass.RATE})
_NEXT_CHANNEL = frozenset({ErrorClass.TERMINAL, ErrorClass.BAD_NUMBER, ErrorClass.CHANNEL}) | _RETRIED
_REACHED = frozenset({NotificationState.DELIVERED, NotificationState.READ})
_NEVER = 2**53
_NOT_ACCEPTED = "not-accepted"
_PATIENCE = 5  # times as many tries when the provider never took one
_LONGEST_BACK_OFF = 6  # doublings


class DeliveryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment decides. All times in milliseconds."""

    default_sender: str
    max_attempts: int = 3
    retry_base_ms: int = 60_000
    command_ttl_ms: int = 4 * 3_600_000
    admission_again_ms: int = 60_000
    quiet_after_ms: int = 900_000
    unconfirmed_after_ms: int = 72 * 3_600_000


class Decision(NamedTuple):
    row: NotificationRow
    effects: tuple[Emit, ...]


def decide(row: NotificationRow | None, event: Event, at: int, policy: DeliveryPolicy) -> Decision:
    """What one event means for its notification: the new row and what has to be written."""
    before = row or NotificationRow()
    if isinstance(event, TimerTick):
        # The deadline has come, also where the broker's clock is behind the one that noticed it.
        at = max(at, event.due_at)
    turn = _Turn(before, at, policy)
    match event:
        case NotificationRequest():
            turn.requested(event)
        case AdmissionVerdict():
            turn.judged(event)
        case AttemptEvent():
            turn.answered(event)
        case ProviderStatus():
            turn.reported(event)
        case TimerTick():
            turn.woken(event)
    return turn.done(before)


class _Turn:
    """One decision in the making: the row as it becomes, and the effects so far."""

    def __init__(self, row: NotificationRow, at: int, policy: DeliveryPolicy) -> None:
        self.row = row
        self.at = at
        self.policy = policy
        self.effects: list[Emit] = []

    def done(self, before: NotificationRow) -> Decision:
        if self.row != before:
            view = outcome_of(self.row)
            changed = not same_view(outcome_of(before), view)
            self.row = msgspec.structs.replace(
                self.row,
                version=self.row.version + changed,
                updated_at=max(self.at, before.updated_at),
            )
            view = outcome_of(self.row)
            if changed and view is not None:
                self._outcome(view)
        return Decision(self.row, tuple(self.effects))

    # -- events ---------------------------------------------------------------------------------------------

    def requested(self, request: NotificationRequest) -> None:
        first = self.row.request
        if first is None:
            self._set(request=request)
            self._begin(request)
        elif request.origin == first.origin:
            return  # the same record once more, after a crash
        elif request.content_hash != first.content_hash:
            self._outcome(conflict_outcome(first, request, self.at))
        else:
            self._repeated(request.origin)

    def judged(self, verdict: AdmissionVerdict) -> None:
        attempt = self._attempt(verdict.attempt)
        if attempt is None or attempt.phase != "checking" or self.row.state.final:
            return
        if verdict.verdict is Verdict.SUPPRESS:
            self._end(attempt, result="suppressed", error_class=ErrorClass.OPT_OUT)
            self._close(NotificationState.SUPPRESSED, verdict.reason, "the recipient has opted out")
            return
        self._command(attempt)

    def answered(self, event: AttemptEvent) -> None:
        attempt = self._attempt(event.attempt)
        if attempt is None:
            return
        if event.result is CommandResult.IN_DOUBT and attempt.sid and not attempt.settled:
            self._settle(attempt, attempt.sid)  # a callback came before the doubt, and may have ended it all
            return
        if attempt.phase == "ended":
            return
        match event.result:
            case CommandResult.ACCEPTED:
                known = attempt
                attempt = self._accept(attempt, event.sid, event.at)
                attempt = self._replace(attempt, settled=True)  # whoever says so needs no evidence any more
                if event.status in KNOWN:
                    attempt = self._mark(attempt, StatusMark(status=event.status, at=event.at))
                if attempt != known:
                    self._progress(attempt)
            case CommandResult.IN_DOUBT if attempt.phase == "commanded":
                self._replace(attempt, phase="in_doubt")
            case CommandResult.HELD if attempt.sid is None:
                self._replace(attempt, phase="held", result="held")
                self._close(
                    NotificationState.UNCONFIRMED,
                    "held",
                    "nobody knows whether the provider took it, so it is not sent again",
                )
            case CommandResult.ABSENT if attempt.sid is None:
                self._end(attempt, result="absent", error_class=ErrorClass.TRANSIENT)
                self._step(ErrorClass.TRANSIENT, NotificationState.FAILED, _NOT_ACCEPTED, event.detail)
            case CommandResult.REJECTED if attempt.sid is None:
                error_class = classify(event.error_code)
                self._end(attempt, result="rejected", error_code=event.error_code, error_class=error_class)
                if error_class is ErrorClass.OPT_OUT:
                    self._opted_out(attempt, event.command_id)
                self._step(error_class, NotificationState.FAILED, error_class, event.detail)
            case CommandResult.SUPPRESSED:
                self._end(attempt, result="suppressed", error_class=ErrorClass.OPT_OUT)
                self._close(NotificationState.SUPPRESSED, "opted-out", "the recipient has opted out")
            case CommandResult.EXPIRED:
                self._end(attempt, result="expired")
                self._close(NotificationState.EXPIRED, "waited-too-long", event.detail)
            case _:
                return  # a doubt or a proof of absence that a callback has already answered

    def reported(self, status: ProviderStatus) -> None:
        if status.attempt is None:
            return  # a message this pipeline did not send: kept in the topic and in ClickHouse
        attempt = self._attempt(status.attempt)
        if attempt is None:
            return  # nothing of ours carries this attempt yet: a foreign or forged number of ours
        if attempt.sid is not None and attempt.sid != status.message_sid:
            return  # another message claims the same attempt: the first one stands
        known = attempt
        doubted = attempt.phase in ("in_doubt", "held")
        # Absence was proved wrong before anything was sent instead: then nothing will be.
        not_absent = attempt.result == "absent" and attempt.attempt == len(self.row.attempts)
        if attempt.phase in ("commanded", "in_doubt", "held", "checking") or not_absent:
            attempt = self._accept(attempt, status.message_sid, status.received_at)
        elif attempt.sid is None:
            attempt = self._replace(attempt, sid=status.message_sid)
        if doubted:
            attempt = self._settle(attempt, status.message_sid)
        if status.status in KNOWN:
            attempt = self._mark(
                attempt,
                StatusMark(status=status.status, at=status.received_at, error_code=status.error_code),
            )
        if attempt != known:  # a copy is no news: it moves no deadline
            self._progress(attempt)

    def woken(self, tick: TimerTick) -> None:
        if tick.due_at != self.row.due_at or self.row.state.final or self.row.request is None:
            return  # the deadline was moved since
        match self.row.wake:
            case "start" | "retry":
                self._start()
            case "admission":
                self._check(self.row.attempts[-1])
            case "quiet":
                self._ask_provider(self.row.attempts[-1])
            case _:
                self._close(NotificationState.UNCONFIRMED, "no-answer", "nothing was heard of the command")

    # -- steps ----------------------------------------------------------------------------------------------

    def _begin(self, request: NotificationRequest) -> None:
        if request.refusal is not None:
            self._close(NotificationState.INVALID, request.refusal, request.refusal_detail)
        elif request.send_at is not None and request.send_at > self.at:
            self._set(state=NotificationState.DEFERRED, reason="send-at")
            self._wake_at(request.send_at, "start")
        else:
            self._start()

    def _start(self) -> None:
        """A new attempt on the channel in use, once admission has agreed."""
        request = self._request()
        if request.expires_at is not None and request.expires_at <= self.at:
            self._close(NotificationState.EXPIRED, "expired", "expires_at passed before it could be sent")
            return
        channel = request.channels[self.row.channel_index]
        attempt = AttemptState(
            attempt=len(self.row.attempts) + 1,
            channel=channel,
            sender=request.sender or self.policy.default_sender,
            segments=segments(request.body or "").number,
            phase="checking",
            commanded_at=self.at,
        )
        self._set(
            state=NotificationState.SENDING,
            reason=None,
            detail=None,
            attempts=(*self.row.attempts, attempt),
            tries=self.row.tries + 1,
        )
        self._check(attempt)

    def _check(self, attempt: AttemptState) -> None:
        request = self._request()
        check = AdmissionCheck(
            notification_id=request.notification_id,
            attempt=attempt.attempt,
            tenant=request.tenant,
            recipient=request.recipient,
            channel=attempt.channel,
            category=request.category,
            sender=attempt.sender,
            asked_at=self.at,
        )
        self.effects.append(Emit(Topic.CHECKS, request.recipient, check))
        self._wake_at(self.at + self.policy.admission_again_ms, "admission")

    def _command(self, attempt: AttemptState) -> None:
        request = self._request()
        not_after = min(self.at + self.policy.command_ttl_ms, request.expires_at or _NEVER)
        self._emit_command(
            attempt,
            request.priority,
            kind=CommandKind.SEND,
            suffix="",
            not_after=not_after,
            content=request,
        )
        self._replace(attempt, phase="commanded", commanded_at=self.at)
        self._wake_at(not_after + self.policy.unconfirmed_after_ms, "result")

    def _settle(self, attempt: AttemptState, sid: str) -> AttemptState:
        """Hand the sink the evidence that the command it is in doubt about was carried out."""
        self._emit_command(
            attempt,
            Priority.URGENT,
            kind=CommandKind.SETTLE,
            suffix=":settle",
            not_after=self.at * 2,
            sid=sid,
        )
        return self._replace(attempt, settled=True)

    def _ask_provider(self, attempt: AttemptState) -> None:
        """The message went quiet: ask, less and less often, until its last deadline."""
        accepted_at = attempt.accepted_at or attempt.commanded_at
        last = accepted_at + self.policy.unconfirmed_after_ms
        if self.at >= last:
            self._close(
                NotificationState.UNCONFIRMED, "no-report", "the carrier never reported what became of it"
            )
            return
        self._emit_command(
            attempt,
            Priority.BULK,
            kind=CommandKind.FETCH,
            suffix=f":fetch:{attempt.fetches + 1}",
            not_after=last,
            sid=attempt.sid,
        )
        attempt = self._replace(attempt, fetches=attempt.fetches + 1)
        self._wake_at(min(last, self.at + self.policy.quiet_after_ms * 2**attempt.fetches), "quiet")

    def _progress(self, attempt: AttemptState) -> None:
        """The notification's state after news of one attempt."""
        if self.row.request is None:
            return
        folded = [fold(each.marks) for each in self.row.attempts]
        bad = fold(attempt.marks)
        judged = bad.bad and attempt.phase != "ended"
        if judged:
            error_class = classify(bad.error_code)
            self._end(attempt, result=attempt.result, error_code=bad.error_code, error_class=error_class)
            if error_class is ErrorClass.OPT_OUT:
                self._opted_out(attempt, attempt.sid or "")
        if any(each.status == "read" for each in folded):
            self._close(NotificationState.READ, None, None)
        elif any(each.good for each in folded):
            self._close(NotificationState.DELIVERED, None, None)
        elif attempt.attempt != len(self.row.attempts):
            return  # news of an attempt that was judged before
        elif judged:
            undelivered = bad.status == "undelivered"
            end = NotificationState.UNDELIVERED if undelivered else NotificationState.FAILED
            self._step(error_class, end, error_class, None)
        elif bad.bad:
            return  # judged before
        elif not self.row.state.final or self.row.state is NotificationState.UNCONFIRMED:
            sent = folded[-1].status == "sent"
            if self.row.state is not NotificationState.UNCONFIRMED or self.row.reason == "held":
                self._set(
                    state=NotificationState.SENT if sent else NotificationState.SENDING,
                    reason=None,
                    detail=None,
                )
                since = attempt.accepted_at or self.at
                last = since + self.policy.unconfirmed_after_ms
                self._wake_at(
                    min(last, max(self.at, since) + self.policy.quiet_after_ms * 2**attempt.fetches), "quiet"
                )

    def _step(self, error_class: ErrorClass, end: NotificationState, reason: str, detail: str | None) -> None:
        """After a bad end: again, another channel, or the end."""
        request = self._request()
        if error_class is ErrorClass.OPT_OUT:
            self._close(
                NotificationState.SUPPRESSED, "opted-out", "the provider says the recipient has opted out"
            )
        elif self.row.state.final:
            self._close(end, reason, detail)  # too late for another try: its deadline has passed
        elif error_class in _RETRIED and self.row.tries < self._tries_allowed(error_class, reason):
            wait = self.policy.retry_base_ms * 2 ** min(self.row.tries - 1, _LONGEST_BACK_OFF)
            self._set(state=NotificationState.SENDING)
            self._wake_at(self.at + wait + self._jitter(request, wait), "retry")
        elif error_class in _NEXT_CHANNEL and self.row.channel_index + 1 < len(request.channels):
            self._set(channel_index=self.row.channel_index + 1, tries=0)
            self._start()
        else:
            self._close(end, reason, detail)

    def _tries_allowed(self, error_class: ErrorClass, reason: str) -> int:
        """A try that the provider never took cost nothing and tells nothing of the recipient."""
        untaken = error_class is ErrorClass.RATE or reason == _NOT_ACCEPTED
        return self.policy.max_attempts * (_PATIENCE if untaken else 1)

    def _opted_out(self, attempt: AttemptState, evidence: str) -> None:
        """Tell the ledger what the provider knows: whatever has become of this notification."""
        request = self._request()
        change = ConsentChange(
            change_id=event_id("provider", command_id(request.notification_id, attempt.attempt)),
            tenant=request.tenant,
            recipient=request.recipient,
            channel_group=attempt.channel.consent_group,
            sender=attempt.sender,
            state=Consent.OPTED_OUT,
            source="provider",
            evidence=evidence,
            at=self.at,
        )
        self.effects.append(Emit(Topic.CONSENT_EVIDENCE, request.recipient, change))

    # -- small parts ----------------------------------------------------------------------------------------

    def _emit_command(
        self,
        attempt: AttemptState,
        lane: Priority,
        *,
        kind: CommandKind,
        suffix: str,
        not_after: int,
        content: NotificationRequest | None = None,
        sid: str | None = None,
    ) -> None:
        request = self._request()
        command = OutboundCommand(
            command_id=command_id(request.notification_id, attempt.attempt) + suffix,
            kind=kind,
            notification_id=request.notification_id,
            attempt=attempt.attempt,
            tenant=request.tenant,
            provider="twilio",
            channel=attempt.channel,
            sender=attempt.sender,
            recipient=request.recipient,
            body=content.body if content else None,
            content_sid=content.content_sid if content else None,
            content_variables=content.content_variables if content else {},
            media_urls=content.media_urls if content else (),
            category=request.category,
            segments=attempt.segments if content else 0,
            created_at=self.at,
            not_after=not_after,
            sid=sid,
        )
        self.effects.append(Emit(Topic.commands(lane), attempt.sender, command))

    def _accept(self, attempt: AttemptState, sid: str | None, at: int) -> AttemptState:
        return self._replace(
            attempt,
            phase="accepted",
            result="accepted",
            sid=attempt.sid or sid,
            accepted_at=min(at, attempt.accepted_at or at),
            ended_at=None,
            error_class=None,
        )

    def _mark(self, attempt: AttemptState, mark: StatusMark) -> AttemptState:
        return self._replace(attempt, marks=add_mark(attempt.marks, mark))

    def _end(
        self,
        attempt: AttemptState,
        *,
        result: str | None,
        error_code: int | None = None,
        error_class: ErrorClass | None = None,
    ) -> None:
        self._replace(
            attempt,
            phase="ended",
            result=result,
            error_code=error_code,
            error_class=error_class,
            ended_at=self.at,
        )

    def _close(self, state: NotificationState, reason: str | None, detail: str | None) -> None:
        if state not in _REACHED and any(fold(each.marks).good for each in self.row.attempts):
            return  # an earlier attempt has reached the person: what became of this one changes nothing
        self._set(state=state, reason=reason, detail=detail, due_at=None, wake="")

    def _repeated(self, origin: Origin) -> None:
        """Count a repeat once, however often it is read.

        Repeats of one partition come in its order, so the last one counted tells which were.
        """
        counted = {int(p): int(o) for p, o in (seen.split(":") for seen in self.row.repeats)}
        if origin.offset > counted.get(origin.partition, -1):
            counted[origin.partition] = origin.offset
            self._set(
                repeats=tuple(f"{partition}:{offset}" for partition, offset in sorted(counted.items())),
                duplicates=self.row.duplicates + 1,
            )

    def _wake_at(self, due_at: int, wake: str) -> None:
        self._set(due_at=due_at, wake=wake)

    def _attempt(self, number: int) -> AttemptState | None:
        return self.row.attempts[number - 1] if 0 < number <= len(self.row.attempts) else None

    def _replace(self, attempt: AttemptState, **changes: object) -> AttemptState:
        changed = msgspec.structs.replace(attempt, **changes)
        attempts = list(self.row.attempts)
        attempts[attempt.attempt - 1] = changed
        self._set(attempts=tuple(attempts))
        return changed

    def _set(self, **changes: object) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)

    def _request(self) -> NotificationRequest:
        if self.row.request is None:
            raise AssertionError("a step was taken for a notification that was never requested")
        return self.row.request

    def _outcome(self, outcome: NotificationOutcome) -> None:
        self.effects.append(Emit(Topic.OUTCOMES, outcome.notification_id, outcome))

    def _jitter(self, request: NotificationRequest, wait: int) -> int:
        """Up to a fifth of the wait, the same for every replay of the same attempt."""
        seed = f"{request.notification_id}:{len(self.row.attempts)}".encode()
        return int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") % max(1, wait // 5)
