"""Which tables and views are compared, and how to ask for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from tests.analytics.chaos import tables as t


@dataclass(frozen=True, slots=True)
class Shape:
    """A table or view by name. `key`: the columns in which no two rows agree.

    `final`: copies are still to be merged away; `where`: which rows stand, if not all.
    """

    name: str
    row: type[t.Row]
    key: tuple[str, ...]
    final: bool = True
    where: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.row.__annotations__)

    def select(self) -> str:
        """All of it, as it stands after every merge to come."""
        asked = ", ".join(map(_asked, self.columns, self.row.__annotations__.values()))
        final, where = " FINAL" if self.final else "", f" WHERE {self.where}" if self.where else ""
        return f"SELECT {asked} FROM {self.name} AS t{final}{where}"  # noqa: S608

    def by_key(self, rows: Iterable[t.Row]) -> dict[t.Row, t.Row]:
        """The last row of each key."""
        at = [self.columns.index(column) for column in self.key]
        if len(at) == 1:
            return {(row[at[0]],): row for row in rows}
        key = itemgetter(*at)
        return {key(row): row for row in rows}


def _asked(column: str, annotation: Any) -> str:
    # The annotations are text, as this module postpones them.
    text = getattr(annotation, "__forward_arg__", annotation)
    if "HourMs" in text:
        return f"toInt64(toUnixTimestamp(t.`{column}`)) * 1000 AS {column}_ms"
    return f"toUnixTimestamp64Milli(t.`{column}`) AS {column}_ms" if "Ms" in text else f"t.`{column}`"


_PLACE = ("kafka_topic", "kafka_partition", "kafka_offset")
TABLES = (
    Shape("status_events", t.StatusEvent, _PLACE),
    Shape("attempts", t.Attempt, _PLACE),
    Shape("requests", t.Request, _PLACE),
    Shape("inbound", t.Inbound, _PLACE),
    Shape("consent_changes", t.Consent, _PLACE),
    Shape("dead_letters", t.Letter, ("stage", "topic", "partition", "offset")),
    Shape("messages", t.Message, ("notification_id", "attempt")),
    Shape("notifications", t.Notification, ("notification_id",)),
    Shape("outcome_history", t.History, ("notification_id", "version", "updated_at")),
    Shape("notification_carriers", t.LookedUp, ("notification_id", "requested_at")),
)
VIEWS = (
    Shape("message_endings", t.Ending, ("notification_id", "attempt"), final=False),
    Shape("attributed_messages", t.Attributed, ("notification_id", "attempt"), final=False),
    Shape("route_attempts", t.RouteAttempt, ("notification_id", "attempt"), final=False),
    Shape("notification_states", t.StateCount, t.StateCount._fields[:7], final=False),
    Shape("request_latencies", t.RequestLatency, ("notification_id",), final=False),
    Shape("delivery_latencies", t.DeliveryLatency, ("notification_id", "attempt"), final=False),
    Shape("message_prices", t.Price, ("message_sid",), final=False),
    Shape("consent", t.Standing, t.Standing._fields[:3], final=False),
)
"""Views that read what landed, whatever has been summed."""
MIXED = (Shape("deliverability", t.Deliverability, t.Deliverability._fields[:9], final=False),)
"""Views that read sums where there are some, and rows where there are none yet: the same before and after."""
HOURLY = (
    Shape("messages_by_hour", t.HourlyMessage, t.HourlyMessage._fields[:3]),
    Shape("notifications_by_hour", t.HourlyNotification, t.HourlyNotification._fields[:2]),
    Shape("told_prices", t.ToldPrice, t.ToldPrice._fields),
    Shape("sender_providers", t.SenderProvider, t.SenderProvider._fields),
    Shape("sends_by_person", t.Send, ("notification_id",)),
)
"""What the hourly figures are made of, and the other tables that are filled with them."""

_STANDS = "(hour, generation) IN (SELECT hour, generation FROM refreshed_hours FINAL)"
SUMS = (
    Shape("prices_by_hour", t.HourlyPrice, t.HourlyPrice._fields[:3]),
    Shape("hourly_attempts", t.AttemptSum, t.AttemptSum._fields[:11], final=False, where=_STANDS),
    Shape("hourly_latencies", t.LatencySum, t.LatencySum._fields[:8], final=False, where=_STANDS),
    Shape(
        "hourly_notifications", t.NotificationSum, t.NotificationSum._fields[:11], final=False, where=_STANDS
    ),
    Shape("touched_hours", t.Hour, t.Hour._fields),
    Shape("refreshed_hours", t.Hour, t.Hour._fields),
)
"""The hourly figures; all of them only when every touched hour has been summed."""

EVERYTHING = (*TABLES, *VIEWS, *MIXED, *HOURLY, *SUMS)

NOT_OF_THE_SINK = frozenset(
    {"recipient_carriers", "lookup_reservations", "recipient_numbers", "recipient_links"}
)
"""Tables that `notifystream carriers` alone writes: nothing of a run is in them."""
_BOOKS = frozenset({"schema_migrations", "rollup_progress", "live_hours", "recipient_people"})


def uncompared(there: Iterable[str]) -> list[str]:
    """Of the tables and views that are there, those of which nothing here knows."""
    known = {shape.name for shape in EVERYTHING} | NOT_OF_THE_SINK | _BOOKS
    return sorted(set(there) - known)
