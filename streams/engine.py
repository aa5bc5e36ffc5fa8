"""Faust, hardened from outside: the few places where it would lose or tear something, and the remedy.

- Offsets are committed only after everything the events wrote is committed: `Consumer._commit_offsets` fixes
  the offsets, awaits `app.producer.flush()`, then commits; our producer's flush commits the transaction.
- Records of aborted transactions are not read: Faust reads committed records only in exactly-once mode, which
  has faults of its own (facts, Faust table), so the isolation level is set here.
- An agent that raises would be restarted behind the event it failed on: agents here never raise.
"""

import ssl
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver

from schemas.clients import Kafka
from streams.outputs import Outputs

_FETCH_WAIT_MS = 50


class _Producer(driver.Producer):  # type: ignore[misc]
    async def flush(self) -> None:
        await self.app.outputs.flush()


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        if consumer._isolation_level != "read_uncommitted":
            raise RuntimeError(
                "this Faust reads with another isolation level than expected: check the driver"
            )
        consumer._isolation_level = "read_committed"
        # Faust asks for 1500 ms: a broker that does not wake a waiting fetch would add that to every hop.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer


class _Consumer(driver.Consumer):  # type: ignore[misc]
    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer
    Producer = _Producer


class Engine(faust.App):  # type: ignore[misc]
    """A Faust app whose outputs are the transactions of `outputs`."""

    outputs: Outputs

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
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )
    engine.outputs = outputs
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
