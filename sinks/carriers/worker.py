"""The carriers process: reads requests beside everybody else and keeps what only who sees the number can
know.

Never in the way of a send: it has a consumer group of its own, and whatever it waits for (the provider,
ClickHouse, the month's budget) costs its own lag only. Guarantees: a request is passed only after what it
taught is in its table. Leaves to others: what a look-up says (`twilio_lookup`), how often to ask
(`asking`), the rows (`store`), and to `notifystream analytics` that the tables exist: until they do, this
waits.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable, WireError
from schemas.records import NotificationRequest
from schemas.topics import Topic
from sinks.analytics.errors import AnalyticsError, ClickHouseAway
from sinks.analytics.privacy import Privacy
from sinks.carriers import metrics
from sinks.carriers.asking import Asking
from sinks.carriers.budget import Budget
from sinks.carriers.config import CarriersConfig
from sinks.carriers.lines import Observation, Seen, attributed, due, first_requests
from sinks.carriers.store import Store
from sinks.carriers.twilio_lookup import Lookups, TwilioLookups
from sinks.outbound.config import TwilioAccount

log = logging.getLogger(__name__)

BATCH = 500
POLL_S = 0.2
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# A topic made after the start is found after this; librdkafka's default is 5 minutes.
METADATA_MS = 5_000

T = TypeVar("T")


class Stopping(Exception):
    """The stop was asked for while waiting: what is not committed is read again next time."""


def run(
    config: CarriersConfig,
    on_ready: Callable[[str], None],
    stop: threading.Event,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> None:
    """Read requests until `stop` is set. Blocks; needs no signal handler and may run in any thread.

    `on_ready` is called once, with what is read, when the group has given this process its partitions. Raises
    AnalyticsError when the broker ends the consumer for good.
    """
    with asyncio.Runner() as runner:
        worker = _Worker(config, on_ready, stop, runner, now_ms)
        try:
            worker.run()
        except Stopping:
            log.info("stopped while waiting; what is not committed is read again")
        finally:
            worker.close()


class _Worker:
    def __init__(
        self,
        config: CarriersConfig,
        on_ready: Callable[[str], None],
        stop: threading.Event,
        runner: asyncio.Runner,
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._on_ready: Callable[[str], None] | None = on_ready
        self._stop = stop
        self._runner = runner
        self._now_ms = now_ms
        self._codec = Codec(config.schema_registry_url)
        self._store = Store(config.clickhouse_url)
        self._hash = Privacy(config.pii_hash_key).recipient_hash
        previous = config.pii_hash_key_previous
        self._old_hash = Privacy(previous).recipient_hash if previous is not None else None
        self._lookups: Lookups | None = None
        self._asking: Asking | None = None
        if config.lookups is not None:
            self._lookups = runner.run(_twilio(config.lookups.account))
            self._asking = Asking(
                self._store,
                Budget(self._store.client, config.lookups.lookups_per_month),
                self._lookups,
                runner,
                config.lookups.lookups_per_s,
                self._keep_membership,
                now_ms,
            )
        # Messages that came while we only meant to keep the membership; they are next.
        self._early: list[Message] = []
        self._paused = False
        settings = config.kafka.consumer("notifystream-carriers", config.group)
        self._consumer = Consumer(settings | {"topic.metadata.refresh.interval.ms": METADATA_MS})

    def run(self) -> None:
        self._consumer.subscribe([Topic.REQUESTS.value], on_assign=self._assigned)
        while not self._stop.is_set():
            messages, self._early = self._early, []
            messages += self._consumer.consume(BATCH, POLL_S)
            if messages:
                self._handle(messages)

    def close(self) -> None:
        self._consumer.close()
        self._store.close()
        if self._lookups is not None:
            self._runner.run(self._lookups.close())
        self._codec.close()

    def _handle(self, messages: Sequence[Message]) -> None:
        """What a crash after each step leaves behind; in every case the next owner reads the requests again:

        Step 1, numbers and links kept: written again as the same rows.
        Step 2, numbers asked: what was kept is known by then and not asked again.
        Step 3, each notification given what stood for its number: written again, as the same row unless more
          is known by then.
        Step 4, offsets committed: nothing of these requests is ever read again.
        """
        passed: dict[int, int] = {}
        seen: list[Seen] = []
        for message in messages:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None:
                self._complain(error)
            elif partition is None or offset is None:
                raise AnalyticsError(f"the broker gave a record without a place: {partition} {offset}")
            else:
                seen += self._until_done("registry", partial(self._seen, message.value()))
                passed[partition] = offset + 1
        if seen:
            self._until_done("clickhouse", lambda: self._keep(seen))
            self._until_done("clickhouse", lambda: self._ask(seen))
            self._until_done("clickhouse", lambda: self._attribute(seen))
        self._commit(passed)

    def _seen(self, value: bytes | None) -> tuple[Seen, ...]:
        try:
            request = self._codec.decode(value, NotificationRequest)
        except WireError as unreadable:
            metrics.UNREADABLE.labels(unreadable.reason).inc()
            return ()
        # A refused request may have no number, or none that exists.
        if request.refusal is not None or not request.recipient:
            return ()
        return (Seen.of(request, self._now_ms()),)

    def _keep(self, seen: Sequence[Seen]) -> None:
        opted_in = [request for request in seen if request.tenant in self._config.number_tenants]
        self._store.keep_numbers(
            opted_in, {request.number: self._hash(request.number) for request in opted_in}
        )
        if self._old_hash is not None:
            numbers = {request.number for request in seen}
            links = {self._old_hash(number): self._hash(number) for number in numbers}
            metrics.LINKED.inc(self._store.link(links, self._now_ms()))

    def _ask(self, seen: Sequence[Seen]) -> None:
        if self._asking is None or self._config.lookups is None:
            return
        self._asking.keep()
        first = first_requests(seen)
        hashes = {number: self._hash(number) for number in first}
        known = self._known(hashes)
        again = self._config.lookups.ask_again_after_ms
        self._asking.ask(due(first, hashes, known, self._now_ms(), again))

    def _attribute(self, seen: Sequence[Seen]) -> None:
        if self._asking is None:
            return
        hashes = {request.number: self._hash(request.number) for request in seen}
        history = self._store.history(set(hashes.values()))
        self._store.keep_attributions(attributed(seen, hashes, history))

    def _known(self, hashes: dict[str, str]) -> dict[str, Observation]:
        """What is known, also under the previous key: a change of keys must not cost a look-up of
        everybody."""
        known = self._store.known(hashes.values())
        if self._old_hash is not None:
            new_by_old = {self._old_hash(number): new for number, new in hashes.items() if new not in known}
            old = self._store.known(new_by_old) if new_by_old else {}
            moved = [one._replace(recipient_hash=new_by_old[hashed]) for hashed, one in old.items()]
            self._store.keep_observations(moved)
            known |= {one.recipient_hash: one for one in moved}
        return known

    def _commit(self, passed: dict[int, int]) -> None:
        # What was taken away meanwhile is its new owner's to commit: ours might lie before or after theirs.
        owned = {partition.partition for partition in self._consumer.assignment()}
        offsets = [
            TopicPartition(Topic.REQUESTS.value, number, offset)
            for number, offset in passed.items()
            if number in owned
        ]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as refused:
            # No longer ours, or the coordinator is away: whoever reads them again finds them known.
            log.warning("commit refused, the requests are read again: %s", refused)

    def _until_done(self, what: str, step: Callable[[], T]) -> T:
        """The step's result, however long what it needs is away; the group membership is kept meanwhile."""
        wait = FIRST_WAIT_S
        while True:
            try:
                result = step()
            except (ClickHouseAway, RegistryUnavailable) as away:
                metrics.WAITS.labels(what).inc()
                log.warning("%s; trying again in %.1f s", away, wait)
                self._keep_membership(wait)
                wait = min(wait * 2, LONGEST_WAIT_S)
            else:
                self._pause(False)
                return result

    def _keep_membership(self, seconds: float) -> None:
        """Poll without reading, so that the group does not take this process for dead. Raises Stopping."""
        self._pause(True)
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.is_set():
                raise Stopping
            message = self._consumer.poll(min(POLL_S, left))
            if message is not None:
                self._early.append(message)

    def _pause(self, paused: bool) -> None:
        if paused == self._paused:
            return
        self._paused = paused
        owned = self._consumer.assignment()
        if owned and paused:
            self._consumer.pause(owned)
        elif owned:
            self._consumer.resume(owned)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(partitions)
        if self._paused and partitions:
            consumer.pause(partitions)
        if self._on_ready is not None:
            self._on_ready(f"group {self._config.group}, {len(partitions)} partitions")
            self._on_ready = None

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            raise AnalyticsError(f"the broker ended this consumer for good: {error}; start it again")
        log.warning("kafka: %s", error)


async def _twilio(account: TwilioAccount) -> Lookups:
    """Made on the loop it will be used on."""
    return TwilioLookups(account)
