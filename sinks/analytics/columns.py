"""Records to rows by the column: the same rows as `rows` makes, for many records at once.

Guarantees: either every row is what `rows` would make of the record, value for value (a property test says
so), or NotPlain: then something among these records needs judging one by one. What costs (hash, country,
mask, amount) is done once for each distinct value. Leaves to `rows` the reasons, and the rare topics.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias, get_args

import msgspec
import polars as pl

from schemas.records import (
    AttemptEvent,
    InboundMessage,
    NotificationOutcome,
    NotificationRequest,
    ProviderStatus,
    Record,
)
from schemas.topics import Topic
from sinks.analytics.frames import RECORD, columns_of, in_steps
from sinks.analytics.privacy import Privacy, without_number_of, without_numbers
from sinks.analytics.rows import EARLIEST_MS, LATEST_MS, amount, labels
from sinks.analytics.tables import (
    AttemptRow,
    InboundRow,
    MessageRow,
    NotificationRow,
    OutcomeHistoryRow,
    RequestRow,
    Row,
    StatusEventRow,
)

Tables: TypeAlias = dict[type[Row], pl.DataFrame]
Shape: TypeAlias = Callable[[pl.DataFrame, Privacy], Tables]

# Six digits with what people put between them; beyond ASCII there are more digits and blanks than are worth
# listing twice. Whatever `privacy` masks matches this.
_SUSPICIOUS = r"[0-9](?:[\t-\r\x1c-\x20().\-/]{0,3}[0-9]){5}|[^\x00-\x7f]"


class NotPlain(Exception):
    """Among these records is a value that `rows` must judge."""


def tables_of(topic: str, frame: pl.DataFrame, privacy: Privacy) -> Tables:
    """The rows of the topic's records, by table; tables without rows are left out.

    `frame` holds the fields `WANTED` names, RECORD, and the place in Kafka. Raises NotPlain.
    """
    shaping = COLUMNAR[topic]
    _check_words(frame, shaping.record_type)
    try:
        shaped = shaping.shape(frame, privacy)
        return {row_type: _fitted(row_type, rows) for row_type, rows in shaped.items() if rows.height}
    except pl.exceptions.PolarsError as misfit:
        raise NotPlain(str(misfit)) from misfit


def _status(frame: pl.DataFrame, privacy: Privacy) -> Tables:
    told = frame.get_column("price").drop_nulls().unique()
    prices = pl.DataFrame(
        {
            "price": told,
            "amount": pl.Series([in_steps(amount(text)) for text in told], dtype=pl.Decimal(18, 6)),
        }
    )
    rows = (
        _with_person(frame, privacy, "country")
        .join(prices, on="price", how="left", maintain_order="left")
        .with_columns(price=pl.col("amount"), carrier_done_at=pl.col("raw_dlr_done_date"))
    )
    return {StatusEventRow: rows}


def _attempts(frame: pl.DataFrame, privacy: Privacy) -> Tables:
    return {AttemptRow: frame.with_columns(_masked(frame.get_column("detail")), message_sid=pl.col("sid"))}


def _requests(frame: pl.DataFrame, privacy: Privacy) -> Tables:
    first = pl.col("steps").list.first().struct
    templates = pl.element().struct.field("content_sid")
    rows = _with_person(frame, privacy).with_columns(
        _masked(frame.get_column("refusal_detail")),
        _masked_of(frame, "idempotency_key"),
        _labelled(frame),
        body_chars=first.field("body").str.len_chars(),
        media_count=first.field("media_urls").list.len(),
        sender=first.field("sender"),
        content_sid=pl.col("steps").list.eval(templates.filter(templates.str.len_bytes() > 0)).list.first(),
        origin_topic=pl.col("origin").struct.field("topic"),
        origin_partition=pl.col("origin").struct.field("partition"),
        origin_offset=pl.col("origin").struct.field("offset"),
    )
    return {RequestRow: rows}


def _inbound(frame: pl.DataFrame, privacy: Privacy) -> Tables:
    rows = _with_person(frame, privacy, "country").with_columns(
        body_chars=pl.col("body").str.len_chars(), media_count=pl.col("media").list.len()
    )
    return {InboundRow: rows}


def _outcomes(frame: pl.DataFrame, privacy: Privacy) -> Tables:
    each = pl.col("attempts").list
    rows = _with_person(frame, privacy).with_columns(
        _masked(frame.get_column("detail")), _masked_of(frame, "idempotency_key"), _labelled(frame)
    )
    messages = (
        rows.filter(each.len() > 0)
        .explode("attempts")
        .unnest("attempts")
        .with_columns(message_sid=pl.col("sid"))
    )
    notifications = rows.with_columns(
        attempts=each.len(), segments=each.eval(pl.element().struct.field("segments")).list.sum()
    )
    return {MessageRow: messages, NotificationRow: notifications, OutcomeHistoryRow: rows}


class Columnar(msgspec.Struct, frozen=True):
    record_type: type[Record]
    shape: Shape


COLUMNAR: dict[str, Columnar] = {
    Topic.STATUS.value: Columnar(ProviderStatus, _status),
    Topic.ATTEMPTS.value: Columnar(AttemptEvent, _attempts),
    Topic.OUTCOMES.value: Columnar(NotificationOutcome, _outcomes),
    Topic.REQUESTS.value: Columnar(NotificationRequest, _requests),
    Topic.INBOUND.value: Columnar(InboundMessage, _inbound),
}
"""The topics that are read by the column; the others are rare enough to be read record by record."""

_UNLANDED = frozenset(
    {"parameters", "contacts", "content_hash", "passed_over", "cost_unit", "button_payload", "replied_to"}
)


def wanted_of(topic: str) -> frozenset[str]:
    """The fields of the topic's records that rows are made of."""
    return frozenset(COLUMNAR[topic].record_type.__struct_fields__) - _UNLANDED


