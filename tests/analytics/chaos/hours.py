"""What the hourly figures must say, and what they are made of, from the rows that must be in the tables."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from tests.analytics.chaos import tables as t
from tests.analytics.chaos.recomputed import Tables
from tests.analytics.chaos.views import by_look_up, ending_of, hour_of

_BUCKET_RATIO = 1.05


def hourly(of: Tables) -> Mapping[str, Callable[[], Iterable[t.Row]]]:
    """What the hourly figures are made of, by table."""
    return {
        "messages_by_hour": lambda: map(_message, of.messages.values()),
        "notifications_by_hour": lambda: map(_notification, of.notifications.values()),
        "told_prices": lambda: {
            t.ToldPrice(e.notification_id, e.attempt, e.received_at, e.price_unit, e.price)
            for e in of.status_events
            if e.price is not None and e.notification_id
        },
        "sender_providers": lambda: {
            t.SenderProvider(e.sender, e.provider) for e in of.status_events if e.sender
        },
        "sends_by_person": of.sends.values,
    }


def sums(of: Tables) -> Mapping[str, Callable[[], Iterable[t.Row]]]:
    """By table, when every hour has been summed."""
    return {
        "prices_by_hour": lambda: _prices(of),
        "hourly_attempts": lambda: _attempts(of),
        "hourly_latencies": lambda: _latencies([by_look_up(of, m) for m in of.messages.values()]),
        "hourly_notifications": lambda: _notifications(of),
        "touched_hours": lambda: _hours(of),
        "refreshed_hours": lambda: _hours(of),
    }


def _hours(of: Tables) -> set[t.Hour]:
    """Every outcome tells a notification, and a look-up touches its hour whether that has landed or not."""
    asked = {t.Hour(hour_of(n.requested_at)) for n in of.notifications.values()}
    return asked | {t.Hour(told.hour) for told in of.looked_up.values()}


def _last_told(of: Tables) -> dict[tuple[str, int], t.StatusEvent]:
    """The status that told the last price, of each attempt."""
    last: dict[tuple[str, int], t.StatusEvent] = {}
    for event in of.status_events:
        known = last.get((event.notification_id, event.attempt))
        if event.price is not None and (known is None or known.received_at < event.received_at):
            last[event.notification_id, event.attempt] = event
    return last


def _prices(of: Tables) -> Iterable[t.HourlyPrice]:
    """Of notifications that have landed; the prices of others have no hour yet, and are told_prices only."""
    for (notification, attempt), event in _last_told(of).items():
        landed = of.notifications.get(notification)
        if landed is not None:
            assert event.price is not None
            yield t.HourlyPrice(
                hour=hour_of(landed.requested_at),
                notification_id=notification,
                attempt=attempt,
                price=event.price,
                price_unit=event.price_unit,
                told_at=event.received_at,
            )


def _message(m: t.Message) -> t.HourlyMessage:
    return t.HourlyMessage(
        hour=hour_of(m.requested_at),
        notification_id=m.notification_id,
        attempt=m.attempt,
        version=m.version,
        tenant=m.tenant,
        channel=m.channel,
        sender=m.sender,
        status=m.status,
        ending=ending_of(m),
        error_code=m.error_code,
        error_class=m.error_class,
        segments=m.segments,
        country=m.country,
        carrier=m.carrier,
        carrier_source=m.carrier_source,
        category=m.category,
        requested_at=m.requested_at,
        accepted_at=m.accepted_at,
        sent_at=m.sent_at,
        delivered_at=m.delivered_at,
    )


def _notification(n: t.Notification) -> t.HourlyNotification:
    return t.HourlyNotification(
        hour=hour_of(n.requested_at),
        notification_id=n.notification_id,
        version=n.version,
        tenant=n.tenant,
        category=n.category,
        priority=n.priority,
        country=n.country,
        carrier=n.carrier,
        state=n.state,
        final=n.final,
        reason=n.reason,
        campaign=n.metadata.get("campaign", ""),
        duplicates=n.duplicates,
        requested_at=n.requested_at,
    )


def _attempts(of: Tables) -> list[t.AttemptSum]:
    """The last price told of an attempt counts."""
    last = _last_told(of)
    groups: dict[tuple[object, ...], list[t.Message]] = defaultdict(list)
    for message in of.messages.values():
        m = by_look_up(of, message)
        told = last.get((m.notification_id, m.attempt))
        route = m.tenant, m.channel, m.country, m.carrier, m.carrier_source, m.sender, m.category
        unit = told.price_unit if told else ""
        groups[(hour_of(m.requested_at), *route, m.error_code, m.error_class, unit)].append(m)
    found = []
    for key, group in groups.items():
        endings = Counter(map(ending_of, group))
        priced = [m for m in group if (m.notification_id, m.attempt) in last]
        unpriced = [m for m in group if (m.notification_id, m.attempt) not in last]
        found.append(
            t.AttemptSum._make(
                (
                    *key,
                    len(group),
                    endings["delivered"],
                    endings["undelivered"],
                    endings["failed"],
                    endings["unconfirmed"],
                    endings["held"],
                    endings["not_sent"],
                    endings["open"],
                    sum(m.status == "read" for m in group),
                    sum(m.segments for m in group),
                    len(priced),
                    sum(m.segments for m in priced),
                    sum(
                        m.segments
                        for m in unpriced
                        if ending_of(m) in ("delivered", "undelivered", "unconfirmed")
                    ),
                    sum((last[m.notification_id, m.attempt].price or 0 for m in priced), Decimal(0)),
                )
            )
        )
    return found


def _latencies(messages: Iterable[t.Message]) -> list[t.LatencySum]:
    """How many fell into each bucket; a notification's first carrier counts, and every delivered attempt."""
    counted: dict[tuple[object, ...], Counter[int]] = defaultdict(Counter)
    first: dict[str, t.Message] = {}
    for m in messages:
        if m.sent_at is None:
            continue
        known = first.get(m.notification_id)
        if known is None or (m.sent_at, m.attempt) < (known.sent_at or 0, known.attempt):
            first[m.notification_id] = m
        if m.delivered_at is not None:
            counted[*_route(m), "sent_to_delivered"][_bucket(m.delivered_at - m.sent_at)] += 1
    for m in first.values():
        assert m.sent_at is not None
        counted[*_route(m), "requested_to_sent"][_bucket(m.sent_at - m.requested_at)] += 1
    return [t.LatencySum._make((*key, latencies)) for key, latencies in counted.items()]


