"""The consent ledger on the broker: reading what was decided, handing in evidence.

Guarantees: `ledgers` is the ledger as of a moment after the call, read without a group; a change that
`hand_in` calls written is with every in-sync replica. Leaves to the recipients processor: what evidence
changes.
"""

from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from notifystream.consent_rows import GoodRow, Row
from notifystream.events import BadRow
from notifystream.positions import Edge
from notifystream.publishing import FLUSH_S, Publication
from notifystream.reading import read
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import ConsentChange
from schemas.topics import Topic
from streams.consent import Ledger, merge

_POLL_S = 0.1


def ledgers(
    kafka: Kafka,
    codec: Codec,
    wanted: Callable[[ConsentChange], bool],
    on_read: Callable[[int], None] = lambda number: None,
) -> Mapping[str, Ledger]:
    """The wanted changes of `consent.changes` by recipient; `on_read` hears how many records were read.

    Raises what `reading.read` raises.
    """
    found: dict[str, Ledger] = {}
    number = 0
    for seen in read(kafka, codec, Topic.CONSENT_CHANGES, Edge(beginning=True), follow=False):
        if seen is None:
            continue
        number += 1
        on_read(number)
        if isinstance(seen.content, ConsentChange) and wanted(seen.content):
            found[seen.content.recipient] = merge(found.get(seen.content.recipient, ()), seen.content)
    return found


def hand_in(
    kafka: Kafka, codec: Codec, rows: Iterable[Row], on_progress: Callable[[Publication], None]
) -> Publication:
    """Write every good row to `consent.evidence` and wait for all acknowledgements.

    Raises RegistryUnavailable when the schema cannot be registered.
    """
    done = Publication()
    producer = Producer(kafka.producer("notifystream-consent"))
    try:
        for row in rows:
            done.read += 1
            if isinstance(row, BadRow):
                done.problems.append(row)
            else:
                _write(producer, codec, row, done)
            on_progress(done)
    finally:
        # Also when the source ended badly or the user interrupted: what was handed over is accounted for.
        unreported = producer.flush(FLUSH_S)
        if unreported:
            done.problems.append(
                BadRow(0, f"{unreported} changes had no answer from the broker in {FLUSH_S:g} s")
            )
        on_progress(done)
    return done


def _write(producer: Producer, codec: Codec, row: GoodRow, done: Publication) -> None:
    def report(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            done.problems.append(BadRow(row.line, f"the broker did not take it: {error.str()}"))
        else:
            done.acknowledged += 1

    value = codec.encode(Topic.CONSENT_EVIDENCE, row.change)
    key = row.change.recipient.encode()
    while True:
        try:
            producer.produce(Topic.CONSENT_EVIDENCE, key=key, value=value, on_delivery=report)
        except BufferError:
            producer.poll(_POLL_S)  # the queue is full: let the broker catch up
            continue
        except KafkaException as refused:
            done.problems.append(BadRow(row.line, f"it cannot be written: {refused.args[0].str()}"))
        producer.poll(0)
        return
