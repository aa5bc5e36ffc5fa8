"""Reading the lanes: which partitions are ours, how far they may be committed, and when to stop reading one.

What people decide about sending is read as the lanes are, by whoever owns the partition.
Guarantees: the first command of a partition is read only after its journal and its decisions were, a
partition is given away only after `let_go` has finished with it, and nothing read before that comes out after
it. Leaves to others: what a command means, and the commit itself.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import JournalEntry, OutboundControl
from schemas.snapshot import read_partition
from schemas.topics import Topic
from schemas.vocabulary import Priority
from sinks.outbound.committed import committed
from sinks.outbound.config import GROUP, OutboundConfig
from sinks.outbound.controls import Numbered
from sinks.outbound.journal import Journal
from sinks.outbound.offsets import Offsets
from sinks.outbound.watching import Place
from streams.progress import Progress

log = structlog.get_logger(__name__)

LANES = {Topic.commands(lane): lane for lane in Priority}
# A slow sender's commands must not keep those behind them in the partition from being read, as long as there
# is memory: some 200 MB in all (2 kB a command). Beyond it every partition of a lane still has its share.
_MOST_WAITING = 100_000
_SHARE = 2_000
_LOOK_EVERY_S = 0.5
_BATCH = 500
_TIMEOUT_S = 30.0


class Known(NamedTuple):
    """What the topics know of a partition that was taken over."""

    journal: Journal
    controls: tuple[Numbered, ...]


class Commitment(NamedTuple):
    """What a transaction commits of the lanes, and as whom."""

    places: list[TopicPartition]
    group: object


class Reader:
    """Must be created on the running event loop. Its callbacks are called there, too."""

    def __init__(
        self,
        config: OutboundConfig,
        codec: Codec,
        taken_over: Callable[[Mapping[int, Known]], None],
        let_go: Callable[[set[int]], Coroutine[Any, Any, None]],
    ) -> None:
        self._kafka = config.kafka
        self._codec = codec
        self._taken_over = taken_over
        self._let_go = let_go
        self._loop = asyncio.get_running_loop()
        name = f"{GROUP}-{config.instance}"
        self._consumer = Consumer(
            config.kafka.consumer(name, GROUP)
            | {
                "group.instance.id": name,
                "session.timeout.ms": int(config.session_timeout_s * 1000),
                # The only way to know of a partition's end: behind the last record stand transaction markers.
                "enable.partition.eof": True,
                # What is fetched already is handed out in its order, whatever the lane: an urgent command
                # would wait behind a hundred thousand of bulk. So fetch little, and again soon.
                "queued.min.messages": 500,
                "fetch.queue.backoff.ms": 5,
                "max.partition.fetch.bytes": 131_072,
            }
        )
        self._owned: set[int] = set()
        self._offsets: dict[tuple[str, int], Offsets] = {}
        self._paused: set[tuple[str, int]] = set()
        self._ends: dict[tuple[str, int], int] = {}
        self._known_ends: dict[tuple[str, int], int] = {}
        self._looked_at = 0.0
        self._moved = False
        self._rebalances = 0
        self._group: object = None
        self._gives_away = True

    def start(self) -> None:
        self._consumer.subscribe([*LANES, Topic.CONTROLS], on_assign=self._assigned, on_revoke=self._revoked)

    async def read(self, wait_s: float) -> list[Message]:
        """The next commands, waiting for the first no longer than this; each must be `done` some day.

        Raises KafkaException when this consumer can never read again, as when another took its name.
        """
        messages: list[Message] = []
        for message in await asyncio.to_thread(self._poll, wait_s):
            error = message.error()
            # A fatal error read from the consumer says so by its code only (tested).
            if error is not None and (error.fatal() or error.code() == KafkaError._FATAL):
                raise KafkaException(error)
            if error is not None:
                log.warning("consumer", error=error.str())
                continue
            self._place(str(message.topic()), message.partition() or 0).add(message.offset() or 0)
            self._moved = True
            messages.append(message)
        return messages

    def done(self, topic: str, partition: int, offset: int) -> None:
        """This command need not be read again; committed with the next turn."""
        offsets = self._offsets.get((topic, partition))
        if offsets is not None:
            offsets.done(offset)
            self._moved = True

    def has_moved(self) -> bool:
        """Whether there is anything to commit since the last `progress`."""
        return self._moved

    def progress(self) -> Commitment:
        """What may be committed now; never nothing while a partition is ours.

        The broker compares the group's generation only with offsets at hand (KIP-447): a transaction without
        any would be taken also from a process whose partitions another has taken over.
        """
        self._moved = False
        places = [
            TopicPartition(topic, partition, position)
            for (topic, partition), offsets in self._offsets.items()
            if (position := offsets.position()) is not None
        ]
        return Commitment(places, self._group)

    def press_back(self) -> None:
        """When too much is waiting, stop reading where it waits; the others go on.

        Not before a tenth of it has gone is everything read again: who pauses throws away what was fetched.
        """
        waiting = sum(map(len, self._offsets.values()))
        crowded = waiting >= (_MOST_WAITING * 9 // 10 if self._paused else _MOST_WAITING)
        full = {place for place, offsets in self._offsets.items() if crowded and len(offsets) >= _SHARE}
        if full != self._paused:
            self._consumer.pause([TopicPartition(*place) for place in full - self._paused])
            self._consumer.resume([TopicPartition(*place) for place in self._paused - full])
            self._paused = full

    def reading(self) -> dict[Place, Progress]:
        """How far each partition is that nothing keeps from being read. Asks nobody: what is known here."""
        found: dict[Place, Progress] = {}
        for (topic, partition), offsets in tuple(self._offsets.items()):
            if (topic, partition) in self._paused:
                continue
            end = self._known_ends.get((topic, partition), 0)
            position = max(offsets.read_up_to() or 0, self._ends.get((topic, partition), 0))
            found[Place(topic, partition)] = Progress(position, max(end, 0))
        return found

    async def close(self) -> None:
        """Give the partitions away as they are: what is not committed, the journal tells the next owner."""
        # Whoever asked the consumer anything from here on would wait for the close, and the close for them.
        self._gives_away = False
        await asyncio.to_thread(self._consumer.close)

    def _place(self, topic: str, partition: int) -> Offsets:
        return self._offsets.setdefault((topic, partition), Offsets())

    def _poll(self, wait_s: float) -> list[Message]:
        """In the consumer's thread: a batch that no rebalance divides.

        `consume` would hand out, after it, what it had taken from partitions that were given away in between.
        """
        messages: list[Message] = []
        rebalances = self._rebalances
        message = self._consumer.poll(wait_s)
        while message is not None:
            if rebalances != self._rebalances:
                rebalances = self._rebalances
                messages.clear()
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                self._ends[str(message.topic()), message.partition() or 0] = message.offset() or 0
            else:
                messages.append(message)
            message = self._consumer.poll(0) if len(messages) < _BATCH else None
        if time.monotonic() >= self._looked_at + _LOOK_EVERY_S:
            self._look_ahead()
        return messages if rebalances == self._rebalances else []

    def _look_ahead(self) -> None:
        """How far the partitions go, by what was fetched last.

        In the consumer's thread only: during a rebalance it answers no other, and that waits for the loop.
        """
        self._looked_at = time.monotonic()
        for place in tuple(self._offsets):
            _, end = self._consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
            self._known_ends[place] = end

    # -- rebalance, in the consumer's thread ----------------------------------------------------------------

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._rebalances += 1
        stands = committed(consumer, places, _TIMEOUT_S)
        # Asked here and kept: it changes with the assignment only, and another thread that asked for it
        # during a rebalance would wait for the rebalance, which waits for that thread's commit.
        self._group = consumer.consumer_group_metadata()
        new = {place.partition for place in places} - self._owned
        known = {
            partition: Known(self._read_journal(partition), self._read_controls(partition))
            for partition in sorted(new)
        }
        asyncio.run_coroutine_threadsafe(self._take_over(known, stands), self._loop).result()

    async def _take_over(self, known: Mapping[int, Known], stands: list[TopicPartition]) -> None:
        for place in stands:
            self._offsets[str(place.topic), place.partition] = Offsets(max(place.offset, 0))
        self._owned |= known.keys()
        self._taken_over(known)

    def _read_journal(self, partition: int) -> Journal:
        journal = Journal()
        for entry in read_partition(self._kafka, "notifystream-journal", Topic.JOURNAL, partition):
            if entry.value is not None:
                journal.record(self._codec.decode(entry.value, JournalEntry))
        log.info("journal read", partition=partition, commands=len(journal))
        return journal

    def _read_controls(self, partition: int) -> tuple[Numbered, ...]:
        found: list[Numbered] = []
        for entry in read_partition(self._kafka, "notifystream-controls", Topic.CONTROLS, partition):
            if entry.value is None:
                continue
            try:
                found.append(Numbered(entry.offset, self._codec.decode(entry.value, OutboundControl)))
            except WireError as unreadable:
                # It was put aside when it was first read, and is kept in its topic for as long as its key is.
                log.error("a decision cannot be read", offset=entry.offset, reason=unreadable.reason)
        return tuple(found)

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._rebalances += 1
        if self._gives_away:
            asyncio.run_coroutine_threadsafe(self._give_away(places), self._loop).result()
            # One that comes back must be read again.
            paused = {(str(place.topic), place.partition) for place in places} & self._paused
            consumer.resume([TopicPartition(*place) for place in paused])
            self._paused -= paused

    async def _give_away(self, places: list[TopicPartition]) -> None:
        partitions = {place.partition for place in places}
        await self._let_go(partitions)
        for place in places:
            self._offsets.pop((str(place.topic), place.partition), None)
            self._ends.pop((str(place.topic), place.partition), None)
            self._known_ends.pop((str(place.topic), place.partition), None)
        self._owned -= partitions
