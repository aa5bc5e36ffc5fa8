"""Rows for the reports' tests, and what stands of them: the highest version of each, whatever came when."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clickhouse_connect.driver.client import Client

from sinks.analytics.clickhouse import connect
from sinks.analytics.migrate import migrate
from sinks.analytics.reports import Report, report
from tests.analytics.world import ClickHouse

HOUR_MS = 3_600_000
# The beginning of an hour a day ago: retention counts from now.
_NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = int(_NOW.timestamp() * 1000) - 24 * HOUR_MS
ENDINGS = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "rejected": "failed",
    "unconfirmed": "unconfirmed",
    "held": "held",
    "suppressed": "not_sent",
    "not_admitted": "not_sent",
    "sent": "open",
    "a-new-one": "open",
}
_numbers = itertools.count()


@dataclass(frozen=True)
class Message:
    """A row of messages."""

    notification_id: str
    attempt: int = 1
    version: int = 1
    tenant: str = "acme"
    channel: str = "sms"
    sender: str = "+14155550100"
    status: str = "delivered"
    error_code: int = 0
    error_class: str = ""
    segments: int = 1
    country: str = "DE"
    carrier: str = "Telekom"
    carrier_source: str = "prefix"
    category: str = "transactional"
    requested_at: int = START
    commanded_at: int = START
    accepted_at: int | None = None
    sent_at: int | None = None
    delivered_at: int | None = None

    @property
    def ending(self) -> str:
        return ENDINGS[self.status]


@dataclass(frozen=True)
class Notification:
    """A row of notifications."""

    notification_id: str
    version: int = 1
    tenant: str = "acme"
    state: str = "delivered"
    final: bool = True
    reason: str = ""
    recipient_hash: str = "someone"
    country: str = "DE"
    carrier: str = "Telekom"
    category: str = "transactional"
    priority: str = "normal"
    metadata: dict[str, str] = field(default_factory=dict)
    requested_at: int = START


@dataclass(frozen=True)
class Status:
    """A row of status_events."""

    notification_id: str
    received_at: int
    price: Decimal | None = None
    price_unit: str = "USD"
    attempt: int = 1
    provider: str = "twilio"
    sender: str = "+14155550100"
    account_sid: str = "AC1"
    message_sid: str = "SM1"
    kafka_offset: int = field(default_factory=lambda: next(_numbers))


@dataclass(frozen=True)
class OptOut:
    """A row of consent_changes."""

    recipient_hash: str
    at: int
    tenant: str = "acme"
    state: str = "opted_out"
    source: str = "inbound"
    kafka_offset: int = field(default_factory=lambda: next(_numbers))


@dataclass(frozen=True)
class LookedUp:
    """A row of notification_carriers, but for its hour."""

    notification_id: str
    carrier: str
    requested_at: int = START
    valid_from: int = START
    country: str = ""
    mcc: str = "262"
    mnc: str = "01"


Row = Message | Notification | Status | OptOut | LookedUp
_TABLES = {
    LookedUp: "notification_carriers",
    Message: "messages",
    Notification: "notifications",
    Status: "status_events",
    OptOut: "consent_changes",
}


def land(client: Client, rows: Iterable[Row]) -> None:
    """One block per table, as a sink does it."""
    by_type: dict[type[Row], list[dict[str, Any]]] = {}
    for row in rows:
        hour = {"hour": row.requested_at // HOUR_MS * HOUR_MS // 1000} if isinstance(row, LookedUp) else {}
        by_type.setdefault(type(row), []).append(asdict(row) | hour)
    for row_type, block in by_type.items():
        names = list(block[0])
        client.insert(_TABLES[row_type], [[row[name] for name in names] for row in block], column_names=names)


@contextmanager
def database(server: ClickHouse, name: str) -> Iterator[Client]:
    """One of the test's own, with all tables."""
    url = f"{server.url}/{name}"
    migrate(url)
    client = connect(url)
    try:
        yield client
    finally:
        client.close()


def time_of(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def asked(
    client: Client,
    name: str,
    since: int = START,
    until: int = START + HOUR_MS,
    now: int = START + HOUR_MS,
    tenant: str | None = None,
    by: tuple[str, ...] = (),
) -> Report:
    return report(client, name, time_of(since), until=time_of(until), now=time_of(now), tenant=tenant, by=by)


def dicts(made: Report) -> list[dict[str, Any]]:
    return [dict(zip(made.columns, row, strict=True)) for row in made.rows]


def standing(rows: Iterable[Message]) -> list[Message]:
    """The highest version of each attempt."""
    best: dict[tuple[str, int], Message] = {}
    for row in rows:
        key = (row.notification_id, row.attempt)
        if key not in best or best[key].version < row.version:
            best[key] = row
    return list(best.values())


def standing_notifications(rows: Iterable[Notification]) -> list[Notification]:
    best: dict[str, Notification] = {}
    for row in rows:
        if row.notification_id not in best or best[row.notification_id].version < row.version:
            best[row.notification_id] = row
    return list(best.values())


def carriers_told(rows: Iterable[Row]) -> dict[str, str]:
    """The latest look-up's carrier, by notification: of those for the request that its rows name."""
    rows = list(rows)
    named = {row.notification_id: row.requested_at for row in rows if isinstance(row, Message | Notification)}
    latest: dict[str, LookedUp] = {}
    for row in rows:
        if isinstance(row, LookedUp) and named.get(row.notification_id) == row.requested_at:
            before = latest.get(row.notification_id)
            if before is None or before.valid_from < row.valid_from:
                latest[row.notification_id] = row
    return {key: row.carrier for key, row in latest.items() if row.carrier}
