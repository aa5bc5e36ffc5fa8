"""What one event means for one person: for consent, for the number, for the attempt that asks.

Keyed by recipient, so that a STOP and the checks it must stop meet in one place. Pure: all times are those of
the events. Guarantees: between two checks the events may come in any order and any number of copies, and the
row is the same; the same check gets the same verdict again, also after a crash, unless the person has
opted out since. What no longer matters leaves the row whenever it is written.
"""

from typing import NamedTuple

import msgspec

from schemas.records import AdmissionCheck, ConsentChange, DeliveryEvidence, InboundMessage
from schemas.topics import Topic
from streams.consent import SUPPRESSION, consent_of, in_force, merge, scope_of
from streams.effects import Emit
from streams.policy import Policies
from streams.recipients import admission, numbers, window
from streams.recipients.retention import pruned
from streams.state import RecipientRow

Event = InboundMessage | ConsentChange | DeliveryEvidence | AdmissionCheck


class Decision(NamedTuple):
    row: RecipientRow
    effects: tuple[Emit, ...]


def decide(row: RecipientRow | None, event: Event, at: int, policy: Policies) -> Decision:
    """What one event means for one person. `at` is its broker time (ms), which only dates the verdict."""
    before = row or RecipientRow()
    match event:
        case InboundMessage():
            heard = window.heard(numbers.alive(before, event.channel, event.received_at), event)
            change = consent_of(event, policy)
            after, effects = (heard, ()) if change is None else _change(heard, change)
            after = _seen(after, event.received_at)
        case ConsentChange():
            after, effects = _change(before, event)
        case DeliveryEvidence():
            after, effects = _seen(numbers.learnt(before, event, policy), event.at), ()
        case AdmissionCheck():
            after, verdict = admission.judged(before, event, at, policy)
            after = _seen(after, event.asked_at)
            effects = (Emit(Topic.VERDICTS, event.notification_id, verdict),)
    return Decision(pruned(after, policy), effects)


def consent_key(change: ConsentChange) -> str:
    """Key of a change in `consent.changes`: compaction keeps the one in force per scope."""
    tenant, group, sender, suppression = scope_of(change)
    key = f"{change.recipient}|{tenant}|{group}|{sender}"
    return f"{key}|{SUPPRESSION}" if suppression else key


def _change(row: RecipientRow, change: ConsentChange) -> Decision:
    ledger = merge(row.consents, change)
    if ledger == row.consents:
        return Decision(row, ())
    current = next(each for each in in_force(ledger) if scope_of(each) == scope_of(change))
    # One that came late is told as well, for the record; but the last one told is the one in force, as
    # compaction keeps no other.
    told = (change,) if change == current else (change, current)
    return Decision(
        msgspec.structs.replace(row, consents=ledger),
        tuple(Emit(Topic.CONSENT_CHANGES, consent_key(each), each) for each in told),
    )


def _seen(row: RecipientRow, at: int) -> RecipientRow:
    return msgspec.structs.replace(row, seen_at=max(row.seen_at, at))
