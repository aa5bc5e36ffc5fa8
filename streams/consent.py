"""Which messages end or renew a person's consent, what was said, and what is in force for a sender.

A ledger is a set of changes. Each change binds a tenant, a channel group, and the senders that the tenant's
policy puts in one group with the sender it names; a change without a sender binds all of them. The latest
change that covers a sender is in force for it. Suppressions (changes of source `suppression`) are a list of
their own: no START lifts one, only a later suppression that says so.

Guarantees: `merge` is commutative, associative and idempotent; what is in force is never forgotten. Of the
rest a ledger keeps the KEPT_CHANGES latest of a person; all of them are in `consent.changes` and ClickHouse.
Pure; used by the recipients processor and, last thing, by the sink.
"""

from collections.abc import Iterable

from schemas.consent_words import START_WORDS, STOP_WORDS, TOLL_FREE_START_WORDS, word
from schemas.identity import event_id
from schemas.records import ConsentChange, InboundMessage
from schemas.vocabulary import Channel, Consent
from streams.policy import DEFAULTS, EVERY_TENANT, Policies, SenderType, bare_sender

KEPT_CHANGES = 20
SUPPRESSION = "suppression"
Ledger = tuple[ConsentChange, ...]
Scope = tuple[str, str, str, bool]
_MATCHED: dict[str | None, Consent | None] = {
    "STOP": Consent.OPTED_OUT,
    "START": Consent.OPTED_IN,
    "HELP": None,
}


def consent_of(message: InboundMessage, policies: Policies = DEFAULTS) -> ConsentChange | None:
    """The change of consent an inbound message is, or None when it is none.

    Advanced Opt-Out has the last word where it matched: OptOutType says what it took the message for.
    Elsewhere the default words count, on every kind of sender: where the platform does not act on them itself
    (WhatsApp, standalone short codes), the ledger still does. YES renews nothing on a toll-free number, where
    the carrier keeps the opt-out (facts, Twilio section 6).
    """
    state = _state(message, policies)
    if state is None:
        return None
    return ConsentChange(
        change_id=event_id("inbound", message.provider, message.message_sid),
        tenant=message.tenant,
        recipient=message.recipient,
        channel_group=message.channel.consent_group,
        sender=message.sender,
        state=state,
        source="advanced-opt-out" if message.opt_out_type in _MATCHED else "inbound",
        words=message.body.strip(),
        evidence=message.message_sid,
        at=message.received_at,
    )


def _state(message: InboundMessage, policies: Policies) -> Consent | None:
    if message.opt_out_type in _MATCHED:
        return _MATCHED[message.opt_out_type]
    said = word(message.body)
    if said in STOP_WORDS:
        return Consent.OPTED_OUT
    if said not in START_WORDS:
        return None
    sender_type = policies.of(message.tenant).sender_type(message.sender, message.channel)
    toll_free = sender_type is SenderType.TOLL_FREE
    return Consent.OPTED_IN if said in (TOLL_FREE_START_WORDS if toll_free else START_WORDS) else None


def scope_of(change: ConsentChange) -> Scope:
    """What a change is compared with when it is kept.

    By sender and not by group of senders, so that a policy may draw its groups anew.
    """
    return (
        change.tenant,
        change.channel_group,
        bare_sender(change.sender),
        change.source == SUPPRESSION,
    )


def newest(changes: Iterable[ConsentChange]) -> ConsentChange | None:
    """The latest; of two at the same time the opt-out, then the larger id: any order agrees."""
    return max(changes, key=_age, default=None)


def merge(ledger: Ledger, change: ConsentChange) -> Ledger:
    """The ledger with this change taken in."""
    copies: dict[tuple[Scope, str], ConsentChange] = {}
    for each in (*ledger, change):
        known = copies.get(key := (scope_of(each), each.change_id))
        copies[key] = each if known is None else max(known, each, key=_age)
    by_age = sorted(copies.values(), key=_age, reverse=True)
    kept, scopes = [], set()
    for number, each in enumerate(by_age):
        scope = scope_of(each)
        if number < KEPT_CHANGES or scope not in scopes:
            kept.append(each)
        scopes.add(scope)
    return tuple(kept)


def in_force(ledger: Ledger) -> Ledger:
    """The latest change of each scope, in the order of the scopes."""
    latest = {scope_of(each): each for each in sorted(ledger, key=_age)}
    return tuple(latest[scope] for scope in sorted(latest))


def opted_out(
    ledger: Ledger, tenant: str, channel: Channel, sender: str, policies: Policies
) -> ConsentChange | None:
    """The change that forbids this tenant this channel from this sender, or None.

    What was said to a sender that all tenants share binds every tenant, by the sender groups of `*`: in
    doubt, the person is left alone. A person's own opt-out is told before a suppression.
    """
    group = channel.consent_group
    for suppressed in (False, True):
        for whose in (tenant, EVERY_TENANT):
            found = newest(
                each
                for each in ledger
                if each.tenant == whose
                and each.channel_group is group
                and (each.source == SUPPRESSION) is suppressed
                and _covers(each, sender, policies)
            )
            if found is not None and found.state is Consent.OPTED_OUT:
                return found
    return None


def _covers(change: ConsentChange, sender: str, policies: Policies) -> bool:
    if not change.sender:
        return True
    policy = policies.of(change.tenant)
    return policy.group_of(change.sender) == policy.group_of(sender)


def _age(change: ConsentChange) -> tuple[int, bool, str, Scope, str, str, str]:
    """A total order, whatever a change holds."""
    return (
        change.at,
        change.state is Consent.OPTED_OUT,
        change.change_id,
        scope_of(change),
        change.source,
        change.words or "",
        change.evidence or "",
    )
