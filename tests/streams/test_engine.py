"""What a fetch brings at a wrong moment: nothing is handed on, and nothing is passed over."""

from __future__ import annotations

import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.engine import Engine, LeaseLost, _Consumer, _ConsumerThread, _Unremembered

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
    made = _ConsumerThread.__new__(_ConsumerThread)
    made.consumer = SimpleNamespace(ready=ready, epoch=epoch, flow_active=True)
    return made


@pytest.mark.anyio
async def test_records_of_a_partition_that_is_ready_are_handed_on_with_the_epoch_they_are_of() -> None:
    fetcher, made = Fetcher({TP}), thread({3})
    fetched = await made._fetch_records(fetcher, {TP})
    assert [record.offset for record in fetched[TP]] == [7, 8]
    assert (made.fetched_epoch, fetcher.sought) == (4, {})


@pytest.mark.anyio
async def test_records_that_come_before_their_partition_is_ready_are_put_back() -> None:
    fetcher = Fetcher({TP})
    assert await thread(set())._fetch_records(fetcher, {TP}) == {}
    assert fetcher.sought == {TP: 7}


@pytest.mark.anyio
async def test_records_of_a_partition_that_is_another_process_now_are_dropped() -> None:
    fetcher = Fetcher(set())
    assert await thread(set())._fetch_records(fetcher, {TP}) == {}
    assert fetcher.sought == {}


def member(silent_s: float) -> Any:
    """A process whose last heartbeat was answered so long ago, in a group with sessions of 6 s."""
    heard = SimpleNamespace(_thread=SimpleNamespace(heard_at=time.monotonic() - silent_s))
    return SimpleNamespace(consumer=heard, conf=SimpleNamespace(broker_session_timeout=6.0))


def test_a_member_whose_session_may_be_over_commits_nothing_more() -> None:
    with pytest.raises(LeaseLost, match="longer than a session"):
        Engine.lease(member(7.0))


def test_a_member_that_was_answered_within_a_session_goes_on() -> None:
    Engine.lease(member(1.0))


def consumer(*, between_assignments: bool = False, flow_active: bool = True) -> Any:
    """A consumer whose partitions 0 and 3 have their rows."""
    made = _Consumer.__new__(_Consumer)
    made.app = SimpleNamespace(ready={0, 3})
    made.between_assignments, made.flow_active = between_assignments, flow_active
    return made


def test_records_are_taken_of_partitions_whose_rows_are_there() -> None:
    assert consumer().ready == {0, 3}


def test_nothing_is_taken_from_before_the_last_commit_of_an_assignment_until_the_next_is_known() -> None:
    assert consumer(between_assignments=True).ready == set()


def test_nothing_is_taken_while_the_flow_is_stopped() -> None:
    assert consumer(flow_active=False).ready == set()


def test_fausts_memory_of_offsets_drops_nothing_that_is_read_again() -> None:
    offsets = _Unremembered()
    offsets[TP] = 7  # type: ignore[assignment]  # as Faust does
    assert offsets[TP] is None


@pytest.mark.anyio
async def test_from_a_revocation_on_nothing_is_taken_and_nothing_of_before_is_handled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = consumer()
    made.epoch, made.positions, made.handed = 4, {TP: 9}, {TP: 8}
    seen = []

    async def commit() -> None:
        seen.append((made.epoch, made.ready, dict(made.positions)))

    async def faust_is_told(_: Any, revoked: set[TopicPartition]) -> None:
        seen.append((made.epoch, made.ready, dict(made.positions)))

    made.commit = commit
    monkeypatch.setattr("faust.transport.drivers.aiokafka.Consumer.on_partitions_revoked", faust_is_told)
    await made.on_partitions_revoked({TP})
    assert seen == [(5, set(), {TP: 9}), (5, set(), {})]
