"""Who of those that got an advertisement answers STOP, so that opt-outs have something to answer. Pure."""

from sandbox.carrier.ledger import Ledger
from sandbox.demo.callbacks import attempt_of
from sandbox.demo.plan import Kind, Plan, Stop
from schemas.vocabulary import Category

_EVERY = 12


def replies_of(plan: Plan, ledger: Ledger) -> tuple[Stop, ...]:
    """Every twelfth, from the first on, in the plan's order; each to the sender of what they got.

    By SMS only: WhatsApp has no keywords of its own (facts, Twilio section 6).
    """
    shown = {handset.sid for handset in ledger.handsets if ":" not in handset.to}
    reached = {
        reference.notification_id
        for message in ledger.messages
        if message.sid in shown and (reference := attempt_of(message.status_callback)) is not None
    }
    readers = [
        Stop(request.recipient, request.sender)
        for planned in plan.events
        if planned.kind is Kind.NOTIFICATION
        and (request := planned.request) is not None
        and request.category == Category.MARKETING
        and request.sender is not None
        and planned.notification_id in reached
    ]
    return tuple(readers[::_EVERY])