def _fitted(row_type: type[Row], frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of the table: what is absent stands as empty text or 0 where the column is not nullable."""
    columns = columns_of(row_type)
    for column in columns:
        if column.is_time:
            at = frame.get_column(column.name)
            if not ((at >= EARLIEST_MS) & (at < LATEST_MS)).all():
                raise NotPlain(f"{column.name} holds an impossible time")
    fitted = []
    for column in columns:
        value = pl.col(column.name)
        if not column.nullable and column.type == pl.String:
            value = value.fill_null("")
        elif not column.nullable and column.type.is_integer():
            value = value.fill_null(0)
        fitted.append(value.cast(column.type))
    return frame.select(*fitted, pl.col(RECORD))


def _with_person(frame: pl.DataFrame, privacy: Privacy, *more: str) -> pl.DataFrame:
    """With recipient_hash and recipient_last2, and the number's own country when it is asked for."""
    numbers = frame.get_column("recipient").fill_null("").unique()
    people = pl.DataFrame(
        [privacy.person(number) for number in numbers],
        schema={"recipient_hash": pl.String, "recipient_last2": pl.String, "country": pl.String},
        orient="row",
    )
    told = people.select("recipient_hash", "recipient_last2", *more).with_columns(numbers)
    return frame.with_columns(pl.col("recipient").fill_null("")).join(
        told, on="recipient", how="left", maintain_order="left"
    )


def _masked(texts: pl.Series) -> pl.Series:
    """Free text without numbers."""
    texts = texts.fill_null("")
    suspicious = texts.filter(texts.str.contains(_SUSPICIOUS)).unique().to_list()
    if not suspicious:
        return texts
    return texts.replace_strict(
        suspicious, [without_numbers(text) for text in suspicious], default=texts, return_dtype=pl.String
    )


def _masked_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """A producer's own words without the number of the recipient."""
    texts = frame.get_column(name)
    found = texts.str.contains(_SUSPICIOUS).arg_true()
    if found.is_empty():
        return texts
    said = zip(texts.gather(found), frame.get_column("recipient").gather(found), strict=True)
    return texts.scatter(found, [without_number_of(text, number) for text, number in said])


def _labelled(frame: pl.DataFrame) -> pl.Series:
    """The producer's labels without the number of the recipient; a label that is said twice counts once."""
    held = frame.get_column("metadata")
    if not held.list.len().sum():
        return held
    pairs = pl.DataFrame({"row": pl.int_range(frame.height, eager=True), "pair": held})
    pairs = pairs.filter(pl.col("pair").list.len() > 0).explode("pair").unnest("pair")
    odd = pairs.group_by("row").agg(
        odd=(pl.col("key").n_unique() < pl.len())
        | pl.col("key").str.contains(_SUSPICIOUS).any()
        | pl.col("value").str.contains(_SUSPICIOUS).any()
    )
    found = set(odd.filter("odd").get_column("row"))
    if not found:
        return held
    numbers = frame.get_column("recipient")
    lists = held.to_list()
    for row in found:
        told = {pair["key"]: pair["value"] for pair in lists[row]}
        lists[row] = [{"key": key, "value": value} for key, value in labels(told, numbers[row]).items()]
    return pl.Series("metadata", lists, held.dtype)


def _check_words(frame: pl.DataFrame, record_type: type[msgspec.Struct]) -> None:
    """Raises NotPlain when a field holds a word outside its vocabulary."""
    for field in msgspec.structs.fields(record_type):
        if field.name not in frame.columns:
            continue
        held = frame.get_column(field.name)
        for option in (field.type, *get_args(field.type)):
            if not isinstance(option, type):
                continue
            if issubclass(option, StrEnum):
                _check_known(held, option)
            elif issubclass(option, msgspec.Struct) and held.dtype == pl.List and held.list.len().sum():
                _check_words(held.explode().drop_nulls().struct.unnest(), option)


def _check_known(held: pl.Series, words: type[StrEnum]) -> None:
    if held.dtype == pl.List:
        held = held.explode()
    unknown = set(held.drop_nulls().unique()) - {word.value for word in words}
    if unknown:
        raise NotPlain(f"{held.name} holds a word nobody knows")
