"""Everything known of one notification, in the order it happened: what `show` tells.

Guarantees: reads ClickHouse only, so it works wherever analysts are, and says when nothing has landed yet.
The order is by the time of each event; within one millisecond, causes before effects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sinks.analytics.error_meanings import meaning_of
from sinks.analytics.errors import UnknownNotification

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `details` are (name, value), only those that say something."""

    at: datetime
    kind: str
    what: str
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    notification_id: str
    tenant: str | None
    state: str | None
    """The latest outcome's; None when no outcome has landed."""
    final: bool
    moments: tuple[Moment, ...]


def timeline(client: "Client", notification_id: str) -> Timeline:
    """All of it. Raises UnknownNotification when nothing has landed, and what clickhouse-connect raises."""
    moments = [moment for read in _READERS for moment in read(client, notification_id)]
    if not moments:
        raise UnknownNotification(
            f"notification {notification_id} is not (yet) in ClickHouse: check the id; if it was requested "
            "just now, wait a few seconds; else see whether `notifystream analytics` runs and how far it lags"
        )
    # Sorting is stable, and the readers stand in the order of causes.
    moments.sort(key=lambda moment: moment.at)
    current = _rows(
        client,
        "SELECT tenant, state, final FROM notifications FINAL WHERE notification_id = {id:String}",
        notification_id,
    )
    tenant, state, final = current[0] if current else (None, None, False)
    return Timeline(notification_id, tenant, state, bool(final), tuple(moments))


def _requests(client: "Client", notification_id: str) -> Iterator[Moment]:
    for at, country, carrier, channels, category, chars, refusal, detail, topic, partition, offset in _rows(
        client,
        """
        SELECT toUnixTimestamp64Milli(requested_at), country, carrier, channels, category, body_chars,
            refusal, refusal_detail, origin_topic, origin_partition, origin_offset
        FROM requests FINAL WHERE notification_id = {id:String} ORDER BY requested_at
        """,
        notification_id,
    ):
        yield Moment(
            _time(at),
            "request",
            f"refused: {refusal}" if refusal else f"{category} by {', then '.join(channels)}",
            _told(
                detail=detail,
                to=f"{country}, {carrier}",
                characters=chars,
                read_at=f"{topic}[{partition}]@{offset}",
            ),
        )


def _commands(client: "Client", notification_id: str) -> Iterator[Moment]:
    for at, attempt, channel, sender, segments in _rows(
        client,
        """
        SELECT toUnixTimestamp64Milli(commanded_at), attempt, channel, sender, segments
        FROM messages FINAL WHERE notification_id = {id:String} ORDER BY attempt
        """,
        notification_id,
    ):
        yield Moment(
            _time(at), "command", f"attempt {attempt} by {channel}", _told(sender=sender, segments=segments)
        )


def _attempts(client: "Client", notification_id: str) -> Iterator[Moment]:
    for at, attempt, result, sid, status, code, error_class, detail, latency, request_id in _rows(
        client,
        """
        SELECT toUnixTimestamp64Milli(at), attempt, result, message_sid, status, error_code, error_class,
            detail, latency_ms, request_id
        FROM attempts FINAL WHERE notification_id = {id:String} ORDER BY attempts.at
        """,
        notification_id,
    ):
        yield Moment(
            _time(at),
            "attempt",
            f"attempt {attempt} {result.replace('_', ' ')}",
            _told(
                sid=sid,
                status=status,
                error=_error(code),
                error_class=error_class,
                detail=detail,
                call=f"{latency} ms" if latency is not None else "",
                twilio_request=request_id,
            ),
        )


def _statuses(client: "Client", notification_id: str) -> Iterator[Moment]:
    for at, attempt, status, code, source, sid, price, unit, copies in _rows(
        client,
        """
        SELECT toUnixTimestamp64Milli(min(received_at)) AS first, any(attempt), any(status), any(error_code),
            any(source), any(message_sid), toString(any(price)), any(price_unit), count()
        FROM status_events FINAL WHERE notification_id = {id:String} GROUP BY event_id ORDER BY first
        """,
        notification_id,
    ):
        yield Moment(
            _time(at),
            "status",
            f"attempt {attempt} {status}",
            _told(
                error=_error(code),
                by=source,
                sid=sid,
                price=f"{price} {unit}" if price else "",
                copies=copies if copies > 1 else "",
            ),
        )


def _outcomes(client: "Client", notification_id: str) -> Iterator[Moment]:
    """The history, and the state that stands: its version may be all that is left of a compacted topic."""
    for at, version, state, final, reason, detail in _rows(
        client,
        """
        SELECT DISTINCT toUnixTimestamp64Milli(updated_at) AS at, version, state, final, reason, detail FROM
        (
            SELECT updated_at, version, state, final, reason, detail
            FROM outcome_history FINAL WHERE notification_id = {id:String}
            UNION ALL
            SELECT updated_at, version, state, final, reason, detail
            FROM notifications FINAL WHERE notification_id = {id:String}
        ) ORDER BY version
        """,
        notification_id,
    ):
        yield Moment(
            _time(at),
            "outcome",
            state,
            _told(final="yes" if final else "", reason=reason, detail=detail, version=version),
        )


def _dead_letters(client: "Client", notification_id: str) -> Iterator[Moment]:
    """By the record's key, and by the notify request it was made of."""
    for at, stage, reason, detail, topic, partition, offset in _rows(
        client,
        """
        SELECT toUnixTimestamp64Milli(at), stage, reason, detail, topic, partition, offset
        FROM dead_letters FINAL
        WHERE notification_id = {id:String} OR (topic, partition, offset) IN
        (
            SELECT origin_topic, origin_partition, origin_offset
            FROM requests FINAL WHERE notification_id = {id:String}
        )
        ORDER BY dead_letters.at
        """,
        notification_id,
    ):
        yield Moment(
            _time(at),
            "dead letter",
            f"{stage}: {reason}",
            _told(detail=detail, read_at=f"{topic}[{partition}]@{offset}"),
        )


_READERS: tuple[Callable[["Client", str], Iterator[Moment]], ...] = (
    _requests,
    _commands,
    _attempts,
    _statuses,
    _dead_letters,
    _outcomes,
)


def _rows(client: "Client", sql: str, notification_id: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql, parameters={"id": notification_id}).result_rows]


def _told(**details: object) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in details.items() if value not in ("", None))


def _error(code: int) -> str:
    return f"{code}, {meaning_of(code).meaning}" if code else ""


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
