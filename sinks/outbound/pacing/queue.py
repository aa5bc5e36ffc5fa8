"""Whose turn it is among the commands of one sender. Pure.

Guarantees: urgent before normal before bulk; in a lane the order of arrival, except that a command steps
aside while its recipient is busy (one to the same recipient is under way) or its tenant or provider is
paused; and then those to the same recipient of the same tenant step aside behind it, so their order is kept.
Each command is looked at a few times in all, not once a turn: one that must step aside is set aside, and
comes back, in its old place, when what held it is over.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import NamedTuple

from schemas.records import OutboundCommand
from schemas.vocabulary import Priority
from sinks.outbound.pacing.pauses import Scope
from sinks.outbound.pacing.waiting import Waiting

ORDER = (Priority.URGENT, Priority.NORMAL, Priority.BULK)

_Key = tuple[str, str]
_Group = Callable[[OutboundCommand], Scope | None]


class _Item(NamedTuple):
    number: int
    waiting: Waiting

    @property
    def key(self) -> _Key:
        return self.waiting.command.tenant, self.waiting.command.recipient


class _Lane:
    """One lane: those not looked at yet, those set aside by key, and those that came back."""

    def __init__(self) -> None:
        self.there: dict[str, Waiting] = {}
        self.fresh: deque[_Item] = deque()
        self.aside: dict[_Key, deque[_Item]] = {}
        self.back: list[_Item] = []
        self.back_keys: set[_Key] = set()

    def add(self, item: _Item) -> None:
        self.there[item.waiting.command.command_id] = item.waiting
        self.fresh.append(item)

    def still_there(self, item: _Item) -> bool:
        return self.there.get(item.waiting.command.command_id) is item.waiting

    def head(self) -> _Item | None:
        """The first that is not known to be held. What expired meanwhile is forgotten on the way."""
        while self.back and not self.still_there(self.back[0]):
            key = heappop(self.back).key
            self.back_keys.discard(key)
            self.come_back(key)
        while self.fresh:
            first = self.fresh[0]
            if not self.still_there(first):
                self.fresh.popleft()
            elif first.key in self.aside or first.key in self.back_keys:
                self.fresh.popleft()
                self.aside.setdefault(first.key, deque()).append(first)
            else:
                break
        if self.back and (not self.fresh or self.back[0].number < self.fresh[0].number):
            return self.back[0]
        return self.fresh[0] if self.fresh else None

    def set_aside(self, head: _Item) -> None:
        self._take(head)
        self.aside.setdefault(head.key, deque()).appendleft(head)

    def remove(self, head: _Item) -> bool:
        """Its turn has come. Whether others with its key are set aside."""
        self._take(head)
        del self.there[head.waiting.command.command_id]
        return head.key in self.aside

    def forget(self, waiting: Waiting) -> bool:
        if self.there.pop(waiting.command.command_id, None) is None:
            return False
        # What is behind it may be held by something else, or by nothing.
        key = _Item(0, waiting).key
        if key in self.aside and self.aside[key][0].waiting is waiting:
            self.come_back(key)
        return True

    def come_back(self, key: _Key) -> None:
        """The first that was set aside with this key may be looked at again."""
        waiting = self.aside.get(key)
        if waiting is None or key in self.back_keys:
            return
        while waiting and not self.still_there(waiting[0]):
            waiting.popleft()
        if waiting:
            heappush(self.back, waiting.popleft())
            self.back_keys.add(key)
        if not waiting:
            del self.aside[key]

    def _take(self, head: _Item) -> None:
        if self.back and self.back[0] is head:
            heappop(self.back)
            self.back_keys.discard(head.key)
        else:
            self.fresh.popleft()


class SenderQueue:
    """`busy` are the recipients that a command is under way to."""

    def __init__(self) -> None:
        self._lanes = {lane: _Lane() for lane in ORDER}
        self._number = 0
        self._busy: set[str] = set()
        self._held_by_recipient: dict[str, list[tuple[_Lane, _Key]]] = {}
        self._held_by_group: dict[Scope, list[tuple[_Lane, _Key]]] = {}

    def __len__(self) -> int:
        return sum(len(lane.there) for lane in self._lanes.values())

    def add(self, waiting: Waiting) -> None:
        self._number += 1
        self._lanes[waiting.lane].add(_Item(self._number, waiting))

    def first(self, group: _Group) -> Waiting | None:
        """The one whose turn it is; `group` says what keeps a command waiting that its sender could send."""
        found = self._find(group)
        return found[1].waiting if found else None

    def take_first(self, group: _Group) -> Waiting | None:
        """Take it out: it is under way, and its recipient is busy until `free`."""
        found = self._find(group)
        if found is None:
            return None
        lane, item = found
        recipient = item.waiting.command.recipient
        self._busy.add(recipient)
        if lane.remove(item):
            self._held_by_recipient.setdefault(recipient, []).append((lane, item.key))
        return item.waiting

    def free(self, recipient: str) -> None:
        self._busy.discard(recipient)
        for lane, key in self._held_by_recipient.pop(recipient, ()):
            lane.come_back(key)

    def resume(self, group: Scope) -> None:
        for lane, key in self._held_by_group.pop(group, ()):
            lane.come_back(key)

    def remove(self, waiting: Waiting) -> bool:
        """It will not be sent, but ends otherwise. False when it is not here."""
        return self._lanes[waiting.lane].forget(waiting)

    def is_held_by(self, group: Scope) -> bool:
        """Whether anything was found that waits for this only."""
        return group in self._held_by_group

    def waiting(self, lane: Priority) -> int:
        return len(self._lanes[lane].there)

    def oldest(self, lane: Priority) -> Waiting | None:
        """The one that came first."""
        return next(iter(self._lanes[lane].there.values()), None)

    def _find(self, group: _Group) -> tuple[_Lane, _Item] | None:
        for lane in self._lanes.values():
            while (head := lane.head()) is not None:
                held = self._holder(lane, head, group)
                if held is None:
                    return lane, head
                lane.set_aside(head)
                held.append((lane, head.key))
        return None

    def _holder(self, lane: _Lane, head: _Item, group: _Group) -> list[tuple[_Lane, _Key]] | None:
        recipient = head.waiting.command.recipient
        if recipient in self._busy:
            return self._held_by_recipient.setdefault(recipient, [])
        scope = group(head.waiting.command)
        return None if scope is None else self._held_by_group.setdefault(scope, [])
