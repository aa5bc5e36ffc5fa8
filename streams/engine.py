"""Faust, hardened and made fast from outside: where it would lose, tear or dawdle, and the remedy.

Faust keeps the group membership, the assignment, the agents and the committing of offsets. What is different:

- *Offsets before effects* (`flush_atmost` gives up after 0.1 s, a failed send is only logged):
  `Consumer._commit_offsets` fixes the offsets, awaits `app.producer.flush()`, then commits; our producer's
  flush commits the transaction, and nothing is sent through Faust's own producer. A failed send fails the
  transaction, and that ends the process.
- *Commits past an event in flight* (#606), *acks in `finally`* (`take()`), *ack gaps* (#597): there are no
  acks. What is committed is the position that an agent reported with `handled`, after it wrote what follows
  from everything before it. One agent per topic set, one event after the other.
- *exactly_once's faults* (#177, #323, #517): not used. Records of aborted transactions are not read: the
  isolation level is set here.
- *Recovery of an empty or transactional changelog* (#596): no Faust tables. See `table`.
- *Topics of one partition number on different workers*: without tables Faust deals partitions out round robin
  over all topics, so that at five workers a notification's requests and its callbacks, and the same changelog
  partition, belong to two of them. Here: aiokafka's range assignor, which gives a member the same numbers of
  every topic.
- *Consumers that stop consuming* (#175, #640): positions and high watermarks are told by `progress`; a
  process that does not advance is ended by whoever watches `/healthz` (`probe`).
- *A member that the group has given up, and that does not know it yet*: `lease` refuses to commit when no
  heartbeat was answered for a session's time.
- *Events passed over*: what was fetched and dropped in a rebalance is lost when something behind it is
  handled and committed in time; and a fetch that waits through the rebalance brings the first records of the
  next assignment, which Faust drops. Nothing is taken between two assignments (`between_assignments`: from
  before the last commit of the one until Faust knows of the next), and every batch names the offset that must
  have been reached before it (`PlaceLost`).
- *Agents that raise* are restarted behind the event they failed on: agents here never raise.
- *A task, a future, a lock and a dozen calls for every event*: an event of Faust's is here what one fetch
  brought of one partition (`Batch`), at most `BATCH` records.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import faust
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.clients import Kafka
from streams.batches import Batch, Chain
from streams.outputs import Outputs
from streams.progress import Progress

_BATCHES_AHEAD = 16
_FETCH_WAIT_MS = 50
_NOTHING_READY_PAUSE_S = 0.05


class LeaseLost(Exception):
    """The group may have given this process's partitions to another one: it must write nothing more."""


class _Producer(driver.Producer):  # type: ignore[misc]
    async def flush(self) -> None:
        await self.app.outputs.flush()


class _Unremembered(dict[TP, None]):
    """Faust's note of the last offset handed on, by which it drops what is read again after a rebalance."""

    def __getitem__(self, tp: TP) -> None:
        return None


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    heard_at = float("-inf")
    fetched_epoch = 0

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  Faust's signature
        max_records: int | None = None,
    ) -> Mapping[Any, list[Any]]:
        fetched: dict[Any, list[Any]] = await super()._fetch_records(
            consumer, active_partitions, timeout, max_records
        )
        # Nothing may be awaited from here on: these records are of the present assignment. A fetch that was
        # waiting brings the first ones of the next assignment before anybody is ready for them: put back.
        ready = self.consumer.ready
        for tp in [tp for tp in fetched if tp.partition not in ready]:
            records = fetched.pop(tp)
            if tp in consumer.assignment():
                consumer.seek(tp, records[0].offset)
        self.fetched_epoch = self.consumer.epoch
        return fetched

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if consumer._isolation_level != "read_uncommitted":
            raise RuntimeError(
                "this Faust reads with another isolation level than expected: check the driver"
            )
        consumer._isolation_level = "read_committed"
        # Faust asks for 1500 ms: a broker that does not wake a waiting fetch would add that to every hop.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)
        return consumer

    def fetched(self) -> dict[TP, tuple[int, int]]:
        """Position of the fetcher and high watermark of each assigned partition that was read."""
        subscription = self._consumer._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None:
            return {}
        states = {tp: assignment.state_value(tp) for tp in assignment.tps}
        return {
            TP(tp.topic, tp.partition): (state.position, state.highwater)
            for tp, state in states.items()
            if state is not None and state.has_valid_position and state.highwater is not None
        }

    async def on_start(self) -> None:
        await super().on_start()
        coordinator = self._consumer._coordinator
        beat = coordinator._do_heartbeat

        async def noted() -> bool:
            asked_at = time.monotonic()
            answered: bool = await beat()
            if answered:
                self.heard_at = asked_at
            return answered

        coordinator._do_heartbeat = noted


