"""Records as they are handed from a fetch to a processor, and the chain that none of them falls out of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from faust.types import TP

BATCH = 256


class PlaceLost(Exception):
    """Records were fetched and not handled: to go on, and to commit, would be to lose them."""


class Batch(NamedTuple):
    """Records of one partition in their order, at most `BATCH`. `epoch`: between which two rebalances they
    were read; `follows`: the offset that must have been reached before, so that nothing is passed over."""

    tp: TP
    epoch: int
    follows: int
    records: Sequence[Any]

    @property
    def end(self) -> int:
        """The offset behind the last of them."""
        return int(self.records[-1].offset) + 1


class Chain:
    """What was fetched of each partition since it was assigned. Guarantees: a batch can be told from one with
    something unhandled before it, also when that was fetched and never handed on."""

    def __init__(self) -> None:
        self._begun: dict[TP, int] = {}
        self._ends: dict[TP, int] = {}

    def batches(self, tp: TP, epoch: int, records: Sequence[Any]) -> Iterator[Batch]:
        """The records of one fetch. Between them and those before there may be offsets, but no records: those
        of transaction markers, and of what was compacted away."""
        first = int(records[0].offset)
        self._begun.setdefault(tp, first)
        follows = min(self._ends.get(tp, first), first)
        self._ends[tp] = int(records[-1].offset) + 1
        for start in range(0, len(records), BATCH):
            batch = Batch(tp, epoch, follows, records[start : start + BATCH])
            follows = batch.end
            yield batch

    def check(self, batch: Batch, reached: Mapping[TP, int]) -> None:
        """`reached`: the offset behind the last record handled. Raises PlaceLost."""
        position = reached.get(batch.tp, self._begun[batch.tp])
        if batch.follows > position:
            raise PlaceLost(
                f"{batch.tp.topic} [{batch.tp.partition}]: what lies between the offsets {position} and "
                f"{batch.follows} was fetched and not handled; it is read again after a restart"
            )
