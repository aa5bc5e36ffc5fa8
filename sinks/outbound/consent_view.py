"""Who has opted out, as of now: the sink's own view, asked last thing before a command is started.

It follows two topics: `consent.changes`, the ledger, and `twilio.inbound` itself from where the recipients
processor stands, so that a STOP counts here before that processor has seen it. `catch_up` is the barrier that
makes the promise exact: whatever the ingress had acknowledged before it was called is in the view after it.
"""

import asyncio
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import ConsentChange, InboundMessage
from schemas.topics import Topic
from schemas.vocabulary import Channel
from sinks.outbound.committed import committed
from streams.consent import consent_of, merge, opted_out
from streams.policy import DEFAULTS, Policies

_TOPICS = (Topic.CONSENT_CHANGES, Topic.INBOUND)
_TIMEOUT_S = 10.0
_LATEST = -1


class ConsentUnknown(Exception):
    """The view is not up to date: nothing may be started."""


class ConsentView:
    """A thread that follows the two topics. `start` before use; a failure in it is raised by `catch_up`."""

    def __init__(self, kafka: Kafka, codec: Codec, streams_group: str, policies: Policies = DEFAULTS) -> None:
        self._codec = codec
        self._policies = policies
        config = kafka.consumer("notifystream-consent-view", streams_group)
        # Never subscribes, so it does not join the processors' group: it only asks where they stand.
        self._consumer = Consumer(config | {"enable.partition.eof": True, "fetch.wait.max.ms": 50})
        self._asker = Consumer(config)
        self._ledgers: dict[str, tuple[ConsentChange, ...]] = {}
        self._reached: dict[tuple[str, int], int] = {}
        self._moved = threading.Condition()
        self._failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="consent-view", daemon=True)

    def start(self) -> None:
        """Begin to follow; blocks until the starting places are known. Raises KafkaException."""
        places = self._partitions(Topic.CONSENT_CHANGES, 0) + committed(
            self._consumer, self._partitions(Topic.INBOUND, 0), _TIMEOUT_S
        )
        for place in places:
            place.offset = max(place.offset, 0)
            self._reached[place.topic, place.partition] = place.offset
        self._consumer.assign(places)
        self._thread.start()

    def forbids(self, tenant: str, recipient: str, channel: Channel, sender: str) -> bool:
        ledger = self._ledgers.get(recipient, ())
        return opted_out(ledger, tenant, channel, sender, self._policies) is not None

    async def catch_up(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Wait until everything written to the two topics before this call is in the view.

        Raises ConsentUnknown when that took too long or the follower has failed.
        """
        await asyncio.get_running_loop().run_in_executor(None, self._catch_up, timeout_s)

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_TIMEOUT_S)
        self._consumer.close()
        self._asker.close()

    def _catch_up(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        # ListOffsets for all partitions at once: timestamp -1 asks for the end (KIP-79).
        asked = [TopicPartition(*place, _LATEST) for place in self._reached]
        try:
            answers = self._asker.offsets_for_times(asked, timeout=timeout_s)
        except KafkaException as away:
            raise ConsentUnknown(f"the broker does not say how far the consent topics go: {away}") from away
        if failed := [answer for answer in answers if answer.error is not None]:
            raise ConsentUnknown(f"the end of {failed[0].topic} [{failed[0].partition}]: {failed[0].error}")
        ends = {(str(answer.topic), answer.partition): answer.offset for answer in answers}
        with self._moved:
            while behind := [place for place, end in ends.items() if self._reached[place] < end]:
                if self._failure is not None:
                    raise ConsentUnknown("following the consent topics failed") from self._failure
                if not self._moved.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise ConsentUnknown(f"{behind[0][0]} [{behind[0][1]}] was not read to its end in time")

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                message = self._consumer.poll(0.1)
                if message is None:
                    continue
                error, offset = message.error(), message.offset() or 0
                topic, partition = str(message.topic()), message.partition() or 0
                if error is None:
                    self._take(topic, message.value())
                    reached = offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached = offset
                else:
                    continue  # librdkafka reconnects by itself; catch_up notices when it does not
                with self._moved:
                    self._reached[topic, partition] = max(self._reached[topic, partition], reached)
                    self._moved.notify_all()
        except BaseException as failure:
            with self._moved:
                self._failure = failure
                self._moved.notify_all()
            raise

    def _take(self, topic: str, value: bytes | None) -> None:
        try:
            if topic == Topic.INBOUND:
                change = consent_of(self._codec.decode(value, InboundMessage), self._policies)
            else:
                change = self._codec.decode(value, ConsentChange) if value is not None else None
        except WireError:
            return  # the recipients processor reads the same record and buries it in dead.letters
        if change is not None:
            self._ledgers[change.recipient] = merge(self._ledgers.get(change.recipient, ()), change)

    def _partitions(self, topic: Topic, offset: int) -> list[TopicPartition]:
        metadata = self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return [TopicPartition(topic, partition, offset) for partition in metadata.partitions]
