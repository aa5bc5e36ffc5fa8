"""Asking where the group stands while its coordinator moves."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sinks.outbound.committed import committed

PLACES = [TopicPartition("outbound.commands.bulk", 0, 7)]


class Scripted:
    """A consumer whose coordinator answers as told, and then with the places."""

    def __init__(self, *answers: int) -> None:
        self.asked = 0
        self._answers = list(answers)

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        self.asked += 1
        if self._answers:
            raise KafkaException(KafkaError(self._answers.pop(0)))
        return places


def ask(consumer: Any, timeout_s: float = 5.0) -> list[TopicPartition]:
    return committed(cast(Consumer, consumer), PLACES, timeout_s)


def test_a_coordinator_that_moves_is_asked_again() -> None:
    consumer = Scripted(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    assert ask(consumer) == PLACES
    assert consumer.asked == 3


def test_another_refusal_is_told_at_once() -> None:
    consumer = Scripted(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException):
        ask(consumer)
    assert consumer.asked == 1


def test_a_coordinator_that_is_not_found_in_time_is_told() -> None:
    with pytest.raises(KafkaException):
        ask(Scripted(*[KafkaError.NOT_COORDINATOR] * 1_000), timeout_s=0.3)


def test_nothing_is_asked_about_no_places() -> None:
    assert committed(cast(Consumer, None), [], 1.0) == []
