"""Where a group stands, asked of a coordinator that may be moving at the moment.

librdkafka gives an answer of `NOT_COORDINATOR` on to whoever asked, although the next one would be right: on
a broker that has just started, or hands its groups to another, a process would end over it.
"""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

_PAUSE_S = 0.1
_MOVING = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError._WAIT_COORD,
    }
)


def committed(consumer: Consumer, places: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
    """The places with their committed offsets, negative where there is none. Blocks `timeout_s` at most.

    Raises KafkaException: the broker's, also one of a single place.
    """
    if not places:
        return []
    deadline = time.monotonic() + timeout_s
    while True:
        left = max(_PAUSE_S, deadline - time.monotonic())
        try:
            found = consumer.committed(places, timeout=left)
            wrong = next((place.error for place in found if place.error is not None), None)
            if wrong is None:
                return found
            raise KafkaException(wrong)
        except KafkaException as failed:
            if failed.args[0].code() not in _MOVING or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
