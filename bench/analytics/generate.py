"""A month of plausible traffic, made inside ClickHouse: status events, their messages and notifications.

Guarantees: the same rows for the same count, but for the month, which is the last one; every row comes in
through the raw tables, so that the views on them work as they do for the sink. Four events a message.
Leaves to `reports` what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client

EVENTS_PER_MESSAGE = 4
MESSAGES_AT_ONCE = 1_000_000
DAYS = 30

# Tenants with three senders each; one carrier in three is of the tenant's own country.
_TENANTS, _CARRIERS = 8, 24
# Everything that is random about a message is a function of its number and of which thing it is.
_CHANCE = "(sipHash64({what}, i) % 1000000) / 1000000"


def generate(client: Client, rows: int, until_ms: int) -> int:
    """Insert `rows` status events of the 30 days before, and what belongs to them. Answers the messages."""
    messages = rows // EVENTS_PER_MESSAGE
    for first in range(0, messages, MESSAGES_AT_ONCE):
        numbers = f"numbers({first}, {min(MESSAGES_AT_ONCE, messages - first)})"
        for insert in _inserts(_facts(numbers, messages, until_ms)):
            client.command(insert, settings={"max_partitions_per_insert_block": 0, "async_insert": 0})
    return messages


def _chance(what: int) -> str:
    return _CHANCE.format(what=what)


def _facts(numbers: str, messages: int, until_ms: int) -> str:
    """One row per message with everything its rows are made of."""
    span_ms = DAYS * 86_400_000
    return f"""
        SELECT
            number AS i,
            lower(hex(sipHash128(i))) AS hash,
            concat(substring(hash, 1, 8), '-', substring(hash, 9, 4), '-5', substring(hash, 14, 3), '-a',
                substring(hash, 18, 3), '-', substring(hash, 21, 12)) AS notification_id,
            concat('SM', hash) AS message_sid,
            sipHash64(1, i) % {_TENANTS} AS t,
            concat('tenant-', toString(t)) AS tenant,
            concat('+1415555', leftPad(toString(t * 3 + sipHash64(2, i) % 3), 4, '0')) AS sender,
            if({_chance(3)} < 0.66, t % 6, sipHash64(4, i) % 6) AS c,
            arrayElement(['DE', 'US', 'GB', 'FR', 'BR', 'IN'], toUInt8(c + 1)) AS country,
            concat(country, ' carrier ', toString(sipHash64(5, i) % {_CARRIERS // 6})) AS carrier,
            if({_chance(6)} < 0.9, 'prefix', 'unknown') AS carrier_source,
            arrayElement(['otp', 'transactional', 'marketing'], toUInt8(t % 3 + 1)) AS category,
            toString(toUInt8(i / {max(1, messages // 10)})) AS tenth,
            if(category = 'marketing', concat('campaign-', tenth), '') AS campaign,
            toInt64({until_ms} - {span_ms} + i * {span_ms / max(1, messages)}) AS requested_ms,
            fromUnixTimestamp64Milli(requested_ms, 'UTC') AS requested_at,
            -- Log-normal, by the sum of uniform ones.
            toInt64(exp(6.5 + 1.2 * ({_chance(7)} + {_chance(8)} + {_chance(9)} - 1.5))) AS to_sent_ms,
            toInt64(exp(8 + 1.6 * ({_chance(10)} + {_chance(11)} + {_chance(12)} - 1.5))) AS to_delivered_ms,
            {_chance(13)} AS luck,
            multiIf(luck < 0.93, 'delivered', luck < 0.975, 'undelivered', luck < 0.985, 'failed',
                luck < 0.995, 'unconfirmed', 'sent') AS status,
            if(status IN ('undelivered', 'failed'),
                arrayElement([30003, 30003, 30003, 30005, 30006, 30007, 30008, 21610],
                    toUInt8(1 + sipHash64(14, i) % 8)), 0) AS error_code,
            toInt32(1 + (sipHash64(15, i) % 10 > 7)) AS segments,
            -- A person gets about ten a month.
            lower(hex(sipHash128(16, sipHash64(17, i) % {max(1, messages // 10)}))) AS recipient_hash,
            requested_at + toIntervalMillisecond(40) AS commanded_at,
            requested_at + toIntervalMillisecond(200) AS accepted_at,
            requested_at + toIntervalMillisecond(200 + to_sent_ms) AS sent_at,
            sent_at + toIntervalMillisecond(to_delivered_ms) AS done_at
        FROM {numbers}
        """  # noqa: S608 - numbers


def _inserts(facts: str) -> Iterator[str]:
    yield f"""
        INSERT INTO status_events (notification_id, attempt, message_sid, event_id, provider, account_sid,
            status, error_code, channel, sender, recipient_hash, country, source, segments, price, price_unit,
            received_at, kafka_topic, kafka_partition, kafka_offset)
        SELECT notification_id, 1, message_sid, concat(hash, toString(k)), 'twilio', 'AC0',
            multiIf(k = 0, 'queued', k = 1, 'sending', k = 2, 'sent', status), if(k = 3, error_code, 0),
            'sms', sender, recipient_hash, country, 'callback', segments,
            if(k = 3 AND luck < 0.9, toDecimal64(-0.0079 * segments, 6), NULL), if(k = 3, 'USD', ''),
            multiIf(k = 0, accepted_at, k = 1, accepted_at, k = 2, sent_at, done_at),
            'twilio.status', toInt32(i % 12), toInt64(i * 4 + k)
        FROM ({facts}) ARRAY JOIN [0, 1, 2, 3] AS k
        """  # noqa: S608 - of constants
    yield f"""
        INSERT INTO messages (notification_id, attempt, version, tenant, channel, sender, message_sid, status,
            error_code, error_class, segments, recipient_hash, country, carrier, carrier_source, category,
            priority, requested_at, commanded_at, accepted_at, sent_at, delivered_at, ended_at, updated_at)
        SELECT notification_id, 1, 4, tenant, 'sms', sender, message_sid, status, error_code,
            if(error_code = 0, '', 'transient'), segments, recipient_hash, country, carrier, carrier_source,
            category, 'normal', requested_at, commanded_at, accepted_at,
            if(status IN ('failed', 'unconfirmed'), NULL, sent_at), if(status = 'delivered', done_at, NULL),
            if(status IN ('undelivered', 'failed'), done_at, NULL), done_at
        FROM ({facts})
        """  # noqa: S608 - of constants
    yield f"""
        INSERT INTO notifications (notification_id, version, tenant, state, final, reason, recipient_hash,
            country, carrier, carrier_source, category, priority, attempts, segments, metadata, requested_at,
            updated_at)
        SELECT notification_id, 4, tenant, status, status != 'sent',
            if(error_code = 0, '', 'transient'), recipient_hash, country, carrier, carrier_source,
            category, 'normal', 1, segments,
            if(campaign = '', map(), map('campaign', campaign)), requested_at, done_at
        FROM ({facts})
        """  # noqa: S608 - of constants
    yield f"""
        INSERT INTO consent_changes (recipient_hash, tenant, channel_group, change_id, country, sender, state,
            source, at, kafka_topic, kafka_partition, kafka_offset)
        SELECT recipient_hash, tenant, 'sms', concat('c', hash), country, sender, 'opted_out', 'inbound',
            done_at + toIntervalMinute(3), 'consent.changes', 0, toInt64(i)
        FROM ({facts}) WHERE luck < 0.93 AND {_chance(18)} < 0.004
        """  # noqa: S608 - of constants
