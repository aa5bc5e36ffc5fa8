"""What one row counts for, as SQL: the one definition of every figure that is summed by hours.

Guarantees: a fact's columns are those of its hourly table but the generation, each row a summand; so the
sum over the facts of an hour is what the table holds for it, and readers may add facts to sums. Reads the
tables that are sorted by hour, with FINAL, and of them only the hours asked for.
Leaves to `rollups` when hours are summed, to the reports who adds up what.
"""

import math
from dataclasses import dataclass

ENDINGS = ("delivered", "undelivered", "failed", "unconfirmed", "held", "not_sent", "open")

# Neighbouring buckets of latencies are 5 % apart, so a bucket is off by the root of that at most: 2.5 %.
BUCKET_RATIO = 1.05


@dataclass(frozen=True, slots=True)
class Fact:
    """An hourly table, what it is sorted out by and what it sums. `facts` has {hours} and {rows}."""

    table: str
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    facts: str
    adds: str = "sum"
    """What adds the measures up."""

    def rows(self, hours: str, rows: str = "1") -> str:
        """The facts of the hours a condition on `hour` names; `rows` is one on `requested_at`. A SELECT."""
        return self.facts.format(hours=hours, rows=rows)


def _attributed(table: str, others: str = "") -> str:
    """The rows of a *_by_hour table with the look-up's carrier where there is one, else what the request
    said."""
    replaced = f"{others}, carrier, country" if others else "carrier, country"
    source = "if(c.carrier != '', 'lookup', m.carrier_source) AS carrier_source," if others else ""
    return f"""
        SELECT
            m.* EXCEPT ({replaced}), {source}
            if(c.carrier != '', c.carrier, m.carrier) AS carrier,
            if(c.country != '', c.country, m.country) AS country
        FROM (SELECT * FROM {table} FINAL WHERE {{hours}} AND {{rows}}) AS m
        LEFT JOIN
        (
            SELECT notification_id, requested_at, carrier, country FROM notification_carriers FINAL
            WHERE {{hours}}
        ) AS c
        ON c.notification_id = m.notification_id AND c.requested_at = m.requested_at
        """  # noqa: S608 - of constants


_MESSAGES = _attributed("messages_by_hour", "carrier_source")

ATTEMPTS = Fact(
    "hourly_attempts",
    (
        "tenant",
        "channel",
        "country",
        "carrier",
        "carrier_source",
        "sender",
        "category",
        "error_code",
        "error_class",
        "price_unit",
    ),
    ("attempts", *ENDINGS, "read", "segments", "priced", "priced_segments", "unpriced_segments", "price"),
    f"""
    SELECT
        m.hour AS hour, m.tenant AS tenant, m.channel AS channel, m.country AS country, m.carrier AS carrier,
        m.carrier_source AS carrier_source, m.sender AS sender, m.category AS category,
        m.error_code AS error_code, m.error_class AS error_class, p.price_unit AS price_unit,
        toUInt64(1) AS attempts,
        {", ".join(f"toUInt64(m.ending = '{ending}') AS {ending}" for ending in ENDINGS)},
        toUInt64(m.status = 'read') AS read,
        toInt64(m.segments) AS segments,
        toUInt64(p.notification_id != '') AS priced,
        if(p.notification_id != '', toInt64(m.segments), 0) AS priced_segments,
        if(p.notification_id = '' AND m.ending IN ('delivered', 'undelivered', 'unconfirmed'),
            toInt64(m.segments), 0) AS unpriced_segments,
        toDecimal128(p.price, 6) AS price
    FROM ({_MESSAGES}) AS m
    LEFT JOIN
    (
        SELECT hour, notification_id, attempt, price, price_unit FROM prices_by_hour FINAL WHERE {{hours}}
    ) AS p
    ON p.hour = m.hour AND p.notification_id = m.notification_id AND p.attempt = m.attempt
    """,  # noqa: S608 - of constants
)

_BUCKET = f"toInt16(round(log(greatest(1, milliseconds)) / {math.log(BUCKET_RATIO)!r}))"

# requested_to_sent: one per notification a carrier took, to the first time one did, which includes time it
# was deferred on purpose. sent_to_delivered: one per delivered attempt whose `sent` was seen. Both are the
# times we received the news, so callbacks that overtook each other count as 0.
LATENCIES = Fact(
    "hourly_latencies",
    ("tenant", "channel", "country", "carrier", "carrier_source", "sender", "span"),
    ("latencies",),
    f"""
    SELECT
        hour, tenant, channel, country, carrier, carrier_source, sender, span,
        map({_BUCKET}, toUInt64(1)) AS latencies
    FROM
    (
        SELECT
            hour, any(m.tenant) AS tenant, argMin(m.channel, (m.sent_at, m.attempt)) AS channel,
            any(m.country) AS country, any(m.carrier) AS carrier, any(m.carrier_source) AS carrier_source,
            argMin(m.sender, (m.sent_at, m.attempt)) AS sender, 'requested_to_sent' AS span,
            dateDiff('millisecond', any(m.requested_at), assumeNotNull(min(m.sent_at))) AS milliseconds
        FROM ({_MESSAGES}) AS m
        WHERE m.sent_at IS NOT NULL
        GROUP BY hour, notification_id
        UNION ALL
        SELECT
            hour, tenant, channel, country, carrier, carrier_source, sender, 'sent_to_delivered' AS span,
            dateDiff('millisecond', assumeNotNull(sent_at), assumeNotNull(delivered_at)) AS milliseconds
        FROM ({_MESSAGES})
        WHERE sent_at IS NOT NULL AND delivered_at IS NOT NULL
    )
    """,  # noqa: S608 - of constants
    "sumMap",
)

# How far it came. A state says most of it; whether an attempt of a failed one had reached a carrier, or the
# provider at all, its attempts say.
NOTIFICATIONS = Fact(
    "hourly_notifications",
    (
        "tenant",
        "category",
        "priority",
        "country",
        "carrier",
        "campaign",
        "stage",
        "state",
        "final",
        "reason",
    ),
    ("notifications", "duplicates"),
    f"""
    SELECT
        n.hour AS hour, n.tenant AS tenant, n.category AS category, n.priority AS priority,
        n.country AS country, n.carrier AS carrier, n.campaign AS campaign,
        multiIf(
            n.state IN ('delivered', 'read'), 'delivered',
            n.state IN ('sent', 'undelivered') OR m.taken > 0, 'sent',
            m.given > 0 AND n.state NOT IN ('requested', 'deferred'), 'admitted',
            'requested') AS stage,
        n.state AS state, n.final AS final, n.reason AS reason,
        toUInt64(1) AS notifications, toInt64(n.duplicates) AS duplicates
    FROM ({_attributed("notifications_by_hour")}) AS n
    LEFT JOIN
    (
        SELECT
            hour, notification_id,
            countIf(sent_at IS NOT NULL OR ending IN ('delivered', 'undelivered')) AS taken,
            countIf(ending != 'not_sent') AS given
        FROM (SELECT * FROM messages_by_hour FINAL WHERE {{hours}})
        GROUP BY hour, notification_id
    ) AS m
    ON m.hour = n.hour AND m.notification_id = n.notification_id
    """,  # noqa: S608 - of constants
)

FACTS = (ATTEMPTS, LATENCIES, NOTIFICATIONS)


def milliseconds_of(bucket: int) -> float:
    """The middle of a bucket of latencies, by ratio: every latency in it is within 2.5 % of this."""
    return float(BUCKET_RATIO**bucket)
