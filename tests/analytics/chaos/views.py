"""What the views must say, worked out from the rows that must be in the tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from tests.analytics.chaos import tables as t
from tests.analytics.chaos.recomputed import Tables

_HOUR_MS = 3_600_000
_ENDINGS = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
    "rejected": "failed",
    "unconfirmed": "unconfirmed",
    "held": "held",
    "suppressed": "not_sent",
    "not_admitted": "not_sent",
    "expired": "not_sent",
    "absent": "not_sent",
}


def views(of: Tables) -> Mapping[str, Callable[[], Iterable[t.Row]]]:
    """By name."""
    messages = of.messages.values()
    return {
        "message_endings": lambda: map(_ending, messages),
        "attributed_messages": lambda: [_attributed(of, message) for message in messages],
        "route_attempts": lambda: _route_attempts(messages),
        "deliverability": lambda: _deliverability([by_look_up(of, message) for message in messages]),
        "notification_states": lambda: _states(of.notifications.values()),
        "request_latencies": lambda: _request_latencies(messages),
        "delivery_latencies": lambda: _delivery_latencies(messages),
        "message_prices": lambda: _prices(of.status_events),
        "consent": lambda: _consent(of.consent),
    }


def by_look_up(of: Tables, m: t.Message) -> t.Message:
    """With the carrier and the country that a look-up told, where it told one, instead of the prefix's."""
    told = of.looked_up.get((m.notification_id, m.requested_at))
    if told is None:
        return m
    carrier, source = (told.carrier, "lookup") if told.carrier else (m.carrier, m.carrier_source)
    return m._replace(carrier=carrier, carrier_source=source, country=told.country or m.country)


def _attributed(of: Tables, message: t.Message) -> t.Attributed:
    told = of.looked_up.get((message.notification_id, message.requested_at))
    m = by_look_up(of, message)
    return t.Attributed(
        notification_id=m.notification_id,
        attempt=m.attempt,
        version=m.version,
        tenant=m.tenant,
        sender=m.sender,
        status=m.status,
        hour=hour_of(m.commanded_at),
        ending=ending_of(m),
        country=m.country,
        carrier=m.carrier,
        carrier_source=m.carrier_source,
        mcc=told.mcc if told else "",
        mnc=told.mnc if told else "",
        line_type=told.line_type if told else "",
    )


def _route_attempts(messages: Iterable[t.Message]) -> Iterable[t.RouteAttempt]:
    """Every attempt that the provider took or refused, for what the route is to blame or to praise for."""
    for m in messages:
        taken_at = m.accepted_at if m.accepted_at is not None else m.ended_at
        ending = ending_of(m)
        if taken_at is None or ending == "not_sent" or m.error_class in ("opt_out", "bad_number"):
            continue
        arrived_at = m.delivered_at if m.delivered_at is not None else m.ended_at
        yield t.RouteAttempt(
            notification_id=m.notification_id,
            attempt=m.attempt,
            tenant=m.tenant,
            sender=m.sender,
            carrier=m.carrier,
            country=m.country,
            requested_at=m.requested_at,
            taken_at=taken_at,
            arrived_at=arrived_at if ending == "delivered" else None,
            has_failed=int(ending in ("undelivered", "failed")),
            error_code=m.error_code,
        )


def _ending(m: t.Message) -> t.Ending:
    return t.Ending(
        notification_id=m.notification_id,
        attempt=m.attempt,
        version=m.version,
        status=m.status,
        hour=hour_of(m.commanded_at),
        ending=ending_of(m),
    )


def _deliverability(messages: Iterable[t.Message]) -> list[t.Deliverability]:
    groups: dict[tuple[int, str, str, str, str, str, str, int, str], list[t.Message]] = defaultdict(list)
    for m in messages:
        hour = hour_of(m.requested_at)
        route = m.tenant, m.channel, m.country, m.carrier, m.carrier_source, m.sender
        groups[(hour, *route, m.error_code, m.error_class)].append(m)
    found = []
    for key, group in groups.items():
        endings = [ending_of(m) for m in group]
        found.append(
            t.Deliverability(
                *key,
                attempts=len(group),
                delivered=endings.count("delivered"),
                undelivered=endings.count("undelivered"),
                failed=endings.count("failed"),
                unconfirmed=endings.count("unconfirmed"),
                held=endings.count("held"),
                not_sent=endings.count("not_sent"),
                open=endings.count("open"),
                read=sum(m.status == "read" for m in group),
                segments=sum(m.segments for m in group),
            )
        )
    return found


def _states(notifications: Iterable[t.Notification]) -> list[t.StateCount]:
    groups: dict[tuple[int, str, str, str, str, str, str], list[t.Notification]] = defaultdict(list)
    for n in notifications:
        hour = hour_of(n.requested_at)
        groups[hour, n.tenant, n.category, n.priority, n.country, n.state, n.reason].append(n)
    return [
        t.StateCount(*key, notifications=len(group), duplicates=sum(n.duplicates for n in group))
        for key, group in groups.items()
    ]


def _request_latencies(messages: Iterable[t.Message]) -> list[t.RequestLatency]:
    sent: dict[str, list[t.Message]] = defaultdict(list)
    for m in messages:
        if m.sent_at is not None:
            sent[m.notification_id].append(m)
    found = []
    for notification, group in sent.items():
        first = min(m.sent_at for m in group if m.sent_at is not None)
        m = group[0]
        found.append(
            t.RequestLatency(
                notification_id=notification,
                tenant=m.tenant,
                country=m.country,
                carrier=m.carrier,
                carrier_source=m.carrier_source,
                requested=m.requested_at,
                requested_to_sent_ms=max(0, first - m.requested_at),
            )
        )
    return found


def _delivery_latencies(messages: Iterable[t.Message]) -> list[t.DeliveryLatency]:
    return [
        t.DeliveryLatency(
            notification_id=m.notification_id,
            attempt=m.attempt,
            tenant=m.tenant,
            country=m.country,
            carrier=m.carrier,
            carrier_source=m.carrier_source,
            channel=m.channel,
            sender=m.sender,
            requested=m.requested_at,
            sent_to_delivered_ms=max(0, m.delivered_at - m.sent_at),
        )
        for m in messages
        if m.sent_at is not None and m.delivered_at is not None
    ]


def _prices(events: Iterable[t.StatusEvent]) -> list[t.Price]:
    """The last price told; `plan` tells no two different ones at one time."""
    told: dict[str, list[t.StatusEvent]] = defaultdict(list)
    for event in events:
        if event.price is not None:
            told[event.message_sid].append(event)
    found = []
    for sid, group in told.items():
        last = max(group, key=lambda event: event.received_at)
        assert last.price is not None
        found.append(
            t.Price(
                message_sid=sid,
                notification=last.notification_id,
                sender=last.sender,
                price=last.price,
                price_unit=last.price_unit,
                segments=max(event.segments for event in group),
            )
        )
    return found


def _consent(changes: Iterable[t.Consent]) -> list[t.Standing]:
    """The last word; of two at one time, the one that was written later."""
    ledger: dict[tuple[str, str, str], list[t.Consent]] = defaultdict(list)
    for change in changes:
        ledger[change.recipient_hash, change.tenant, change.channel_group].append(change)
    found = []
    for key, group in ledger.items():
        last = max(group, key=lambda change: (change.at, change.kafka_offset))
        found.append(t.Standing(*key, state=last.state, source=last.source, since=last.at))
    return found


def ending_of(m: t.Message) -> str:
    return _ENDINGS.get(m.status, "open")


def hour_of(at: int) -> int:
    """The beginning of its hour."""
    return at - at % _HOUR_MS
