"""Admission: whether an attempt may be sent to a person now, later, on another channel, or not at all.

In this order, and the first that objects decides:

1. consent: the person has opted out (suppress `opted-out`), or is on the tenant's list (suppress
   `suppressed`). Looked at even for a check that was answered before: a STOP in between wins;
2. a check that was answered before gets the same answer;
3. the number is dead on this channel (next_channel `dead-number`);
4. WhatsApp's window is closed and there is no template (next_channel `outside-whatsapp-window`);
5. quiet hours (defer `quiet-hours`), then caps (defer `frequency-cap`). `until` is a time at which neither
   objects any more, as far as is known; it may be later than the check's `expires_at`, which is the caller's
   to see. Hours that the time zones of a number never agree on suppress (`no-permitted-hours`).

An admission says what may be sent (a text where it may, else the template) and until when (`not_after`: quiet
hours begin, or WhatsApp's window closes on a text). Categories without quiet hours or caps of their own, such
as one-time passwords by default, have none. Every time is taken from the check and the events before it.
"""

from typing import NamedTuple

import msgspec

from schemas.records import AdmissionCheck, AdmissionVerdict
from schemas.vocabulary import Channel, ContentKind, Verdict
from streams.consent import SUPPRESSION, opted_out
from streams.policy import Policies
from streams.recipients import caps, numbers, quiet, window
from streams.state import RecipientRow


class Answer(NamedTuple):
    verdict: Verdict
    reason: str | None = None
    until: int | None = None
    not_after: int | None = None
    content: ContentKind = ContentKind.TEXT


class Judged(NamedTuple):
    row: RecipientRow
    verdict: AdmissionVerdict


def judged(row: RecipientRow, check: AdmissionCheck, at: int, policies: Policies) -> Judged:
    """The verdict, dated `at` (ms), and the row that remembers it."""
    known = next((each for each in row.verdicts if _answers(each, check)), None)
    forbidden = _forbidden(row, check, policies)
    if known is not None and (forbidden is None or known.verdict is Verdict.SUPPRESS):
        return Judged(row, known)
    answer = forbidden or _answer(row, check, policies)
    verdict = AdmissionVerdict(
        notification_id=check.notification_id,
        attempt=check.attempt,
        check=check.check,
        decided_at=at,
        **answer._asdict(),
    )
    if verdict.verdict is Verdict.ADMIT:
        row = caps.counted(row, check, policies)
    others = tuple(each for each in row.verdicts if each is not known)
    return Judged(msgspec.structs.replace(row, verdicts=(*others, verdict)), verdict)


def _answers(verdict: AdmissionVerdict, check: AdmissionCheck) -> bool:
    return (verdict.notification_id, verdict.attempt, verdict.check) == (
        check.notification_id,
        check.attempt,
        check.check,
    )


def _forbidden(row: RecipientRow, check: AdmissionCheck, policies: Policies) -> Answer | None:
    change = opted_out(row.consents, check.tenant, check.channel, check.sender, policies)
    if change is None:
        return None
    return Answer(Verdict.SUPPRESS, "suppressed" if change.source == SUPPRESSION else "opted-out")


def _answer(row: RecipientRow, check: AdmissionCheck, policies: Policies) -> Answer:
    policy = policies.of(check.tenant)
    if numbers.dead(row, check.channel, check.asked_at, policy.dead_numbers):
        return Answer(Verdict.NEXT_CHANNEL, "dead-number")
    not_after, content = None, _content(check)
    if check.channel is Channel.WHATSAPP:
        closes = window.closes_at(row, check, policies)
        if closes is None and not check.has_template:
            return Answer(Verdict.NEXT_CHANNEL, "outside-whatsapp-window")
        if closes is None:
            content = ContentKind.TEMPLATE
        elif content is ContentKind.TEXT:
            not_after = closes
    free = caps.free_at(row, check, policies)
    hours = policy.quiet_hours.get(check.category)
    if hours is None or (hours := hours.of(check.country)).never_quiet:
        if free > check.asked_at:
            return Answer(Verdict.DEFER, "frequency-cap", free)
        return Answer(Verdict.ADMIT, not_after=not_after, content=content)
    zones = quiet.zones_of(check.recipient, policy)
    at_once = quiet.next_allowed(zones, check.asked_at, hours)
    allowed = at_once if free == check.asked_at else quiet.next_allowed(zones, free, hours)
    if at_once is None or allowed is None:
        return Answer(Verdict.SUPPRESS, "no-permitted-hours")
    if at_once.opens > check.asked_at:
        return Answer(Verdict.DEFER, "quiet-hours", allowed.opens)
    if free > check.asked_at:
        return Answer(Verdict.DEFER, "frequency-cap", allowed.opens)
    not_after = min(allowed.closes, not_after or allowed.closes)
    return Answer(Verdict.ADMIT, not_after=not_after, content=content)


def _content(check: AdmissionCheck) -> ContentKind:
    return ContentKind.TEMPLATE if check.has_template and not check.has_text else ContentKind.TEXT
