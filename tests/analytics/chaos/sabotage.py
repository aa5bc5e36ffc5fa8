"""A sink with one promise broken, to see that the verdict notices: `--sabotage NAME`.

Broken from outside, at its clients of Kafka and ClickHouse, so that it does not matter how the sink is built.
To be called before the sink is imported.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import confluent_kafka
from clickhouse_connect.driver._backend.http_sync import HttpSyncBackend

from schemas.topics import Topic
from tests.analytics.chaos.terms import NOWHERE

_EVERY = 50
_TOKEN = "insert_deduplication_token"


class _HastyConsumer(confluent_kafka.Consumer):
    """Commits what it has just read, and nothing when it is told to."""

    def poll(self, *arguments: Any, **options: Any) -> Any:
        message = super().poll(*arguments, **options)
        self._commit([message] if message is not None else [])
        return message

    def consume(self, *arguments: Any, **options: Any) -> Any:
        messages = super().consume(*arguments, **options)
        self._commit(messages)
        return messages

    def commit(self, *arguments: Any, **options: Any) -> Any:
        return options.get("offsets", [])

    def _commit(self, messages: Any) -> None:
        ends = {(m.topic(), m.partition()): m.offset() + 1 for m in messages if m.error() is None}
        if ends:
            offsets = [confluent_kafka.TopicPartition(*place, end) for place, end in ends.items()]
            super().commit(offsets=offsets, asynchronous=True)


class _ForgetfulConsumer(confluent_kafka.Consumer):
    """Of one batch in fifty, a record is never handed over; the commit passes it all the same."""

    _handed = 0

    def poll(self, *arguments: Any, **options: Any) -> Any:
        message = super().poll(*arguments, **options)
        if message is not None and message.error() is None:
            self._handed += 1
            if self._handed % (_EVERY * _EVERY) == _EVERY:
                return None
        return message

    def consume(self, *arguments: Any, **options: Any) -> Any:
        messages = super().consume(*arguments, **options)
        if len(messages) > 2:
            self._handed += 1
            if self._handed % _EVERY == 3:
                del messages[len(messages) // 2]
        return messages


class _LosingProducer(confluent_kafka.Producer):
    """Every third dead letter goes where nobody looks, and is acknowledged."""

    _letters = 0

    def produce(self, topic: str, *arguments: Any, **options: Any) -> None:
        if topic == Topic.DEAD_LETTERS:
            self._letters += 1
            topic = NOWHERE if self._letters % 3 == 0 else topic
        super().produce(topic, *arguments, **options)


def commit_first() -> None:
    """Offsets are committed when records are read, before they are in the database."""
    confluent_kafka.Consumer = _HastyConsumer  # type: ignore[misc]


def wrong_token() -> None:
    """Every second insert into a table goes under the token of the one before it."""
    request = HttpSyncBackend.request
    inserts: Counter[str] = Counter()

    def renamed(self: Any, data: Any, params: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        if _TOKEN in params:
            into = str(params.get("query", "")).partition("(")[0]
            inserts[into] += 1
            params = {**params, _TOKEN: f"{os.getpid()} {into} {inserts[into] // 2}"}
        return request(self, data, params, *arguments, **options)

    setattr(HttpSyncBackend, "request", renamed)  # noqa: B010 - mypy lets no method be assigned


def dropped_rows() -> None:
    """Of one batch in fifty, a record never lands."""
    confluent_kafka.Consumer = _ForgetfulConsumer  # type: ignore[misc]


def lost_letters() -> None:
    """Some dead letters are never written."""
    confluent_kafka.Producer = _LosingProducer  # type: ignore[misc]


SABOTAGE: Mapping[str, Callable[[], None]] = {
    "commit-first": commit_first,
    "wrong-token": wrong_token,
    "dropped-rows": dropped_rows,
    "lost-letters": lost_letters,
}
