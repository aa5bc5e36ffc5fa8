"""The rows on the disks of ended processes, and of a fresh one, against the changelog."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from schemas.clients import Kafka
from schemas.topics import Topic
from streams.delivery.row import NotificationRow
from streams.state import RecipientRow
from streams.store.database import Database
from streams.store.partition import Partition
from streams.store.rows import RowCodec
from streams.table import Table
from streams.worker import _NOTIFICATIONS, _RECIPIENTS
from tests.streams.chaos.reading import Raw, Reader
from tests.streams.chaos.terms import PARTITIONS

_TABLES: Mapping[Topic, int] = {
    Topic.NOTIFICATIONS_CHANGELOG: _NOTIFICATIONS,
    Topic.RECIPIENTS_CHANGELOG: _RECIPIENTS,
}


def check_stores(kafka: Kafka, datadirs: list[Path], fresh: Path) -> list[str]:
    """What a disk says otherwise than the changelog up to the offset it claims; empty when all is well.

    `fresh` is a directory yet to be made, recovered from nothing: it must claim, and have, everything.
    """
    wrong: list[str] = []
    with ExitStack() as stack:
        reader = stack.enter_context(Reader(kafka))
        disks = {path.name: stack.enter_context(closing(Database(path))) for path in datadirs}
        recovered = disks["a fresh recovery"] = stack.enter_context(closing(Database(fresh)))
        _recover(kafka, recovered)
        for changelog, table in _TABLES.items():
            for partition in range(PARTITIONS):
                changes = list(reader.records(changelog, partition))
                for name, disk in disks.items():
                    store = Partition(disk, table, partition)
                    if disk is recovered and changes and store.reached.offset <= changes[-1].offset:
                        wrong.append(f"{name} stopped before the end of {changelog} [{partition}]")
                    if dict(store.committed()) != _rows(changes, store.reached.offset):
                        wrong.append(f"{name} has other rows of {changelog} [{partition}] than the changelog")
    return wrong


def _recover(kafka: Kafka, disk: Database) -> None:
    tables = (
        Table(
            kafka,
            Topic.NOTIFICATIONS_CHANGELOG,
            RowCodec(NotificationRow, lambda row: row.due_at),
            disk,
            _NOTIFICATIONS,
        ),
        Table(kafka, Topic.RECIPIENTS_CHANGELOG, RowCodec(RecipientRow, lambda row: None), disk, _RECIPIENTS),
    )
    for table in tables:
        with table.recovery() as source:
            for partition in range(PARTITIONS):
                table.load(source, partition)


def _rows(changes: list[Raw], end: int) -> dict[bytes, bytes]:
    rows = {raw.key: raw.value for raw in changes if raw.offset < end}
    return {key: value for key, value in rows.items() if value is not None}
