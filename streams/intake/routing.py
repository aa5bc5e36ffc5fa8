"""Who sends each step of a chain: chosen here, once, so that every replay of the request has the same sender.

Guarantees: a step that is left can be delivered by its sender, as far as the policies describe it. A step
that no sender can deliver is passed over and told of; a chain that has no other is refused.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from schemas.records import NotifyRequest, PassedOver, Step
from schemas.vocabulary import Category
from streams.intake.policy import IntakePolicy
from streams.intake.recipient import Recipient
from streams.intake.refusals import Refusal
from streams.routes import Question, Refused, choose

NO_SENDER = "no-sender"


class Routed(NamedTuple):
    """`steps` is one at least."""

    steps: tuple[Step, ...]
    passed_over: tuple[PassedOver, ...]


def routed(
    steps: Sequence[Step],
    request: NotifyRequest,
    recipient: Recipient,
    category: Category,
    policy: IntakePolicy,
) -> Routed:
    """The steps with their senders. Raises Refusal."""
    sent: list[Step] = []
    passed_over: list[PassedOver] = []
    for number, step in enumerate(steps, start=1):
        question = Question(
            tenant=request.tenant,
            channel=step.channel,
            country=recipient.country,
            category=category,
            recipient=recipient.number,
            sender=step.sender,
        )
        match choose(question, policy.policies, policy.default_sender):
            case Refused(reason, detail):
                passed_over.append(
                    PassedOver(step=number, channel=step.channel, reason=reason, detail=detail)
                )
            case choice:
                sent.append(replace(step, sender=choice.sender, provider=choice.provider))
    if not sent:
        raise _refusal(passed_over, alone=len(steps) == 1 and not request.steps)
    return Routed(tuple(sent), tuple(passed_over))


def _refusal(passed_over: list[PassedOver], *, alone: bool) -> Refusal:
    reasons = {each.reason for each in passed_over}
    told = [
        each.detail if alone else f"step {each.step} ({each.channel}): {each.detail}" for each in passed_over
    ]
    return Refusal(reasons.pop() if len(reasons) == 1 else NO_SENDER, "; ".join(told))
