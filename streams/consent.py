"""Which words end or renew a person's consent, and what consent is in force.

Default word lists of Twilio for long codes and toll-free numbers: the whole message is the word, in any case
(facts, Twilio section 6; REVOKE and OPTOUT since 2025-05-14). Twilio's Advanced Opt-Out tells what it matched
in OptOutType, which then decides. Pure; used by the recipients processor and, last thing, by the sink.
"""

from collections.abc import Iterable

from schemas.identity import event_id
from schemas.records import ConsentChange, InboundMessage
from schemas.vocabulary import Channel, Consent, ConsentGroup

STOP_WORDS = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "CANCEL", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
EVERY_TENANT = "*"


def consent_of(message: InboundMessage) -> ConsentChange | None:
    """The change of consent an inbound message is, or None when it is none."""
    word = message.body.strip().upper()
    if message.opt_out_type in ("STOP", "START"):
        state = Consent.OPTED_OUT if message.opt_out_type == "STOP" else Consent.OPTED_IN
        source = "advanced-opt-out"
    elif word in STOP_WORDS:
        state, source = Consent.OPTED_OUT, "inbound"
    elif word in START_WORDS:
        state, source = Consent.OPTED_IN, "inbound"
    else:
        return None
    return ConsentChange(
        change_id=event_id("inbound", message.provider, message.message_sid),
        tenant=message.tenant,
        recipient=message.recipient,
        channel_group=message.channel.consent_group,
        sender=message.sender,
        state=state,
        source=source,
        words=message.body.strip(),
        evidence=message.message_sid,
        at=message.received_at,
    )


def newer(one: ConsentChange, other: ConsentChange) -> ConsentChange:
    """The later of two changes; of two at the same time the opt-out, then the larger id: any order agrees."""
    return max(one, other, key=lambda c: (c.at, c.state is Consent.OPTED_OUT, c.change_id))


def merge(ledger: tuple[ConsentChange, ...], change: ConsentChange) -> tuple[ConsentChange, ...]:
    """The ledger's changes in force, one per (tenant, channel group), with this one taken in."""
    scope = {(c.tenant, c.channel_group): c for c in ledger}
    key = (change.tenant, change.channel_group)
    scope[key] = newer(scope[key], change) if key in scope else change
    return tuple(scope[key] for key in sorted(scope))


def opted_out(ledger: Iterable[ConsentChange], tenant: str, channel: Channel) -> ConsentChange | None:
    """The opt-out that forbids this tenant this channel, or None.

    An opt-out said to a sender that all tenants share binds every tenant; in doubt, the person is left alone.
    """
    group: ConsentGroup = channel.consent_group
    for change in ledger:
        if (
            change.state is Consent.OPTED_OUT
            and change.channel_group is group
            and change.tenant in (tenant, EVERY_TENANT)
        ):
            return change
    return None
