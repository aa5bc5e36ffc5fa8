"""The recipients processor's decisions: consent as a ledger, and the verdict on every attempt.

Keyed by recipient, so that a STOP and the checks it must stop meet in one place. Pure.
"""

from typing import NamedTuple

from schemas.records import AdmissionCheck, AdmissionVerdict, ConsentChange, InboundMessage
from schemas.topics import Topic
from schemas.vocabulary import Verdict
from streams.consent import consent_of, merge, opted_out
from streams.effects import Emit
from streams.state import RecipientRow

Event = InboundMessage | ConsentChange | AdmissionCheck


class Decision(NamedTuple):
    row: RecipientRow
    effects: tuple[Emit, ...]


def decide(row: RecipientRow | None, event: Event, at: int) -> Decision:
    """What one event means for one person. `at` is the event's broker time (ms)."""
    row = row or RecipientRow()
    match event:
        case InboundMessage():
            change = consent_of(event)
            return Decision(row, ()) if change is None else _change(row, change)
        case ConsentChange():
            return _change(row, event)
        case AdmissionCheck():
            return Decision(row, (_verdict(row, event, at),))


def consent_key(change: ConsentChange) -> str:
    """Key of a change in `consent.changes`: compaction keeps the one in force per scope."""
    return f"{change.recipient}|{change.tenant}|{change.channel_group}"


def _change(row: RecipientRow, change: ConsentChange) -> Decision:
    consents = merge(row.consents, change)
    if consents == row.consents:
        return Decision(row, ())
    return Decision(
        RecipientRow(consents=consents), (Emit(Topic.CONSENT_CHANGES, consent_key(change), change),)
    )


def _verdict(row: RecipientRow, check: AdmissionCheck, at: int) -> Emit:
    forbidden = opted_out(row.consents, check.tenant, check.channel)
    verdict = AdmissionVerdict(
        notification_id=check.notification_id,
        attempt=check.attempt,
        verdict=Verdict.SUPPRESS if forbidden else Verdict.ADMIT,
        reason="opted-out" if forbidden else None,
        decided_at=at,
    )
    return Emit(Topic.VERDICTS, check.notification_id, verdict)
