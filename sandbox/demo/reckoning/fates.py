"""How far every notification came, and why no further: by the plan and the ledger. Pure.

The classes of errors are those of the facts, Twilio section 5, written down once more for the codes the
simulator gives, so that a mistake in the pipeline's table shows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sandbox.demo.plan import Kind, Planned
from sandbox.demo.reckoning.evidence import Evidence
from sandbox.demo.reckoning.tries import Try
from schemas.records import NotifyRequest
from schemas.vocabulary import SENDABLE_CHANNELS, Category

STAGES = ("requested", "admitted", "sent", "delivered")
_TERMINAL = "terminal"
_CLASSES = {
    20429: "rate",
    21211: "bad_number",
    21610: "opt_out",
    21614: "bad_number",
    30001: "rate",
    30003: "transient",
    30005: "bad_number",
    30006: "bad_number",
    30007: "filtered",
    30008: "transient",
    30036: "transient",
    30450: "transient",
    30500: "transient",
    63003: "channel",
    63024: "channel",
    63032: _TERMINAL,
}


class Fate(NamedTuple):
    """Where one notification ended; `stage` is how far it came. `notification_id` is empty for a conflict."""

    notification_id: str
    tenant: str
    recipient: str
    campaign: str
    category: str
    stage: str
    state: str
    reason: str


def class_of(code: int) -> str:
    """The class of an error code; a bad end without one is terminal."""
    return _CLASSES.get(code, _TERMINAL)


def fates_of(evidence: Evidence, tries: Sequence[Try]) -> tuple[Fate, ...]:
    """One for each notification and each conflict; a repeat is no notification of its own."""
    by_id: dict[str, list[Try]] = {}
    for each in tries:
        by_id.setdefault(each.notification_id, []).append(each)
    return tuple(_fates(evidence, by_id))


def _fates(evidence: Evidence, tries: dict[str, list[Try]]) -> Iterator[Fate]:
    for planned in evidence.plan.events:
        request, identity = planned.request, planned.notification_id
        if request is None or identity is None or planned.kind is Kind.REPEAT:
            continue
        stage, state, reason = _end(planned, request, tries.get(identity, []))
        yield Fate(
            identity if planned.kind is not Kind.CONFLICT else "",
            request.tenant,
            request.recipient,
            request.metadata.get("campaign", ""),
            request.category,
            stage,
            state,
            reason,
        )


def _end(planned: Planned, request: NotifyRequest, tries: list[Try]) -> tuple[str, str, str]:
    match planned.kind:
        case Kind.CONFLICT:
            return "requested", "conflict", "other-content"
        case Kind.IMPOSSIBLE:
            return "requested", "invalid", "invalid-number"
        case Kind.INVALID:
            return "requested", "invalid", _fault(request)
    if any(each.ending == "delivered" for each in tries):
        # Also when the last of them was read: what comes after `delivered` is no stage.
        return "delivered", "", ""
    return (_stage(tries), *_state(planned, tries))


def _stage(tries: list[Try]) -> str:
    if any(each.taken for each in tries):
        return "sent"
    return "admitted" if any(each.ending != "not_sent" for each in tries) else "requested"


def _state(planned: Planned, tries: list[Try]) -> tuple[str, str]:
    """By the last attempt: the others were repeated because of how they ended."""
    if planned.kind is Kind.STOPPED and all(each.message is None for each in tries):
        return "suppressed", "opted-out"
    last = tries[-1] if tries else None
    if last is None or last.ending == "not_sent":
        return "failed", "not-accepted"
    if last.ending == "unconfirmed":
        return "unconfirmed", "no-report"
    return last.ending, class_of(last.error_code)


def _fault(request: NotifyRequest) -> str:
    """What is wrong with an invalid request, of which the plan breaks one thing each."""
    if request.category not in set(Category):
        return "unknown-category"
    if not set(request.channels) <= set(SENDABLE_CHANNELS):
        return "unknown-channel"
    if request.body is not None and request.template is not None:
        return "two-contents"
    return "unknown-template" if request.template is not None else "empty-body"