def _route(m: t.Message) -> tuple[object, ...]:
    hour = hour_of(m.requested_at)
    return hour, m.tenant, m.channel, m.country, m.carrier, m.carrier_source, m.sender


def _bucket(milliseconds: int) -> int:
    return round(math.log(max(1, milliseconds)) / math.log(_BUCKET_RATIO))


def _notifications(of: Tables) -> list[t.NotificationSum]:
    attempts: dict[str, list[t.Message]] = defaultdict(list)
    for m in of.messages.values():
        attempts[m.notification_id].append(m)
    groups: dict[tuple[object, ...], list[t.Notification]] = defaultdict(list)
    for n in of.notifications.values():
        told = of.looked_up.get((n.notification_id, n.requested_at))
        country, carrier = (
            (told.country or n.country, told.carrier or n.carrier) if told else (n.country, n.carrier)
        )
        by = hour_of(n.requested_at), n.tenant, n.category, n.priority, country, carrier
        stage = _stage(n, attempts[n.notification_id])
        groups[(*by, n.metadata.get("campaign", ""), stage, n.state, n.final, n.reason)].append(n)
    return [
        t.NotificationSum._make((*key, len(group), sum(n.duplicates for n in group)))
        for key, group in groups.items()
    ]


def _stage(n: t.Notification, attempts: Iterable[t.Message]) -> str:
    """How far it came."""
    if n.state in ("delivered", "read"):
        return "delivered"
    taken = any(m.sent_at is not None or ending_of(m) in ("delivered", "undelivered") for m in attempts)
    if taken or n.state in ("sent", "undelivered"):
        return "sent"
    given = any(ending_of(m) != "not_sent" for m in attempts)
    return "admitted" if given and n.state not in ("requested", "deferred") else "requested"
