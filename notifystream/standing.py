"""Where one notification stands by now, told from the processors' row: for people and as fields.

Pure: the row and the time in, no broker. Guarantees: no whole number of a recipient and no text of a message
is in it. Times are ISO 8601 in the reader's own zone. Leaves the history to `sinks.analytics.timeline`.
"""

from datetime import UTC, datetime

import msgspec

from notifystream.masking import mask_text
from schemas.records import NotificationRequest, Step
from schemas.vocabulary import CommandResult, Verdict
from sinks.analytics.error_meanings import meaning_of
from streams.delivery.attempt import AttemptState
from streams.delivery.row import NotificationRow
from streams.delivery.view import attempt_status, standing


class Error(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an attempt ended badly. `code` is the provider's, when it gave one."""

    what: str
    code: int | None = None
    meaning: str | None = None
    what_to_do: str | None = None
    detail: str | None = None


class Admission(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last verdict on an attempt."""

    verdict: str
    reason: str | None = None
    at: str
    until: str | None = None
    content: str | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: str
    at: str
    error_code: int | None = None


class AttemptTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt; `step` counts from 1."""

    attempt: int
    step: int
    channel: str
    sender: str
    status: str
    asked_at: str
    segments: int
    admission: Admission | None = None
    commanded_at: str | None = None
    not_after: str | None = None
    doubted_at: str | None = None
    accepted_at: str | None = None
    sid: str | None = None
    statuses: tuple[Mark, ...] = ()
    error: Error | None = None
    superseded_at: str | None = None


class StepTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of the chain; what it says is described, not shown."""

    step: int
    channel: str
    says: str
    sender: str | None = None
    wait_ms: int | None = None
    cost: str | None = None


class PassedOverTold(msgspec.Struct, frozen=True, kw_only=True):
    """One step that no sender can deliver; `step` counts in the chain that was asked for."""

    step: int
    channel: str
    reason: str
    detail: str


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    at: str
    then: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    notification_id: str
    tenant: str
    idempotency_key: str
    state: str
    final: bool
    reason: str | None
    in_words: str
    recipient: str
    country: str
    carrier: str
    category: str
    priority: str
    requested_at: str
    send_at: str | None
    expires_at: str | None
    duplicates: int
    steps: tuple[StepTold, ...]
    attempts: tuple[AttemptTold, ...]
    next_deadline: Deadline | None
    passed_over: tuple[PassedOverTold, ...] = ()


def standing_of(row: NotificationRow) -> Standing | None:
    """None while only callbacks have come, and no request."""
    request = row.request
    if request is None:
        return None
    stands = standing(row)
    due_at = None if stands.state.final else row.due_at
    return Standing(
        notification_id=request.notification_id,
        tenant=request.tenant,
        idempotency_key=mask_text(request.idempotency_key),
        state=stands.state.value,
        final=stands.state.final,
        reason=stands.reason,
        in_words=in_words(row, request),
        recipient=mask_text(request.recipient),
        country=request.country,
        carrier=request.carrier,
        category=request.category,
        priority=request.priority,
        requested_at=clock(request.requested_at),
        send_at=_clock(request.send_at),
        expires_at=_clock(request.expires_at),
        duplicates=row.duplicates,
        steps=tuple(_step(n, step, request.cost_unit) for n, step in enumerate(request.steps, start=1)),
        attempts=tuple(_attempt(attempt) for attempt in row.attempts),
        next_deadline=Deadline(at=clock(due_at), then=_deadline_for(row, request)) if due_at else None,
        passed_over=tuple(
            PassedOverTold(
                step=each.step, channel=each.channel, reason=each.reason, detail=mask_text(each.detail)
            )
            for each in request.passed_over
        ),
    )


def in_words(row: NotificationRow, request: NotificationRequest) -> str:
    """One sentence: what is the case, and since when."""
    stands, last = standing(row), row.last
    reached = next((each for each in row.attempts if each.folded.good), None)
    if reached is not None:
        at = reached.folded.at or 0
        return (
            f"{reached.folded.status} by {reached.channel} at {clock(at)}, "
            f"{(at - request.requested_at) / 1000:.1f} s after the request"
        )
    if stands.state.final:
        why = ": ".join(mask_text(part) for part in (stands.reason, stands.detail) if part)
        number = len(row.attempts)
        after = f" after {number} attempt{'s' if number > 1 else ''}" if number else ", and was never sent"
        return f"{stands.state}{after}{f'; {why}' if why else ''}"
    if last is None:
        return f"waits for its time, {_clock(request.send_at) or 'now'}"
    if row.retry_at is not None:
        return f"attempt {last.attempt} {_failure(last)}; another one begins at {clock(row.retry_at)}"
    return f"attempt {last.attempt} of {_of_steps(last, request)} {_under_way(last)}"


def _of_steps(attempt: AttemptState, request: NotificationRequest) -> str:
    return f"step {attempt.step + 1}/{len(request.steps)} ({attempt.channel})"


def _under_way(attempt: AttemptState) -> str:
    ruling = attempt.ruling
    if attempt.commanded_at is None:
        if ruling is not None and ruling.verdict is Verdict.DEFER:
            return f"may not be sent now ({ruling.reason}); asked again at {_clock(ruling.until)}"
        return f"waits for its admission since {clock(attempt.asked_at)}"
    if attempt.bad_end is not None:
        return _failure(attempt)
    status = attempt.folded.status
    if status == "sent":
        return f"is with the carrier since {clock(attempt.folded.at or 0)}; no report of its delivery so far"
    if attempt.accepted_at is not None:
        return f"is with the provider since {clock(attempt.accepted_at)} ({status or 'accepted'})"
    if attempt.answer is not None and attempt.answer.result is CommandResult.HELD:
        return "is held: nobody knows whether the provider took it, so it is not sent again"
    if attempt.doubted_at is not None:
        return (
            f"is in doubt since {clock(attempt.doubted_at)}: evidence is looked for that the provider took it"
        )
    until = _clock(attempt.not_after)
    return f"waits for its turn to be sent since {clock(attempt.commanded_at)}, until {until}"


def _failure(attempt: AttemptState) -> str:
    end = attempt.bad_end
    if end is None:
        return attempt_status(attempt)
    code = f" with {end.error_code}, {meaning_of(end.error_code).meaning}" if end.error_code else ""
    return f"ended {end.result.replace('_', ' ')} at {clock(end.at)}{code}"


def _deadline_for(row: NotificationRow, request: NotificationRequest) -> str:
    """What happens at `due_at`: the same cases as in `streams.delivery.deadlines`."""
    last = row.last
    if last is None:
        return "it is sent"
    if row.retry_at is not None:
        return f"attempt {last.attempt + 1} begins"
    if last.commanded_at is None:
        return "admission is asked again"
    if last.bad_end is not None:
        return "its end is judged: another attempt, another step, or the end"
    wait_ms = request.steps[last.step].wait_ms
    following = request.steps[last.step + 1 : last.step + 2]
    if following and wait_ms is not None and row.due_at == (last.accepted_at or last.commanded_at) + wait_ms:
        return f"step {last.step + 2} ({following[0].channel}) begins"
    if last.accepted_at is None:
        return "it is given up as unconfirmed"
    return "the provider is asked what became of it"


def _step(number: int, step: Step, cost_unit: str | None) -> StepTold:
    said = []
    if step.body is not None:
        counted = f"{step.segments} segment{'s' if step.segments > 1 else ''} {step.encoding}"
        smart = ", smart-encoded" if step.smart_encoded else ""
        said.append(f"text of {len(step.body)} characters ({counted}{smart})")
    if step.content_sid is not None:
        said.append(f"template {step.content_sid}")
    if step.media_urls:
        said.append(f"{len(step.media_urls)} media")
    return StepTold(
        step=number,
        channel=step.channel,
        says=", ".join(said),
        sender=step.sender,
        wait_ms=step.wait_ms,
        cost=f"{step.cost} {cost_unit or ''}".strip() if step.cost is not None else None,
    )


def _attempt(attempt: AttemptState) -> AttemptTold:
    return AttemptTold(
        attempt=attempt.attempt,
        step=attempt.step + 1,
        channel=attempt.channel,
        sender=attempt.sender,
        status=attempt_status(attempt),
        asked_at=clock(attempt.asked_at),
        segments=attempt.segments,
        admission=_admission(attempt),
        commanded_at=_clock(attempt.commanded_at),
        not_after=_clock(attempt.not_after),
        doubted_at=_clock(attempt.doubted_at),
        accepted_at=_clock(attempt.accepted_at),
        sid=attempt.sid,
        statuses=tuple(
            Mark(status=mark.status, at=clock(mark.at), error_code=mark.error_code) for mark in attempt.marks
        ),
        error=_error(attempt),
        superseded_at=_clock(attempt.superseded_at),
    )


def _admission(attempt: AttemptState) -> Admission | None:
    ruling = attempt.ruling
    if ruling is None:
        return None
    return Admission(
        verdict=ruling.verdict,
        reason=ruling.reason,
        at=clock(ruling.at),
        until=_clock(ruling.until),
        content=ruling.content if ruling.verdict is Verdict.ADMIT else None,
    )


def _error(attempt: AttemptState) -> Error | None:
    end = attempt.bad_end
    if end is None:
        return None
    detail = mask_text(end.detail) if end.detail else None
    what = f"{end.result.replace('_', ' ')} ({end.error_class})"
    if end.error_code is None:
        return Error(what=what, detail=detail)
    found = meaning_of(end.error_code)
    return Error(
        what=what, code=end.error_code, meaning=found.meaning, what_to_do=found.what_to_do, detail=detail
    )


def clock(at_ms: int) -> str:
    """Milliseconds since the epoch as a time to read."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone().isoformat(timespec="milliseconds")


def _clock(at_ms: int | None) -> str | None:
    return None if at_ms is None else clock(at_ms)
