"""WhatsApp's window: for how long after a person's message a free text may be sent to them.

It belongs to the sender that was written to. Senders of one configured group share it, for they answer for
each other; so do all senders when the asking one is a pool (a Messaging Service picks the sender itself).
"""

import msgspec

from schemas.records import AdmissionCheck, InboundMessage
from schemas.vocabulary import Channel
from streams.policy import EVERY_TENANT, OTHER_SENDERS, Policies, TenantPolicy, bare_sender
from streams.state import Heard, RecipientRow

_POOL = "MG"


def heard(row: RecipientRow, message: InboundMessage) -> RecipientRow:
    """The row after a message of the person; unchanged by one on another channel."""
    if message.channel is not Channel.WHATSAPP:
        return row
    latest = {(each.tenant, each.sender): each.at for each in row.heard}
    key = (message.tenant, bare_sender(message.sender))
    latest[key] = max(message.received_at, latest.get(key, 0))
    return msgspec.structs.replace(
        row, heard=tuple(Heard(tenant=t, sender=s, at=latest[t, s]) for t, s in sorted(latest))
    )


def closes_at(row: RecipientRow, check: AdmissionCheck, policies: Policies) -> int | None:
    """When the window that is open for this check closes; None when none is open at its time."""
    length = policies.of(check.tenant).whatsapp_window.length_ms
    last = max(
        (
            each.at
            for each in row.heard
            if each.tenant in (check.tenant, EVERY_TENANT)
            and _answers_for(check.sender, each.sender, policies.of(each.tenant))
        ),
        default=None,
    )
    return last + length if last is not None and check.asked_at < last + length else None


def _answers_for(sender: str, written_to: str, policy: TenantPolicy) -> bool:
    bare = bare_sender(sender)
    group = policy.group_of(bare)
    if group != policy.group_of(written_to):
        return False
    return bare == written_to or group != OTHER_SENDERS or bare.startswith(_POOL)
