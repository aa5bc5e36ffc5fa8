"""Write notify events to the broker and know which of them it has.

Guarantees: an event is `acknowledged` only when every in-sync replica has it; one that failed is reported
with the line it came from and why. A repeat of a run is harmless: the same (tenant, key) is the same
notification. Leaves to `events` where they come from.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from notifystream.events import BadRow, GoodRow, Row
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.identity import notification_id
from schemas.topics import Topic

# Serving reports this often keeps memory flat without waiting for each event.
_POLL_S = 0.1
# What the producer itself allows each event (schemas.clients), and a little for the last report.
FLUSH_S = 35.0


@dataclass(slots=True)
class Publication:
    """What became of a run. Filled while it goes; `problems` are by line, in the order they were found."""

    read: int = 0
    acknowledged: int = 0
    problems: list[BadRow] = field(default_factory=list)


def publish(
    kafka: Kafka,
    codec: Codec,
    rows: Iterable[Row],
    *,
    on_acknowledged: Callable[[GoodRow, str], None],
    on_progress: Callable[[Publication], None] = lambda so_far: None,
) -> Publication:
    """Write every good row to notify.requested and wait for all acknowledgements.

    `on_acknowledged` gets each row with its notification id, in the order of acknowledgement. Raises
    RegistryUnavailable when the schema cannot be registered: then no further row is written.
    """
    done = Publication()
    producer = Producer(kafka.producer("notifystream-send"))
    try:
        for row in rows:
            done.read += 1
            if isinstance(row, BadRow):
                done.problems.append(row)
            else:
                _write(producer, codec, row, done, on_acknowledged)
            on_progress(done)
    finally:
        # Also when the source ended badly or the user interrupted: what was handed over is accounted for.
        unreported = producer.flush(FLUSH_S)
        if unreported:
            done.problems.append(
                BadRow(0, f"{unreported} events had no answer from the broker in {FLUSH_S:g} s")
            )
        on_progress(done)
    return done


def _write(
    producer: Producer,
    codec: Codec,
    row: GoodRow,
    done: Publication,
    on_acknowledged: Callable[[GoodRow, str], None],
) -> None:
    request = row.request

    def report(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            done.problems.append(BadRow(row.line, f"the broker did not take it: {error.str()}"))
        else:
            done.acknowledged += 1
            on_acknowledged(row, notification_id(request.tenant, request.idempotency_key))

    value = codec.encode(Topic.NOTIFY_REQUESTED, request)
    key = request.idempotency_key.encode()
    while True:
        try:
            producer.produce(Topic.NOTIFY_REQUESTED, key=key, value=value, on_delivery=report)
        except BufferError:
            producer.poll(_POLL_S)  # the queue is full: let the broker catch up
            continue
        except KafkaException as refused:
            done.problems.append(BadRow(row.line, f"it cannot be written: {refused.args[0].str()}"))
        producer.poll(0)
        return
