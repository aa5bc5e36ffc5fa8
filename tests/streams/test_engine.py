"""What a fetch brings at a wrong moment: nothing is handed on, and nothing is passed over."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from streams.engine import _ConsumerThread

pytestmark = pytest.mark.anyio
TP = TopicPartition("twilio.status", 3)


class Fetcher:
    """A consumer of aiokafka's with two records of one partition."""

    def __init__(self, assigned: set[TopicPartition]) -> None:
        self._closed = False
        self._fetcher = self
        self._subscriptions = SimpleNamespace(fetch_context=nullcontext)
        self._assigned = assigned
        self.sought: dict[TopicPartition, int] = {}

    async def fetched_records(self, *_: Any, **__: Any) -> dict[TopicPartition, list[Any]]:
        return {TP: [SimpleNamespace(offset=7), SimpleNamespace(offset=8)]}

    def assignment(self) -> set[TopicPartition]:
        return self._assigned

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.sought[tp] = offset


def thread(ready: set[int], epoch: int = 4) -> _ConsumerThread:
    made = cast(_ConsumerThread, _ConsumerThread.__new__(_ConsumerThread))
    made.consumer = SimpleNamespace(ready=ready, epoch=epoch, flow_active=True)
    return made


async def test_records_of_a_partition_that_is_ready_are_handed_on_with_the_epoch_they_are_of() -> None:
    fetcher, made = Fetcher({TP}), thread({3})
    fetched = await made._fetch_records(fetcher, {TP})
    assert [record.offset for record in fetched[TP]] == [7, 8]
    assert (made.fetched_epoch, fetcher.sought) == (4, {})


async def test_records_that_come_before_their_partition_is_ready_are_put_back() -> None:
    fetcher = Fetcher({TP})
    assert await thread(set())._fetch_records(fetcher, {TP}) == {}
    assert fetcher.sought == {TP: 7}


async def test_records_of_a_partition_that_is_another_process_now_are_dropped() -> None:
    fetcher = Fetcher(set())
    assert await thread(set())._fetch_records(fetcher, {TP}) == {}
    assert fetcher.sought == {}
