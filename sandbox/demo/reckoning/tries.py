"""What became of every attempt at every notification of the plan, by the simulator's ledger. Pure.

Guarantees: one `Try` for each attempt the ledger saw, for each one that must lie before a later one it saw
(a call that never got there), and for each person who had said STOP. Leaves to `sandbox.demo.verdict` what
should not have been tried at all.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from sandbox.carrier.carriers import carrier_of
from sandbox.carrier.ledger import SeenRequest, SimMessage
from sandbox.carrier.segments import segments_of
from sandbox.demo.callbacks import attempt_of
from sandbox.demo.plan import Kind, Planned
from sandbox.demo.reckoning.evidence import Bill, Evidence

ENDINGS = ("delivered", "undelivered", "failed", "unconfirmed", "held", "not_sent", "open")
_ENDING_OF = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
    # Sent, and nothing more will ever be said.
    "sent": "unconfirmed",
}
# The countries whose numbers say nothing of the carrier: libphonenumber has no names for their prefixes.
_WITHOUT_PREFIXES = frozenset({"US", "MX", "ZZ"})
_REQUEST_TIMEOUT = 408


class Try(NamedTuple):
    """One attempt. `error_code` is 0 without; `message` and `bill` are of what the simulator made of it."""

    notification_id: str
    attempt: int
    channel: str
    country: str
    carrier: str
    carrier_source: str
    sender: str
    ending: str
    error_code: int
    segments: int
    message: SimMessage | None = None
    bill: Bill | None = None

    @property
    def taken(self) -> bool:
        """Whether a carrier took it."""
        return self.ending in ("delivered", "undelivered", "unconfirmed")


def tries_of(evidence: Evidence) -> tuple[Try, ...]:
    """All of them, in the plan's order."""
    messages = {message.sid: message for message in evidence.ledger.messages}
    lists: dict[str, list[int]] = {}
    for asked in evidence.ledger.lists:
        lists.setdefault(asked.to, []).append(asked.at_ms)
    seen: dict[str, dict[int, SeenRequest]] = {}
    for request in evidence.ledger.requests:
        reference = attempt_of(request.status_callback)
        if reference is not None:
            seen.setdefault(reference.notification_id, {})[reference.attempt] = request
    return tuple(
        each
        for planned in evidence.plan.events
        if planned.kind in (Kind.NOTIFICATION, Kind.STOPPED)
        for each in _of_one(evidence, planned, seen.get(planned.notification_id or "", {}), messages, lists)
    )


def _of_one(
    evidence: Evidence,
    planned: Planned,
    seen: dict[int, SeenRequest],
    messages: dict[str, SimMessage],
    lists: dict[str, list[int]],
) -> Iterator[Try]:
    assert planned.request is not None
    if not seen and planned.kind is Kind.STOPPED:
        yield _try(evidence, planned, 1, planned.request.channels[0], None, None)
    for attempt in range(1, max(seen, default=0) + 1):
        # A call that did not get there was repeated on the same channel.
        request = next(seen[later] for later in range(attempt, max(seen) + 1) if later in seen)
        channel = "whatsapp" if request.to.startswith("whatsapp:") else "sms"
        asked = seen.get(attempt)
        message = messages.get(asked.sid) if asked is not None and asked.sid is not None else None
        refused = asked is not None and _refused(asked) and not _looked_for(seen, attempt, lists)
        yield _try(evidence, planned, attempt, channel, asked if refused else None, message)


def _try(
    evidence: Evidence,
    planned: Planned,
    attempt: int,
    channel: str,
    refused: SeenRequest | None,
    message: SimMessage | None,
) -> Try:
    assert planned.request is not None
    serves = carrier_of(planned.request.recipient)
    country, carrier = serves.country, serves.name
    ending, code, bill = "not_sent", 0, None
    if message is not None:
        country, carrier = message.country, message.carrier
        ending = _ENDING_OF.get(message.final_status, "open")
        code = message.final_error_code or 0
        bill = evidence.bills.get(message.sid)
    elif refused is not None:
        ending, code = "failed", refused.error_code or 0
    source = "lookup" if evidence.looked_up else "prefix"
    if carrier == "unknown" or (source == "prefix" and country in _WITHOUT_PREFIXES):
        carrier, source = "unknown", "unknown"
    return Try(
        notification_id=planned.notification_id or "",
        attempt=attempt,
        channel=channel,
        country=country,
        carrier=carrier,
        carrier_source=source,
        sender=planned.request.sender or "",
        ending=ending,
        error_code=code,
        segments=bill.segments if bill is not None else _segments(planned, channel),
        message=message,
        bill=bill,
    )


def _refused(request: SeenRequest) -> bool:
    """Whether the simulator said no, and nothing can exist because of it."""
    status = request.http_status or 0
    return request.sid is None and 400 <= status < 500 and status != _REQUEST_TIMEOUT


def _looked_for(seen: dict[int, SeenRequest], attempt: int, lists: dict[str, list[int]]) -> bool:
    """Whether messages to the recipient were listed between this attempt's call and the next one's: whoever
    called did not hear the answer, or not in time, and a refusal was no end to them."""
    call = seen[attempt]
    until = min((later.at_ms for number, later in seen.items() if number > attempt), default=math.inf)
    return any(call.at_ms < at < until for at in lists.get(call.to, ()))


def _segments(planned: Planned, channel: str) -> int:
    """What it would have been billed; other channels than SMS count messages."""
    return segments_of(planned.text or "") if channel == "sms" else 1