class _Consumer(driver.Consumer):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.epoch = 0
        self.positions: dict[TP, int] = {}
        self.handed: dict[TP, int] = {}
        self._chain = Chain()
        self.between_assignments = False
        self._read_offset = _Unremembered()

    @property
    def ready(self) -> set[int]:
        """Numbers of the partitions whose records may be taken now."""
        is_between = self.between_assignments or not self.flow_active
        return set() if is_between else self.app.ready

    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # -- fetching -------------------------------------------------------------------------------------------

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109  Faust's signature
    ) -> Mapping[TP, list[Any]]:
        wanted = {tp for tp in active_partitions or () if tp.partition in self.app.ready}
        if not wanted:  # for aiokafka an empty set means all
            await asyncio.sleep(_NOTHING_READY_PAUSE_S)
            return {}
        found: Mapping[TP, list[Any]] = await super()._getmany(wanted, timeout)
        return found

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109  Faust's signature
    ) -> AsyncIterator[tuple[TP, Any]]:
        """What one fetch brought, in batches instead of single records."""
        fetched, _ = await self._wait_next_records(timeout)
        if not fetched or self.should_stop or self._thread.fetched_epoch != self.epoch:
            return  # of an assignment that is over: read again from the committed offset
        epoch = self.epoch
        batches = [
            batch for tp, records in fetched.items() for batch in self._chain.batches(tp, epoch, records)
        ]
        for batch in batches:
            if self.epoch != epoch or not self.flow_active:
                return
            self.handed[batch.tp] = batch.end - 1
            yield batch.tp, self._event(batch)

    def _event(self, batch: Batch) -> Any:
        message = self._to_message(batch.tp, batch.records[-1])
        message.key, message.value = None, batch
        return message

    async def perform_seek(self) -> None:
        """Faust seeks to the committed offsets after each rebalance, partition after partition, and breaks
        when the next rebalance comes meanwhile. aiokafka begins each assignment there by itself."""

    # -- committing -----------------------------------------------------------------------------------------

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return iter(list(self.positions))

    def _new_offset(self, tp: TP) -> int | None:
        return self.positions.get(tp)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        # From here on nothing is handled that was read before, and nothing is read: what came now would be
        # handled, and committed, although what lies before it was not.
        self.epoch += 1
        self.between_assignments = True
        await self.commit()
        self.positions.clear()
        self.handed.clear()
        self._chain = Chain()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self._thread.heard_at = time.monotonic()
        self.between_assignments = False
        await super().on_partitions_assigned(assigned, generation_id)

    def check(self, batch: Batch) -> None:
        """Raises PlaceLost."""
        self._chain.check(batch, self.positions)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's look for livelocks knows acks only; ours is `probe`."""


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer
    Producer = _Producer


class _Batches(faust.Schema):  # type: ignore[misc]
    """Events whose value is a Batch, as the consumer made it."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, None, message)

        return decode


class Engine(faust.App):  # type: ignore[misc]
    """A Faust app whose outputs are the transactions of `outputs`.

    Only partitions whose number is in `ready` are read: the rest are still being recovered.
    """

    outputs: Outputs
    ready: set[int]

    def batches(self, *topics: str) -> Any:
        """The channel of these topics' batches, for an agent."""
        return self.topic(*topics, schema=_Batches(), acks=False)

    @property
    def epoch(self) -> int:
        """Which batches are of the present: those read since the last rebalance began."""
        return int(self.consumer.epoch)

    def is_next(self, batch: Batch) -> bool:
        """Whether it is to be handled now; False when it was read before the last rebalance, and will be read
        again. Raises PlaceLost when something before it was not handled."""
        if batch.epoch != self.epoch:
            return False
        self.consumer.check(batch)
        return True

    def handled(self, batch: Batch) -> None:
        """Everything in the batch is written: its offsets go with the next commit."""
        if batch.epoch == self.epoch:
            positions = self.consumer.positions
            positions[batch.tp] = max(positions.get(batch.tp, 0), batch.end)

    def lease(self) -> None:
        """Raises LeaseLost when no heartbeat was answered for as long as a session lasts."""
        silent = time.monotonic() - self.consumer._thread.heard_at
        if silent > self.conf.broker_session_timeout:
            raise LeaseLost(
                f"the group has not answered for {silent:.1f} s, longer than a session "
                f"({self.conf.broker_session_timeout:g} s): the partitions may be another process's now"
            )

    def progress(self) -> dict[TP, Progress]:
        """How far each partition of ours is, where that is known. To be called on the event loop."""
        consumer = self._consumer
        told: dict[TP, Progress] = {}
        if consumer is None or consumer._thread._consumer is None:
            return told
        for tp, (fetched, end) in consumer._thread.fetched().items():
            position = consumer.positions.get(tp, 0)
            # Behind the last record there may be transaction markers, which only the fetcher sees.
            waiting = consumer.handed.get(tp, -1) >= position
            told[tp] = Progress(position if waiting else max(position, fetched), end)
        return told

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Any:
        return _Transport(self.conf.broker_producer, self)


def create_engine(
    app_id: str, instance: str, kafka: Kafka, outputs: Outputs, datadir: str, session_timeout_s: float
) -> Engine:
    """The app, without agents. Topics and changelogs are made beforehand by `notifystream topics apply`."""
    engine = Engine(
        app_id,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        datadir=datadir,
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=1.0,
        # Static membership (KIP-345): a restart takes its partitions back at once, without the group waiting
        # for its dead predecessor; two processes of one name fence each other.
        consumer_group_instance_id=instance,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / 4,
        broker_rebalance_timeout=max(30.0, session_timeout_s),
        # As in librdkafka: the embedded broker's transaction markers carry no checksum.
        broker_check_crcs=False,
        stream_buffer_maxsize=_BATCHES_AHEAD,
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )
    engine.outputs = outputs
    engine.ready = set()
    return engine


def _credentials(kafka: Kafka) -> Any:
    if kafka.security_protocol == "PLAINTEXT":
        return None
    context = (
        ssl.create_default_context(cafile=kafka.ssl_ca_location) if "SSL" in kafka.security_protocol else None
    )
    if kafka.sasl_mechanism is None:
        return faust.SSLCredentials(context=context)
    return faust.SASLCredentials(
        username=kafka.sasl_username,
        password=kafka.sasl_password,
        mechanism=kafka.sasl_mechanism,
        ssl_context=context,
    )
