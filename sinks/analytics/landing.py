"""A range of records becomes blocks, one a table, and the blocks go into ClickHouse.

Guarantees: the same range makes the same blocks under the same tokens; every record ends as rows or among
those given up, with the reason; a poison record costs a few of its neighbours the fast way, nothing else.
Leaves to the sink: what becomes of the given up, and to call again while ClickHouse is away (harmless).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from clickhouse_connect.driver.client import Client

from schemas.codec import Codec, schema_text
from schemas.errors import WireError
from sinks.analytics import metrics
from sinks.analytics.avro_block import BlockReader, Unreadable
from sinks.analytics.clickhouse import connect, insert_block
from sinks.analytics.columns import COLUMNAR, NotPlain, Tables, tables_of, wanted_of
from sinks.analytics.errors import ClickHouseAway, RowError, RowsRefused
from sinks.analytics.frames import RECORD, arrow_stream, frame_of, insert_statement
from sinks.analytics.privacy import Privacy
from sinks.analytics.ranges import Given, Range
from sinks.analytics.rows import LANDINGS
from sinks.analytics.tables import TABLES, Row

# The Confluent prefix: a zero byte and the schema's id.
_PREFIX = 5
# Below this many, records are judged one by one instead of halving further.
_FEW = 32


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one range for one table."""

    source: Range
    row_type: type[Row]
    frame: pl.DataFrame
    token: str


@dataclass(frozen=True, slots=True)
class Prepared:
    blocks: tuple[Block, ...]
    given_up: tuple[Given, ...]


class Preparer:
    """Turns ranges into blocks."""

    def __init__(self, codec: Codec, privacy: Privacy) -> None:
        self._codec = codec
        self._privacy = privacy
        self._readers = {
            topic: BlockReader(schema_text(columnar.record_type), wanted_of(topic))
            for topic, columnar in COLUMNAR.items()
        }

    def prepare(self, source: Range) -> Prepared:
        """The blocks of a range, in the order of TABLES. Raises RegistryUnavailable: then call again."""
        work = _Work(source)
        for prefix, numbers in _by_prefix(source.values).items():
            if self._is_own(source.topic, prefix):
                self._by_column(work, numbers)
            else:
                self._one_by_one(work, numbers)
        token = source.token(work.given_up.keys())
        blocks = [
            Block(source, row_type, pl.concat(work.frames[row_type]), token)
            for row_type in TABLES
            if row_type in work.frames
        ]
        return Prepared(tuple(blocks), tuple(work.given_up[number] for number in sorted(work.given_up)))

    def _is_own(self, topic: str, prefix: bytes) -> bool:
        """Whether records with this prefix are written with the very schema that the reader expects."""
        if topic not in COLUMNAR or len(prefix) < _PREFIX or prefix[0] != 0:
            return False
        try:
            return self._codec.is_own(prefix, COLUMNAR[topic].record_type)
        except WireError:
            # The reason is told for each record.
            return False

    def _by_column(self, work: "_Work", numbers: Sequence[int]) -> None:
        if len(numbers) <= _FEW:
            self._one_by_one(work, numbers)
            return
        source = work.source
        try:
            frame = self._readers[source.topic].read([(source.values[n] or b"")[_PREFIX:] for n in numbers])
            placed = frame.with_columns(
                pl.lit(source.topic).alias("kafka_topic"),
                pl.lit(source.partition, pl.Int32).alias("kafka_partition"),
                pl.Series("kafka_offset", [source.offsets[n] for n in numbers], pl.Int64),
                pl.Series(RECORD, numbers, pl.UInt32),
            )
            tables = tables_of(source.topic, placed, self._privacy)
        except (Unreadable, NotPlain):
            half = len(numbers) // 2
            self._by_column(work, numbers[:half])
            self._by_column(work, numbers[half:])
        else:
            work.add(tables)

    def _one_by_one(self, work: "_Work", numbers: Sequence[int]) -> None:
        """The exact way: what a row is, and why a record has none, is said here."""
        landing = LANDINGS[work.source.topic]
        held: dict[type[Row], tuple[list[Row], list[int]]] = {}
        for number in numbers:
            record = work.source.record(number)
            try:
                rows = landing(self._codec, record.value, record.place, self._privacy)
                for row in rows:
                    frame_of(type(row), [row], [number])
            except (WireError, RowError) as unreadable:
                work.given_up[number] = Given(record, unreadable.reason, str(unreadable))
                continue
            except RowsRefused as refused:
                work.given_up[number] = Given(record, "insert-refused", str(refused))
                continue
            for row in rows:
                of_type = held.setdefault(type(row), ([], []))
                of_type[0].append(row)
                of_type[1].append(number)
        work.add({row_type: frame_of(row_type, *of_type) for row_type, of_type in held.items()})


class _Work:
    """What came of a range so far."""

    def __init__(self, source: Range) -> None:
        self.source = source
        self.frames: dict[type[Row], list[pl.DataFrame]] = {}
        self.given_up: dict[int, Given] = {}

    def add(self, tables: Tables) -> None:
        for row_type, frame in tables.items():
            self.frames.setdefault(row_type, []).append(frame)


class Lander:
    """Holds the connection; opens it again after it failed. For one thread at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def land(self, block: Block) -> tuple[Given, ...]:
        """Insert a block; returns the records of refused rows, each once, with ClickHouse's reason.

        Raises ClickHouseAway: then call again with the same block.
        """
        try:
            refused = self._insert(block)
        except ClickHouseAway:
            self.close()
            raise
        metrics.ROWS_LANDED.labels(TABLES[block.row_type]).inc(
            block.frame.filter(~pl.col(RECORD).is_in(list(refused))).height if refused else block.frame.height
        )
        return tuple(refused.values())

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _insert(self, block: Block) -> dict[int, Given]:
        """Insert what can be inserted; the rest is found by halving, the same halves at every replay."""
        if self._client is None:
            self._client = connect(self._url)
        try:
            insert_block(
                self._client, insert_statement(block.row_type), arrow_stream(block.frame), block.token
            )
        except RowsRefused as refused:
            numbers = block.frame.get_column(RECORD)
            first, last = int(numbers.min() or 0), int(numbers.max() or 0)  # type: ignore[arg-type]
            if first == last:
                return {first: Given(block.source.record(first), "insert-refused", str(refused))}
            middle = (first + last) // 2
            lower, upper = block.frame.filter(numbers <= middle), block.frame.filter(numbers > middle)
            return self._insert(_part(block, lower, f"{first}-{middle}")) | self._insert(
                _part(block, upper, f"{middle + 1}-{last}")
            )
        return {}


def _part(block: Block, frame: pl.DataFrame, name: str) -> Block:
    return Block(block.source, block.row_type, frame, f"{block.token}:{name}")


def _by_prefix(values: Sequence[bytes | None]) -> dict[bytes, list[int]]:
    """The numbers of the records, by schema."""
    groups: dict[bytes, list[int]] = {}
    for number, value in enumerate(values):
        groups.setdefault(b"" if value is None else value[:_PREFIX], []).append(number)
    return groups
