"""Commands waiting for their turn: by sender and lane, let go at the sender's rate.

A slow sender holds up nobody else; within a sender urgent goes before normal before bulk, and within a lane
the order of arrival is kept.
"""

from collections import deque
from typing import NamedTuple

from schemas.records import OutboundCommand
from schemas.vocabulary import Priority
from sinks.outbound.pace import Bucket

_ORDER = (Priority.URGENT, Priority.NORMAL, Priority.BULK)


class Waiting(NamedTuple):
    """A command and where it was read."""

    command: OutboundCommand
    lane: Priority
    topic: str
    partition: int
    offset: int


class _Sender:
    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.lanes: dict[Priority, deque[Waiting]] = {lane: deque() for lane in _ORDER}

    def first(self) -> deque[Waiting] | None:
        return next((queue for queue in self.lanes.values() if queue), None)


class Lanes:
    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._senders: dict[str, _Sender] = {}
        self._ids: set[str] = set()

    def __len__(self) -> int:
        return len(self._ids)

    def holds(self, command_id: str) -> bool:
        return command_id in self._ids

    def add(self, waiting: Waiting, now: float) -> None:
        sender = self._senders.get(waiting.command.sender)
        if sender is None:
            sender = self._senders[waiting.command.sender] = _Sender(
                Bucket.full(self._rate, self._burst, now)
            )
        sender.lanes[waiting.lane].append(waiting)
        self._ids.add(waiting.command.command_id)

    def release(self, limit: int, now: float) -> list[Waiting]:
        """At most `limit` commands whose turn has come, one sender after the other; their rate is spent.

        The next call goes on with the sender after the last one: a small limit is shared like a large one.
        """
        released: list[Waiting] = []
        ready = deque(name for name, sender in self._senders.items() if sender.first())
        while ready and len(released) < limit:
            name = ready.popleft()
            waiting = self._release_from(self._senders[name], now)
            if waiting is None:
                continue
            released.append(waiting)
            self._senders[name] = self._senders.pop(name)  # to the end: its next turn comes after the others
            ready.append(name)
        return released

    def _release_from(self, sender: _Sender, now: float) -> Waiting | None:
        queue = sender.first()
        if queue is None:
            return None
        cost = max(1, queue[0].command.segments)
        if sender.bucket.ready_at(cost, now) > now:
            return None
        sender.bucket = sender.bucket.take(cost, now)
        waiting = queue.popleft()
        self._ids.discard(waiting.command.command_id)
        return waiting

    def pause(self, sender: str, until: float) -> None:
        """The provider asked this sender to wait."""
        if sender in self._senders:
            self._senders[sender].bucket = self._senders[sender].bucket.pause_until(until)

    def drop(self, partition: int) -> None:
        """Forget what was read from a partition that belongs to another process now."""
        for sender in self._senders.values():
            for lane, queue in sender.lanes.items():
                kept = deque(waiting for waiting in queue if waiting.partition != partition)
                self._ids -= {w.command.command_id for w in queue if w.partition == partition}
                sender.lanes[lane] = kept
