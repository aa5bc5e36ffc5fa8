"""The choice itself.

A sender that is named, by the request, the tenant's chain or as the deployment's default, wins over the
routes, and is checked like theirs. Of the tenant's routes that match, in their order, the first with a sender
that can deliver is taken, and of its senders that can the recipient's own (`sticky`).
"""

import msgspec

from streams.policy import Policies, bare_sender
from streams.routes.obstacles import obstacle, shown
from streams.routes.question import Question, Refused
from streams.routes.sticky import preferred

_MOST_TOLD = 3
PROVIDER = "twilio"


class Choice(msgspec.Struct, frozen=True):
    """`sender` is without channel prefix; None leaves it to the deployment's default."""

    sender: str | None
    provider: str = PROVIDER


def choose(question: Question, policies: Policies, default_sender: str | None = None) -> Choice | Refused:
    """Who sends this.

    A tenant without routes may use senders that nobody described, unchecked; one with routes may not: its
    senders are all known. `default_sender` is who sends for tenants without routes, where that is known.
    """
    routes = policies.of(question.tenant).routes
    if question.sender:
        return _named(bare_sender(question.sender), question, policies, described=bool(routes))
    if routes:
        return _routed(question, policies)
    if default_sender is None:
        return Choice(None)
    return _named(bare_sender(default_sender), question, policies, described=False)


def _named(sender: str, question: Question, policies: Policies, *, described: bool) -> Choice | Refused:
    profile = policies.senders.get(sender)
    if profile is not None:
        refused = obstacle(sender, profile, question, policies.sender_rules)
        return refused or Choice(sender, profile.provider)
    if described:
        return Refused(
            "unknown-sender",
            f"sender {shown(sender)} is not described; add it to senders in the policy file, or name none",
        )
    return Choice(sender)


def _routed(question: Question, policies: Policies) -> Choice | Refused:
    refusals: dict[str, Refused] = {}
    for route in policies.of(question.tenant).routes:
        if not route.matches(question.channel, question.country, question.category):
            continue
        able = []
        for sender in route.senders:
            profile = policies.senders[sender]
            refused = obstacle(sender, profile, question, policies.sender_rules)
            if refused is None:
                able.append(sender)
            else:
                refusals[sender] = refused
        if able:
            sender = preferred(able, question.tenant, question.recipient)
            return Choice(sender, policies.senders[sender].provider)
    return _none(question, list(refusals.values()))


def _none(question: Question, refusals: list[Refused]) -> Refused:
    what = f"{question.channel} to {question.country}, category {question.category}"
    if not refusals:
        return Refused(
            "no-route", f"tenant {question.tenant!r} has no route for {what}; add one to its routes"
        )
    if len(refusals) == 1:
        return refusals[0]
    reasons = {each.reason for each in refusals}
    told = "; ".join(each.detail for each in refusals[:_MOST_TOLD])
    more = f"; and {len(refusals) - _MOST_TOLD} senders more" if len(refusals) > _MOST_TOLD else ""
    return Refused(
        reasons.pop() if len(reasons) == 1 else "no-sender", f"no sender can deliver {what}: {told}{more}"
    )
