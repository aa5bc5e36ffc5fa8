"""Whole, valid events of one person, to be changed where a test cares, and what is decided about them."""

from __future__ import annotations

from typing import Any

from schemas.records import AdmissionCheck, AdmissionVerdict, DeliveryEvidence
from schemas.vocabulary import Category, Channel
from streams.policy import DEFAULTS, Policies, TenantPolicy
from streams.recipients import Event, decide
from streams.state import RecipientRow
from tests.streams.builders import NID, RECIPIENT, SENDER, T0, TENANT, of, sid

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def check(**changes: Any) -> AdmissionCheck:
    values: dict[str, Any] = {
        "notification_id": NID,
        "attempt": 1,
        "tenant": TENANT,
        "recipient": RECIPIENT,
        "channel": Channel.SMS,
        "category": Category.TRANSACTIONAL,
        "sender": SENDER,
        "asked_at": T0,
    }
    return AdmissionCheck(**(values | changes))


def evidence(error_code: int | None, **changes: Any) -> DeliveryEvidence:
    """What one attempt taught, by default at T0; its id is that of its code and time."""
    values: dict[str, Any] = {
        "evidence_id": f"{error_code}@{changes.get('at', T0)}",
        "tenant": TENANT,
        "recipient": RECIPIENT,
        "channel": Channel.SMS,
        "sender": SENDER,
        "error_code": error_code,
        "message_sid": sid(),
        "at": T0,
    }
    return DeliveryEvidence(**(values | changes))


def policies(**sections: Any) -> Policies:
    """Every tenant has these sections of its own."""
    return Policies(TenantPolicy(**sections))


def after(*events: Event, policy: Policies = DEFAULTS, row: RecipientRow | None = None) -> RecipientRow:
    row = row or RecipientRow()
    for event in events:
        row, _ = decide(row, event, T0, policy)
    return row


def judged(
    row: RecipientRow, asked: AdmissionCheck, policy: Policies = DEFAULTS
) -> tuple[RecipientRow, AdmissionVerdict]:
    row, effects = decide(row, asked, asked.asked_at + 3, policy)
    (found,) = of(AdmissionVerdict, effects)
    return row, found


def verdict_after(*events: Event, policy: Policies = DEFAULTS, **changes: Any) -> AdmissionVerdict:
    return judged(after(*events, policy=policy), check(**changes), policy)[1]
