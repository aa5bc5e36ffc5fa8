"""One outbound process: commands in, at the senders' rates, each called at most once; answers and proofs out.

Thin: what to do is decided in `lanes`, `journal`, `settle` and `reports`; here it is carried from the
consumer to the provider and into turns (`turn` says what a crash leaves behind). One consumer owns a sender,
because commands are keyed by sender, so its bucket and its journal live in one place.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog
from confluent_kafka import Consumer, Message, TopicPartition

from ingress.callback_url import status_callback_url
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import DeadLetter, JournalEntry, OutboundCommand
from schemas.snapshot import read_partition
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, CommandResult, Priority
from sinks.outbound.config import GROUP, OutboundConfig
from sinks.outbound.consent_view import ConsentView
from sinks.outbound.doubts import Doubts
from sinks.outbound.journal import Journal, ended, started
from sinks.outbound.lanes import Lanes, Waiting
from sinks.outbound.offsets import Offsets
from sinks.outbound.provider import Ambiguous, LookupFailed, NotSent, Provider
from sinks.outbound.reports import report, report_of, result_of
from sinks.outbound.turn import Transactions, Turn
from sinks.outbound.twilio_api import TwilioMessages

log = structlog.get_logger(__name__)

_LANES = {Topic.commands(lane): lane for lane in Priority}
_MAX_WAITING = 2_000
_BATCH = 500
_THROTTLE_PAUSE_S = 1.0
_FETCHES = 4


class Worker:
    """Must be created on the running event loop."""

    def __init__(self, config: OutboundConfig, on_ready: Callable[[str], None]) -> None:
        self._config = config
        self._on_ready = on_ready
        self._loop = asyncio.get_running_loop()
        self._codec = Codec(config.schema_registry_url)
        self._consent = ConsentView(config.kafka, self._codec, config.streams_group)
        self._transactions = Transactions(config.kafka, self._codec, f"{GROUP}-{config.instance}")
        self._provider: Provider = TwilioMessages(config.twilio, config.concurrency + _FETCHES)
        self._consumer = Consumer(
            config.kafka.consumer(f"{GROUP}-{config.instance}", GROUP)
            | {
                "group.instance.id": f"{GROUP}-{config.instance}",
                "session.timeout.ms": int(config.session_timeout_s * 1000),
            }
        )
        self._journals: dict[int, Journal] = {}
        self._offsets: dict[tuple[str, int], Offsets] = {}
        self._lanes = Lanes(config.sender_rate, config.sender_burst)
        self._doubts = Doubts(self._provider, config.settle_after_s, config.hold_after_s)
        self._turn = Turn()
        self._moved = False
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._fetch_slots = asyncio.Semaphore(_FETCHES)
        self._fetches: set[asyncio.Task[None]] = set()
        self._paused: set[tuple[str, int]] = set()
        self._failed = False
        self.stopping = False

    async def run(self) -> None:
        """Work until `stopping` is set, then finish the calls under way and commit their results."""
        await self._in_thread(self._transactions.start)
        await self._in_thread(self._consent.start)
        await self._consent.catch_up()
        self._consumer.subscribe(list(_LANES), on_assign=self._assigned, on_revoke=self._revoked)
        try:
            while not self.stopping:
                wait_s = 0.005 if self._calls or self._lanes or self._turn else 0.05
                for message in await self._in_thread(partial(self._consumer.consume, _BATCH, wait_s)):
                    self._take(message)
                self._settle_doubts()
                await self._commit_turn(self._release())
                self._press_back()
            await self._finish(set(self._journals))
        except BaseException:
            self._failed = True
            raise
        finally:
            for task in (*self._calls.values(), *self._fetches):
                task.cancel()
            await self._provider.close()
            await self._in_thread(self._consumer.close)
            await self._in_thread(self._consent.close)

    # -- in -------------------------------------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            log.warning("consumer", error=error.str())
            return
        topic, partition, offset = str(message.topic()), message.partition() or 0, message.offset() or 0
        offsets = self._offsets.setdefault((topic, partition), Offsets())
        offsets.add(offset)
        self._moved = True
        try:
            command = self._codec.decode(message.value(), OutboundCommand)
        except WireError as unreadable:
            self._bury(message, unreadable)
            offsets.done(offset)
            return
        waiting = Waiting(command, _LANES[Topic(topic)], topic, partition, offset)
        match command.kind:
            case CommandKind.SETTLE:
                self._take_evidence(waiting)
                offsets.done(offset)
            case CommandKind.FETCH:
                self._spawn_fetch(waiting)
            case CommandKind.SEND:
                if self._journals[partition].knows(command.command_id) or self._lanes.holds(
                    command.command_id
                ):
                    offsets.done(offset)  # a second copy
                else:
                    self._lanes.add(waiting, time.monotonic())

    def _take_evidence(self, waiting: Waiting) -> None:
        """A callback has shown that a command in doubt was carried out."""
        command_id = waiting.command.command_id.removesuffix(":settle")
        entry = self._journals[waiting.partition].open_entry(command_id)
        if entry is None or command_id in self._calls or waiting.command.sid is None:
            return
        self._close(waiting.partition, entry, CommandResult.ACCEPTED, waiting.command.sid, "by callback")

    # -- out ------------------------------------------------------------------------------------------------

    def _release(self) -> list[Waiting]:
        return self._lanes.release(self._config.concurrency - len(self._calls), time.monotonic())

    async def _commit_turn(self, released: list[Waiting]) -> None:
        """Decide about what was released, commit, then call."""
        if released:
            await self._consent.catch_up()
        now = _now_ms()
        to_call: list[tuple[Waiting, JournalEntry]] = []
        for waiting in released:
            command = waiting.command
            entry = started(command, now)
            if command.not_after <= now:
                self._close(waiting.partition, entry, CommandResult.EXPIRED, None, "its turn came too late")
            elif self._consent.forbids(command.tenant, command.recipient, command.channel):
                self._close(waiting.partition, entry, CommandResult.SUPPRESSED, None, "opted out")
            else:
                self._journal(waiting.partition, entry)
                to_call.append((waiting, entry))
            self._offsets[waiting.topic, waiting.partition].done(waiting.offset)
        if not self._turn and not self._moved:
            return
        turn, self._turn, self._moved = self._turn, Turn(), False
        places = [
            TopicPartition(topic, partition, position)
            for (topic, partition), offsets in self._offsets.items()
            if (position := offsets.position()) is not None
        ]
        group = self._consumer.consumer_group_metadata() if places else None
        await self._in_thread(lambda: self._transactions.commit(turn, places, group))
        begin_before = time.monotonic() + self._config.call_window_s
        for waiting, entry in to_call:
            self._calls[entry.command_id] = self._loop.create_task(
                self._call(waiting.command, waiting.partition, entry, begin_before)
            )

    async def _call(
        self, command: OutboundCommand, partition: int, entry: JournalEntry, begin_before: float
    ) -> None:
        url = status_callback_url(self._config.public_base_url, command.notification_id, command.attempt)
        began = time.monotonic()
        try:
            answer = await self._provider.send(command, url, begin_before)
        except Exception as unforeseen:  # a call that ends in no known way may have been carried out
            log.exception("a call ended unforeseen", command_id=command.command_id)
            answer = Ambiguous(f"unforeseen {type(unforeseen).__name__}")
        finally:
            self._calls.pop(command.command_id, None)
        latency_ms = int((time.monotonic() - began) * 1000)
        now = _now_ms()
        if isinstance(answer, NotSent):
            pause_s = answer.retry_after_s or _THROTTLE_PAUSE_S
            self._lanes.pause(command.sender, time.monotonic() + pause_s)
        self._journal(partition, ended(entry, result_of(answer), now, getattr(answer, "sid", None)))
        self._turn.report(report_of(entry, answer, latency_ms, now))

    # -- doubts and quiet messages --------------------------------------------------------------------------

    def _settle_doubts(self) -> None:
        for partition, journal in self._journals.items():
            for proof in self._doubts.proofs(partition):
                entry = journal.open_entry(proof.command_id)
                if entry is not None and proof.command_id not in self._calls:
                    self._close(partition, entry, proof.result, proof.sid, proof.detail)
            self._doubts.look_up(partition, journal, frozenset(self._calls), _now_ms())

    def _spawn_fetch(self, waiting: Waiting) -> None:
        task = self._loop.create_task(self._fetch(waiting))
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    async def _fetch(self, waiting: Waiting) -> None:
        """Ask for a quiet message; a failure is not repeated here, delivery asks again by itself."""
        async with self._fetch_slots:
            try:
                status = await self._provider.fetch(waiting.command)
            except LookupFailed as failed:
                log.warning("a message could not be fetched", reason=str(failed))
            else:
                if status is not None:
                    self._turn.status(status)
        offsets = self._offsets.get((waiting.topic, waiting.partition))
        if offsets is not None:
            offsets.done(waiting.offset)
            self._moved = True

    # -- small parts ----------------------------------------------------------------------------------------

    def _close(
        self, partition: int, entry: JournalEntry, result: CommandResult, sid: str | None, detail: str | None
    ) -> None:
        now = _now_ms()
        self._journal(partition, ended(entry, result, now, sid))
        self._turn.report(report(entry, result, now, sid=sid, detail=detail))

    def _journal(self, partition: int, entry: JournalEntry) -> None:
        journal = self._journals.get(partition)
        if journal is not None:
            journal.record(entry)
        self._turn.journal(partition, entry)

    def _bury(self, message: Message, unreadable: WireError) -> None:
        key = message.key()
        self._turn.bury(
            DeadLetter(
                stage="sinks.outbound",
                reason=unreadable.reason,
                detail=str(unreadable),
                topic=str(message.topic()),
                partition=message.partition() or 0,
                offset=message.offset() or 0,
                key=key.encode() if isinstance(key, str) else key,
                value=message.value(),
                at=_now_ms(),
            )
        )

    def _press_back(self) -> None:
        """Stop reading a partition of a lane while enough of it is waiting; the others go on."""
        full = {place for place, offsets in self._offsets.items() if len(offsets) >= _MAX_WAITING}
        if full != self._paused:
            self._consumer.pause([TopicPartition(*place) for place in full - self._paused])
            self._consumer.resume([TopicPartition(*place) for place in self._paused - full])
            self._paused = full

    # -- rebalance ------------------------------------------------------------------------------------------

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """In the consumer's thread: rebuild the journal before the first command of a partition is read."""
        for partition in sorted({place.partition for place in places} - set(self._journals)):
            journal = Journal()
            for entry in read_partition(self._config.kafka, "notifystream-journal", Topic.JOURNAL, partition):
                if entry.value is not None:
                    journal.record(self._codec.decode(entry.value, JournalEntry))
            self._loop.call_soon_threadsafe(self._adopt, partition, journal)
            self._journals[partition] = journal
            log.info("journal read", partition=partition, commands=len(journal))
        self._loop.call_soon_threadsafe(self._on_ready, GROUP)

    def _adopt(self, partition: int, journal: Journal) -> None:
        """Say that what a predecessor left open is in doubt, so that evidence is looked for."""
        for entry in journal.open_entries():
            if entry.state is CommandResult.STARTED:
                self._close(partition, entry, CommandResult.IN_DOUBT, None, "its process ended")

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """In the consumer's thread: finish what is under way there, commit it, then let go."""
        partitions = {place.partition for place in places}
        if self._failed:
            return  # nothing more may be committed: the next owner finds it in the journal
        asyncio.run_coroutine_threadsafe(self._finish(partitions), self._loop).result()
        for place in places:
            self._offsets.pop((str(place.topic), place.partition), None)
            self._paused.discard((str(place.topic), place.partition))
        for partition in partitions:
            self._journals.pop(partition, None)
            self._lanes.drop(partition)
            self._doubts.drop(partition)

    async def _finish(self, partitions: set[int]) -> None:
        """Wait for the calls under way (they have time-outs) and commit what they brought."""
        if partitions and self._calls:
            await asyncio.gather(*self._calls.values())
        await self._commit_turn([])

    def _in_thread(self, call: Callable[[], Any]) -> Coroutine[Any, Any, Any]:
        return asyncio.to_thread(call)


def _now_ms() -> int:
    return int(time.time() * 1000)


def run(config: OutboundConfig, on_ready: Callable[[str], None]) -> None:
    """Send until SIGTERM or SIGINT. Raises TurnFailed or ConsentUnknown when it has to give up.

    `on_ready` is called with the group's name each time partitions are assigned and their journals read.
    """

    async def main() -> None:
        worker = Worker(config, on_ready)

        def stop() -> None:
            worker.stopping = True

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await worker.run()

    asyncio.run(main())
