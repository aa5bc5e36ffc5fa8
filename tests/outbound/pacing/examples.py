"""Lanes and waiting commands as the tests need them."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.topics import Topic
from schemas.vocabulary import Priority
from sinks.outbound.lanes import Lanes, Waiting
from sinks.outbound.pacing.rate import Rates, SenderRate
from sinks.outbound.pacing.spending import Spending
from tests.outbound.examples import command

ORDER = [Priority.URGENT, Priority.NORMAL, Priority.BULK]
T0 = 1_790_000_000_000
"""In the middle of a day, in California as elsewhere."""
HOUR = 3_600_000


def waiting(
    number: int,
    lane: Priority = Priority.NORMAL,
    *,
    sender: str = "+1",
    recipient: str | None = None,
    tenant: str = "acme",
    segments: int = 1,
    partition: int = 0,
    provider: str = "twilio",
    not_after: int = T0 + 1000 * HOUR,
    created_at: int = T0,
) -> Waiting:
    """Each to a person of its own, unless one is named."""
    return Waiting(
        command(
            notification_id=f"n{number}",
            sender=sender,
            recipient=recipient or f"+1202555{number:04d}",
            tenant=tenant,
            segments=segments,
            provider=provider,
            not_after=not_after,
            created_at=created_at,
        ),
        lane,
        Topic.commands(lane),
        partition,
        number,
    )


def lanes_at(
    rate: float = 1000.0,
    burst: float = 1000.0,
    *,
    own: dict[str, SenderRate] | None = None,
    since: int = T0 - HOUR,
    ahead_ms: int = 0,
) -> Lanes:
    """Of partitions owned for an hour, so that buckets are full at T0."""
    lanes = Lanes(Rates(SenderRate(segments_per_s=rate, burst=burst), own), ahead_ms)
    for partition in range(3):
        lanes.take_over(partition, Spending(), since)
    return lanes


def numbers(some: Iterable[Waiting]) -> list[int]:
    return [each.offset for each in some]


def go(lanes: Lanes, now: int, limit: int = 1000) -> list[Waiting]:
    """Call up what may be called up and begin what may begin; nothing of it is over yet."""
    lanes.journaled(lanes.release(limit, now).called_up)
    return lanes.begin(now)


def go_and_end(lanes: Lanes, now: int, limit: int = 1000) -> list[Waiting]:
    """The same, with calls that take no time."""
    begun = go(lanes, now, limit)
    for each in begun:
        lanes.over(each.command.command_id, now)
    return begun
