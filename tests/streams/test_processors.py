"""From one record's bytes to what is written, without a broker: what a failure leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.errors import RegistryUnavailable
from schemas.records import DeadLetter, NotifyRequest, Record
from schemas.topics import Topic
from streams import delivery
from streams.delivery.row import NotificationRow
from streams.intake import IntakePolicy
from streams.outputs import Outputs, Write
from streams.processors import Delivery, Incoming, Intake, Writer
from streams.store.database import Database
from streams.store.errors import NotRecovered, RowUnreadable
from streams.store.partition import Partition
from streams.store.rows import RowCodec
from streams.table import Loaded, Table
from tests.servers import running
from tests.streams.builders import NID, POLICY, T0, request


class Recorder:
    """Outputs that only remember."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.rows_changed = 0

    def write(self, topic: str, key: bytes, value: bytes | None, partition: int = -1) -> None:
        self.writes.append(Write(topic, key, value, partition))

    def changed(self) -> None:
        self.rows_changed += 1

    @property
    def topics(self) -> list[str]:
        return [write.topic for write in self.writes]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table[NotificationRow]]:
    """Rows of partition 0, none so far."""
    database = Database(tmp_path / "store")
    made = Table(
        Kafka(bootstrap_servers="nowhere:1"),
        Topic.NOTIFICATIONS_CHANGELOG,
        RowCodec(NotificationRow, lambda row: row.due_at),
        database,
        1,
    )
    made.adopt(Loaded(Partition(database, 1, 0), 0))
    yield made
    database.close()


def processor(codec: Codec, recorder: Recorder, table: Table[NotificationRow]) -> Delivery:
    return Delivery(Writer(codec, cast(Outputs, recorder)), table, POLICY)


def incoming(codec: Codec, topic: Topic, record: Record, partition: int = 0) -> Incoming:
    return Incoming(topic, partition, 7, b"k", codec.encode(topic, record), T0)


def buried(codec: Codec, recorder: Recorder) -> DeadLetter:
    (write,) = [each for each in recorder.writes if each.topic == Topic.DEAD_LETTERS]
    return codec.decode(write.value, DeadLetter)


def test_row_and_effects_of_a_decision_are_written_together_and_the_deadline_is_set(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow]
) -> None:
    made = processor(codec, recorder, table)
    made.handle(incoming(codec, Topic.REQUESTS, request()))
    assert recorder.topics == [Topic.CHECKS, Topic.OUTCOMES]
    assert recorder.rows_changed == 1
    row = made.table.get(0, NID.encode())
    assert row is not None
    assert table.timers == 1
    assert row.due_at == T0 + POLICY.admission_again_ms


def test_the_changelog_is_written_to_the_partition_of_the_event(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow]
) -> None:
    made = processor(codec, recorder, table)
    table.adopt(Loaded(Partition(table._database, 1, 3), 0))
    made.handle(incoming(codec, Topic.REQUESTS, request(), partition=3))
    changed = [(rows.topic, rows.partition, list(rows.changes)) for rows in table.seal() if rows.changes]
    assert changed == [(Topic.NOTIFICATIONS_CHANGELOG, 3, [NID.encode()])]


def test_a_deadline_that_has_come_is_written_as_a_tick_once(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow]
) -> None:
    made = processor(codec, recorder, table)
    made.handle(incoming(codec, Topic.REQUESTS, request()))
    recorder.writes.clear()
    assert (made.fire(T0), made.fire(T0 + 10_000), made.fire(T0 + 20_000)) == (0, 1, 0)
    assert recorder.topics == [Topic.TIMERS]


def test_a_decision_that_fails_is_put_aside_and_leaves_nothing_else_behind(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(delivery, "decide", fails)
    made = processor(codec, recorder, table)
    made.handle(incoming(codec, Topic.REQUESTS, request()))
    letter = buried(codec, recorder)
    assert (letter.reason, letter.offset, letter.topic) == ("processor-error", 7, Topic.REQUESTS)
    assert recorder.topics == [Topic.DEAD_LETTERS]
    assert made.table.get(0, NID.encode()) is None


def test_a_decision_that_cannot_be_encoded_is_put_aside_and_leaves_nothing_else_behind(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = delivery.decide

    def too_large(*arguments: Any) -> delivery.Decision:
        row, effects = decide(*arguments)
        return delivery.Decision(row, (*effects, effects[0]._replace(record=request(send_at=2**80))))

    monkeypatch.setattr(delivery, "decide", too_large)
    made = processor(codec, recorder, table)
    made.handle(incoming(codec, Topic.REQUESTS, request()))
    assert buried(codec, recorder).reason == "processor-error"
    assert recorder.topics == [Topic.DEAD_LETTERS]
    assert made.table.get(0, NID.encode()) is None
    assert table.timers == 0


def test_a_row_that_cannot_be_read_is_not_put_on_the_record(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow]
) -> None:
    table._partition(0).put(NID.encode(), b"\x09 of a newer release", None, None, new=True)
    with pytest.raises(RowUnreadable):
        processor(codec, recorder, table).handle(incoming(codec, Topic.REQUESTS, request()))
    assert recorder.writes == []


def test_a_registry_that_is_away_is_not_put_on_the_record(
    tmp_path: Path, recorder: Recorder, table: Table[NotificationRow]
) -> None:
    with running("sandbox.registry", log=tmp_path / "log") as server:
        writer, reader = Codec(server.address, timeout_s=2), Codec(server.address, timeout_s=2)
        event = incoming(writer, Topic.REQUESTS, request())
    try:
        with pytest.raises(RegistryUnavailable):
            processor(reader, recorder, table).handle(event)
    finally:
        writer.close()
        reader.close()
    assert recorder.writes == []


def test_a_partition_whose_rows_are_not_there_is_not_put_on_the_record(
    codec: Codec, recorder: Recorder, table: Table[NotificationRow]
) -> None:
    with pytest.raises(NotRecovered):
        processor(codec, recorder, table).handle(incoming(codec, Topic.REQUESTS, request(), partition=2))
    assert recorder.writes == []


def test_the_same_request_at_the_same_place_is_normalised_to_the_same_bytes(
    codec: Codec, recorder: Recorder
) -> None:
    asked = NotifyRequest(tenant="acme", idempotency_key="k", recipient="+4915123456789", body="x")
    intake = Intake(Writer(codec, cast(Outputs, recorder)), IntakePolicy())
    for _ in range(2):
        intake.handle(incoming(codec, Topic.NOTIFY_REQUESTED, asked))
    first, second = recorder.writes
    assert first == second
