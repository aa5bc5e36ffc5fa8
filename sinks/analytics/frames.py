"""Rows of one table as columns, and columns as the bytes an INSERT takes.

Guarantees: a frame has exactly the columns of its row type, in their order and with their types, and the
number of the record each row is of (`RECORD`), which does not travel; what no column holds is refused here.
Leaves to `rows` and `columns` what stands in them.
"""

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from io import BytesIO
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import polars as pl

from sinks.analytics.errors import RowsRefused
from sinks.analytics.tables import TABLES, Row

RECORD = "_record"
_STEP = Decimal("0.000001")
_TIME = pl.Datetime("ms", "UTC")
_PAIR = pl.Struct({"key": pl.String, "value": pl.String})
_MAP = pl.List(_PAIR)
_TYPES: dict[str, pl.DataType] = {
    "Int32": pl.Int32(),
    "Int64": pl.Int64(),
    "DateTime64(3)": _TIME,
    "Decimal(18, 6)": pl.Decimal(18, 6),
}


class Column(NamedTuple):
    name: str
    type: pl.DataType
    nullable: bool

    @property
    def is_time(self) -> bool:
        return self.type == _TIME


def columns_of(row_type: type[Row]) -> tuple[Column, ...]:
    """The columns of a row type, from its annotations."""
    return _COLUMNS[row_type]


def _columns(row_type: type[Row]) -> tuple[Column, ...]:
    hints = get_type_hints(row_type, include_extras=True)
    return tuple(_column(name, hints[name]) for name in row_type._fields)


def frame_of(row_type: type[Row], rows: Sequence[Row], records: Sequence[int]) -> pl.DataFrame:
    """The rows as columns; `records` says whose each is. Raises RowsRefused for what does not fit."""
    values = zip(*rows, strict=True)
    try:
        series = [
            _series(column, list(given)) for column, given in zip(columns_of(row_type), values, strict=True)
        ]
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError, ArithmeticError) as unwritable:
        raise RowsRefused(
            f"{TABLES[row_type]} cannot hold a value: {type(unwritable).__name__}"
        ) from unwritable
    return pl.DataFrame([*series, pl.Series(RECORD, records, pl.UInt32)])


def arrow_stream(frame: pl.DataFrame) -> bytes:
    """The frame without `RECORD`, as Arrow's IPC stream of one record batch: one block in ClickHouse.

    A map travels as two columns, its keys and its values: polars has no type that Arrow would carry as one.
    """
    maps = [name for name, held in frame.schema.items() if held == _MAP]
    halves = [
        pl.col(name).list.eval(pl.element().struct.field(half)).alias(f"{name}_{half}")
        for name in maps
        for half in ("key", "value")
    ]
    out = BytesIO()
    frame.with_columns(halves).drop(RECORD, *maps).rechunk().write_ipc_stream(
        out, compression="uncompressed", compat_level=pl.CompatLevel.oldest()
    )
    return out.getvalue()


def insert_statement(row_type: type[Row]) -> str:
    """The INSERT that takes an `arrow_stream` of this row type."""
    columns = columns_of(row_type)
    named = ", ".join(column.name for column in columns)
    into = f"INSERT INTO {TABLES[row_type]} ({named})"
    if not any(column.type == _MAP for column in columns):
        return f"{into} FORMAT ArrowStream"
    selected, travelling = [], []
    for column in columns:
        if column.type == _MAP:
            selected.append(f"mapFromArrays({column.name}_key, {column.name}_value)")
        else:
            selected.append(column.name)
            travelling.append(f"{column.name} {_sql_type(column)}")
    travelling += [
        f"{column.name}_{half} Array(String)"
        for column in columns
        if column.type == _MAP
        for half in ("key", "value")
    ]
    source = ", ".join(travelling).replace("'", "\\'")
    return f"{into} SELECT {', '.join(selected)} FROM input('{source}') FORMAT ArrowStream"  # noqa: S608


def _sql_type(column: Column) -> str:
    match column.type:
        case pl.Datetime():
            plain = "DateTime64(3, 'UTC')"
        case pl.Decimal():
            plain = "Decimal(18, 6)"
        case pl.List():
            plain = "Array(String)"
        case pl.Boolean():
            plain = "Bool"
        case _:
            plain = str(column.type)
    return f"Nullable({plain})" if column.nullable else plain


def _column(name: str, hint: Any) -> Column:
    if get_origin(hint) is tuple:
        return Column(name, pl.List(pl.String), False)
    if get_origin(hint) is dict:
        return Column(name, _MAP, False)
    options = [option for option in get_args(hint) if option is not NoneType]
    if hasattr(hint, "__metadata__"):
        return Column(name, _TYPES[hint.__metadata__[0]], False)
    if options:
        return _column(name, options[0])._replace(nullable=True)
    return Column(name, pl.Boolean() if hint is bool else pl.String(), False)


def _series(column: Column, values: list[Any]) -> pl.Series:
    match column.type:
        case pl.Datetime():
            return pl.Series(column.name, values, pl.Int64).cast(column.type)
        case pl.Decimal():
            return pl.Series(column.name, [in_steps(value) for value in values], column.type)
        case pl.List(inner=pl.Struct()):
            pairs = [[{"key": key, "value": held} for key, held in value.items()] for value in values]
            return pl.Series(column.name, pairs, column.type)
        case pl.List():
            return pl.Series(column.name, [[str(item) for item in value] for value in values], column.type)
        case pl.String():
            return pl.Series(column.name, [str(value) for value in values], column.type)
        case _:
            return pl.Series(column.name, values, column.type)


def in_steps(amount: Decimal | None) -> Decimal | None:
    """An amount cut to the six places a column keeps."""
    return None if amount is None else amount.quantize(_STEP, ROUND_DOWN)


_COLUMNS = {row_type: _columns(row_type) for row_type in TABLES}
