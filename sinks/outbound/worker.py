"""One outbound process: commands in, at the senders' rates, each called at most once; answers and proofs out.

Thin: what to do is decided in `lanes`, `journal`, `settle` and `reports`; here it is carried from the reader
to the provider and into turns (`turn` says what a crash leaves behind). One consumer owns a sender, because
commands are keyed by sender, so its bucket and its journal live in one place.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping

import msgspec
from confluent_kafka import Message
from prometheus_client import REGISTRY

from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import JournalEntry, OutboundCommand
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, CommandResult
from sinks.outbound import cancels, doubts, fetches
from sinks.outbound.books import Books, now_ms
from sinks.outbound.brakes import Brakes
from sinks.outbound.calls import Calls
from sinks.outbound.cancels import Cancels
from sinks.outbound.config import GROUP, OutboundConfig
from sinks.outbound.consent_view import ConsentView
from sinks.outbound.doubts import Doubts
from sinks.outbound.fetches import Fetches
from sinks.outbound.journal import bounded, started
from sinks.outbound.lanes import Lanes, Release, Waiting
from sinks.outbound.metrics import Metrics
from sinks.outbound.operating import Operating
from sinks.outbound.pacing.clock import SteadyClock
from sinks.outbound.provider import Providers
from sinks.outbound.providers import providers_of
from sinks.outbound.rates import rates_of
from sinks.outbound.reader import LANES, Known, Reader
from sinks.outbound.stalls import collect_rarely
from sinks.outbound.starts import Starts
from sinks.outbound.turn import Transactions
from sinks.outbound.watching import Watching
from streams.probe import served

_BUSY_WAIT_S, _IDLE_WAIT_S = 0.005, 0.05
_TAKEN_AT_ONCE = 50
_CONNECTIONS_BESIDE_CALLS = doubts.PARALLEL + fetches.PARALLEL + cancels.PARALLEL


class Worker:
    """Must be created on the running event loop."""

    def __init__(
        self, config: OutboundConfig, on_ready: Callable[[str], None], providers: Providers | None = None
    ) -> None:
        """`providers` are the deployment's own unless others are given."""
        self._config = config
        self._on_ready = on_ready
        self._codec = Codec(config.schema_registry_url)
        self._consent = ConsentView(config.kafka, self._codec, config.streams_group, config.policies)
        self._transactions = Transactions(config.kafka, self._codec, f"{GROUP}-{config.instance}")
        self._providers = providers or providers_of(config, config.concurrency + _CONNECTIONS_BESIDE_CALLS)
        self._reader = Reader(config, self._codec, self._taken_over, self._let_go)
        self._books = Books()
        self._clock = SteadyClock()
        rates = rates_of(config)
        self._lanes = Lanes(rates)
        self._operating = Operating(
            config.instance,
            config.states_every_s,
            self._codec,
            self._books,
            self._lanes,
            rates,
            self._reader.done,
        )
        self._brakes = Brakes(self._lanes, self._operating, self._clock.now, self._day_zone)
        self._cancels = Cancels(self._providers, self._books, self._done)
        self._calls = Calls(
            self._providers, config.public_base_url, self._books, self._brakes, self._cancels, self._over
        )
        self._starts = Starts(self._lanes, self._calls, self._clock)
        self._fetches = Fetches(self._providers, self._books, self._brakes, self._done, config.fetches_per_s)
        self._doubts = Doubts(self._providers, config.settle_after_s, config.hold_after_s)
        self._watching = Watching(self._reader.reading)
        self.liveness = self._watching.liveness
        self.metrics = Metrics(
            self._operating.states, self._books, self._watching, self._reader.reading, self._clock.now
        )
        self.stopping = False

    async def run(self) -> None:
        """Work until `stopping` is set, then finish the calls under way and commit their results."""
        try:
            await asyncio.to_thread(self._transactions.start)
            await asyncio.to_thread(self._consent.start)
            await self._consent.catch_up()
            self._reader.start()
            self.metrics.on_loop()
            self._watching.start()
            while not self.stopping:
                for number, message in enumerate(await self._reader.read(self._wait_s()), 1):
                    self._take(message)
                    if number % _TAKEN_AT_ONCE == 0:
                        await asyncio.sleep(0)  # calls that are due must not wait for all of them
                self._settle_doubts()
                self._operating.tick(self._clock.now())
                await self._commit_turn(self._release())
                self._reader.press_back()
            await self._finish()
        finally:
            self._watching.stop()
            self._starts.cancel()
            self._calls.cancel()
            self._fetches.cancel()
            self._cancels.cancel()
            for provider in self._providers.values():
                await provider.close()
            await self._reader.close()
            await asyncio.to_thread(self._consent.close)
            self._codec.close()

    # -- in -------------------------------------------------------------------------------------------------

    def _take(self, message: Message) -> None:
        topic, partition, offset = str(message.topic()), message.partition() or 0, message.offset() or 0
        if topic == Topic.CONTROLS:
            self._operating.take(message, self._clock.now())
            return
        try:
            command = bounded(self._codec.decode(message.value(), OutboundCommand))
        except WireError as unreadable:
            self._books.bury(message, unreadable)
            self._reader.done(topic, partition, offset)
            return
        waiting = Waiting(command, LANES[Topic(topic)], topic, partition, offset)
        match command.kind:
            case CommandKind.SETTLE:
                self._take_evidence(waiting)
                self._done(waiting)
            case CommandKind.FETCH:
                self._fetches.begin(waiting)
            case CommandKind.HEED:
                self._heed(waiting)
                self._done(waiting)
            case CommandKind.CANCEL:
                self._take_cancellation(waiting)
            case CommandKind.SEND:
                journal = self._books.journals[partition]
                if journal.knows(command.command_id) or self._lanes.holds(command.command_id):
                    self._done(waiting)  # a second copy
                else:
                    self._lanes.add(waiting, self._clock.now())

    def _take_evidence(self, waiting: Waiting) -> None:
        """A callback has shown that a command in doubt was carried out."""
        command_id = waiting.command.command_id.removesuffix(":settle")
        entry = self._books.journals[waiting.partition].open_entry(command_id)
        if entry is None or self._is_under_way(command_id) or waiting.command.sid is None:
            return
        self._books.close(
            waiting.partition, entry, CommandResult.ACCEPTED, waiting.command.sid, "by callback"
        )

    def _heed(self, waiting: Waiting) -> None:
        """A callback has told of a message's failure what concerns those behind it."""
        command = waiting.command
        provider = self._providers.get(command.provider)
        if provider is not None and command.error_code is not None:
            verdict = provider.verdict(command.error_code, command.sender)
            self._brakes.told_at(command.created_at, waiting, command.error_code, verdict)

    def _take_cancellation(self, waiting: Waiting) -> None:
        """From now on it is never started, also when it is read later. What was started is canceled where it
        still waits at the provider, and else left alone."""
        command_id = waiting.command.command_id.removesuffix(":cancel")
        if self._books.journals[waiting.partition].knows(command_id):
            self._cancels.begin(waiting, command_id, self._is_under_way(command_id))
            return
        command = msgspec.structs.replace(waiting.command, command_id=command_id)
        detail = "the recipient was reached by an earlier attempt"
        self._books.close(waiting.partition, started(command, now_ms()), CommandResult.CANCELED, None, detail)
        self._done(waiting)

    def _settle_doubts(self) -> None:
        for partition, journal in self._books.journals.items():
            for proof in self._doubts.proofs(partition):
                entry = journal.open_entry(proof.command_id)
                # Since the look-up a callback may have shown whose the message is.
                taken = proof.sid is not None and journal.claimed(proof.sid)
                if entry is not None and not taken and not self._is_under_way(proof.command_id):
                    self._books.close(partition, entry, proof.result, proof.sid, proof.detail)
            under_way = self._calls.under_way() | self._starts.commands()
            self._doubts.look_up(partition, journal, under_way, now_ms())

    def _is_under_way(self, command_id: str) -> bool:
        return command_id in self._calls or command_id in self._starts

    # -- out ------------------------------------------------------------------------------------------------

    def _wait_s(self) -> float:
        """How long there is nothing to do if nothing comes: answers are looked for often."""
        busy = bool(self._books.has_news() or self._calls or self._starts)
        longest_s = _BUSY_WAIT_S if busy else _IDLE_WAIT_S
        next_at = self._lanes.next_at()
        if next_at is None or self._lanes.busy() >= self._config.concurrency:
            return longest_s
        return min(longest_s, max(0.0, (next_at - self._clock.now()) / 1000))

    def _release(self) -> Release:
        return self._lanes.release(self._config.concurrency - self._lanes.busy(), self._clock.now())

    async def _commit_turn(self, released: Release) -> None:
        """Decide about what was released, commit, then call."""
        if self._books.has_news():
            self._watching.has_news()
        if released.called_up:
            await self._consent.catch_up()
        now = now_ms()
        # From here, not from the commit's end: whoever finds the entry waits from its time on for proof, also
        # when this process stood still in between.
        begin_before = time.monotonic() + self._config.call_window_s
        to_call: list[tuple[Waiting, JournalEntry]] = []
        for waiting in released.expired:
            self._end_uncalled(waiting, now, CommandResult.EXPIRED, "its turn came too late")
        for waiting in released.called_up:
            command = waiting.command
            if self._knows(waiting):
                self._end_uncalled(waiting, now, CommandResult.CANCELED, "canceled while it waited")
            elif command.not_after <= now:
                self._end_uncalled(waiting, now, CommandResult.EXPIRED, "its turn came too late")
            elif self._consent.forbids(command.tenant, command.recipient, command.channel, command.sender):
                self._end_uncalled(waiting, now, CommandResult.SUPPRESSED, "opted out")
            else:
                entry = started(command, now)
                self._books.start(waiting.partition, entry)
                to_call.append((waiting, entry))
                self._done(waiting)
        if not self._books.has_news() and not self._reader.has_moved():
            return
        turn, progress = self._books.take_turn(), self._reader.progress()
        await asyncio.to_thread(self._transactions.commit, turn, progress.places, progress.group)
        self._watching.committed()
        self._starts.add(to_call, begin_before)

    def _end_uncalled(self, waiting: Waiting, now: int, result: CommandResult, detail: str) -> None:
        """It ends without a call. What is known of it already, as when it was canceled, stays so."""
        self._lanes.withdraw(waiting.command.command_id, self._clock.now())
        if not self._knows(waiting):
            self._books.close(waiting.partition, started(waiting.command, now), result, None, detail)
        self._done(waiting)

    def _knows(self, waiting: Waiting) -> bool:
        return self._books.journals[waiting.partition].knows(waiting.command.command_id)

    def _over(self, command_id: str) -> None:
        self._lanes.over(command_id, self._clock.now())

    def _day_zone(self, sender: str) -> str | None:
        profile = self._config.policies.sender(sender)
        return profile.day_zone if profile is not None else None

    def _done(self, waiting: Waiting) -> None:
        self._reader.done(waiting.topic, waiting.partition, waiting.offset)

    # -- partitions come and go -----------------------------------------------------------------------------

    def _taken_over(self, known: Mapping[int, Known]) -> None:
        for partition, (journal, controls) in known.items():
            self._books.take_over(partition, journal)
            self._lanes.take_over(partition, journal.spending, self._clock.now())
            self._operating.take_over(partition, controls, self._clock.now())
        collect_rarely()
        self._on_ready(GROUP)

    async def _let_go(self, partitions: set[int]) -> None:
        """Finish what is under way, commit it, then forget the partitions."""
        await self._finish()
        for partition in partitions:
            self._books.let_go(partition)
            self._operating.let_go(partition, self._clock.now())
            self._lanes.drop(partition)
            self._doubts.drop(partition)

    async def _finish(self) -> None:
        """Wait for the calls under way and commit what they brought."""
        await self._starts.finish()
        await self._calls.finish()
        await self._commit_turn(Release([], []))


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
        REGISTRY.register(worker.metrics)
        try:
            with served(worker.liveness, config.health_host, config.health_port):
                await worker.run()
        finally:
            REGISTRY.unregister(worker.metrics)

    asyncio.run(main())
