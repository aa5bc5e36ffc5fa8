-- Figures per hour that correct themselves. General choices (codecs, types) as in 0001 and 0002.
--
-- A sum in a materialized view cannot take back, and messages FINAL is too slow for a report over months. So:
--   *_by_hour      the latest rows once more, sorted by hour, so that an hour is read without the others.
--   touched_hours  which hour each insert touched, and when: noted by a view on every *_by_hour table.
--   hourly_*       sums of whole hours. An hour that was touched is summed again whole, as a new generation
--                  (sinks/analytics/rollups.py). refreshed_hours says which generation of an hour stands.
--   Readers take the sums of hours untouched since, and the rows of the others, so they are exact at all times.
--
-- The hour is that of the request. It never changes, whereas the time of a command may: no row ever moves to
-- another hour, and every notification is in the same hour as its attempts.
--
-- None of the tables here drops repeated blocks (no deduplication window): a block that comes again collapses by
-- its ORDER BY, and touching an hour twice does no harm. Missing one would.

CREATE TABLE IF NOT EXISTS messages_by_hour
(
    hour             DateTime('UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Of the request',
    notification_id  String CODEC(ZSTD(1)),
    attempt          Int32,
    version          Int64,
    tenant           LowCardinality(String),
    channel          LowCardinality(String),
    sender           LowCardinality(String),
    status           LowCardinality(String),
    ending           LowCardinality(String) COMMENT 'As in message_endings',
    error_code       Int32,
    error_class      LowCardinality(String),
    segments         Int32,
    country          LowCardinality(String),
    carrier          LowCardinality(String),
    carrier_source   LowCardinality(String),
    category         LowCardinality(String),
    requested_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    accepted_at      Nullable(DateTime64(3, 'UTC')),
    sent_at          Nullable(DateTime64(3, 'UTC')),
    delivered_at     Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, notification_id, attempt)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

-- The endings are those of message_endings (0005), where they are explained.
CREATE MATERIALIZED VIEW IF NOT EXISTS messages_into_hours TO messages_by_hour AS
SELECT
    toDateTime(toStartOfHour(requested_at), 'UTC') AS hour, notification_id, attempt, version,
    tenant, channel, sender, status,
    multiIf(
        status IN ('delivered', 'read'), 'delivered',
        status = 'undelivered', 'undelivered',
        status IN ('failed', 'canceled', 'rejected'), 'failed',
        status = 'unconfirmed', 'unconfirmed',
        status = 'held', 'held',
        status IN ('suppressed', 'not_admitted', 'expired', 'absent'), 'not_sent',
        'open') AS ending,
    error_code, error_class, segments, country, carrier, carrier_source, category,
    requested_at, accepted_at, sent_at, delivered_at
FROM messages;

CREATE TABLE IF NOT EXISTS notifications_by_hour
(
    hour             DateTime('UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Of the request',
    notification_id  String CODEC(ZSTD(1)),
    version          Int64,
    tenant           LowCardinality(String),
    category         LowCardinality(String),
    priority         LowCardinality(String),
    country          LowCardinality(String),
    carrier          LowCardinality(String),
    state            LowCardinality(String),
    final            Bool,
    reason           LowCardinality(String),
    campaign         LowCardinality(String) COMMENT 'The label campaign of the producer; empty without',
    duplicates       Int32,
    requested_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, notification_id)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS notifications_into_hours TO notifications_by_hour AS
SELECT
    toDateTime(toStartOfHour(requested_at), 'UTC') AS hour, notification_id, version,
    tenant, category, priority, country, carrier, state, final, reason,
    metadata['campaign'] AS campaign, duplicates, requested_at
FROM notifications;

-- Prices as the provider told them, to be given to the hours of their messages: a status does not know when its
-- notification was requested. Kept long enough for an outcome that lands a week after the price.
CREATE TABLE IF NOT EXISTS told_prices
(
    notification_id  String CODEC(ZSTD(1)),
    attempt          Int32,
    price            Decimal(18, 6) COMMENT 'As billed; negative is a cost',
    price_unit       LowCardinality(String) COMMENT 'ISO 4217',
    told_at          DateTime64(3, 'UTC'),
    noted_at         DateTime64(6, 'UTC') COMMENT 'When it got here'
)
ENGINE = ReplacingMergeTree(noted_at)
ORDER BY (notification_id, attempt, told_at, price_unit, price)
TTL toDateTime(noted_at) + INTERVAL 8 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS statuses_into_prices TO told_prices AS
SELECT
    notification_id, attempt, assumeNotNull(status_events.price) AS price, price_unit, received_at AS told_at,
    now64(6) AS noted_at
FROM status_events
WHERE status_events.price IS NOT NULL AND notification_id != '';

-- What each attempt cost: the last price told stands.
CREATE TABLE IF NOT EXISTS prices_by_hour
(
    hour             DateTime('UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Of the request',
    notification_id  String CODEC(ZSTD(1)),
    attempt          Int32,
    price            Decimal(18, 6),
    price_unit       LowCardinality(String),
    told_at          DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(told_at)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, notification_id, attempt)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

-- What stood for each notification's number when it was requested, as far as a look-up had told: so that reports need
-- not search a person's history for every message. A row is of one request: a repeat of it, or other content under the
-- same key, may be about another number and in another hour, and is told from the first by requested_at, which the
-- outcome names. valid_from is that of the look-up; should a request be given two, the later one stands.
-- Written by `notifystream carriers` (0006); a look-up costs money, so this is not made again from the topics.
CREATE TABLE IF NOT EXISTS notification_carriers
(
    hour             DateTime('UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Of the request',
    notification_id  String CODEC(ZSTD(1)),
    requested_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    valid_from       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    carrier          LowCardinality(String),
    mcc              LowCardinality(String),
    mnc              LowCardinality(String),
    line_type        LowCardinality(String),
    country          LowCardinality(String)
)
ENGINE = ReplacingMergeTree(valid_from)
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, notification_id, requested_at)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Which provider a sender belongs to, as its statuses say: messages do not carry it.
CREATE TABLE IF NOT EXISTS sender_providers
(
    sender    LowCardinality(String),
    provider  LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (sender, provider);

CREATE MATERIALIZED VIEW IF NOT EXISTS statuses_into_providers TO sender_providers AS
SELECT DISTINCT sender, provider FROM status_events WHERE sender != '';

-- Who was reached by what, sorted by person, to tell which message an opt-out answers. A notification gets here
-- when a carrier has taken it, and stays, whatever becomes of it.
CREATE TABLE IF NOT EXISTS sends_by_person
(
    person           UInt64 COMMENT 'sipHash64 of recipient_hash: half the bytes to read',
    tenant           LowCardinality(String),
    requested_at     DateTime64(3, 'UTC'),
    notification_id  String CODEC(ZSTD(1)),
    campaign         LowCardinality(String),
    category         LowCardinality(String),
    country          LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (person, tenant, requested_at, notification_id)
TTL toDateTime(requested_at) + INTERVAL 400 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS notifications_into_sends TO sends_by_person AS
SELECT
    sipHash64(recipient_hash) AS person, tenant, requested_at, notification_id,
    metadata['campaign'] AS campaign, category, country
FROM notifications
WHERE state IN ('sent', 'delivered', 'read', 'undelivered', 'unconfirmed') AND recipient_hash != '';

CREATE TABLE IF NOT EXISTS touched_hours
(
    hour        DateTime('UTC'),
    touched_at  DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(touched_at)
ORDER BY hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS messages_touch_hours TO touched_hours AS
SELECT hour, now64(6) AS touched_at FROM messages_by_hour GROUP BY hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS notifications_touch_hours TO touched_hours AS
SELECT hour, now64(6) AS touched_at FROM notifications_by_hour GROUP BY hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS prices_touch_hours TO touched_hours AS
SELECT hour, now64(6) AS touched_at FROM prices_by_hour GROUP BY hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS carriers_touch_hours TO touched_hours AS
SELECT hour, now64(6) AS touched_at FROM notification_carriers GROUP BY hour;

-- The generation of each hour's sums that stands, and the moment up to which every touch is in it.
CREATE TABLE IF NOT EXISTS refreshed_hours
(
    hour        DateTime('UTC'),
    generation  UInt64,
    as_of       DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(as_of)
ORDER BY hour;

-- How far the refresher has come with what is not counted by hours.
CREATE TABLE IF NOT EXISTS rollup_progress
(
    name   LowCardinality(String),
    as_of  DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(as_of)
ORDER BY name;

-- Generations that no longer stand are deleted by the refresher: these tables are small, and a part of an hour is
-- never aged out alone.
CREATE TABLE IF NOT EXISTS hourly_attempts
(
    hour               DateTime('UTC') CODEC(Delta, ZSTD(1)),
    generation         UInt64 CODEC(Delta, ZSTD(1)),
    tenant             LowCardinality(String),
    channel            LowCardinality(String),
    country            LowCardinality(String),
    carrier            LowCardinality(String),
    carrier_source     LowCardinality(String),
    sender             LowCardinality(String),
    category           LowCardinality(String),
    error_code         Int32,
    error_class        LowCardinality(String),
    price_unit         LowCardinality(String) COMMENT 'Of price; empty where no price was told',
    attempts           UInt64,
    delivered          UInt64,
    undelivered        UInt64,
    failed             UInt64,
    unconfirmed        UInt64,
    held               UInt64,
    not_sent           UInt64,
    open               UInt64,
    read               UInt64 COMMENT 'Of the delivered ones',
    segments           Int64,
    priced             UInt64 COMMENT 'Attempts whose price was told',
    priced_segments    Int64,
    unpriced_segments  Int64 COMMENT 'Of attempts a carrier took whose price was not told',
    price              Decimal(38, 6) COMMENT 'Sum of the prices told; negative is a cost'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, generation, tenant, country, carrier, sender)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Latencies as counts in buckets of equal relative width: bucket b holds the milliseconds that round to 1.05^b, so
-- a quantile read from it is the right element of the sorted values to within 2.5 %. Counts, unlike a t-digest,
-- are the same in whatever order rows came, and equal a recomputation to the last one. One map a row reads twice as
-- fast as one row a bucket.
CREATE TABLE IF NOT EXISTS hourly_latencies
(
    hour            DateTime('UTC') CODEC(Delta, ZSTD(1)),
    generation      UInt64 CODEC(Delta, ZSTD(1)),
    tenant          LowCardinality(String),
    channel         LowCardinality(String),
    country         LowCardinality(String),
    carrier         LowCardinality(String),
    carrier_source  LowCardinality(String),
    sender          LowCardinality(String),
    span            LowCardinality(String) COMMENT 'requested_to_sent or sent_to_delivered',
    latencies       Map(Int16, UInt64) COMMENT 'How many, by bucket'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, generation, tenant, country, carrier, sender)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS hourly_notifications
(
    hour           DateTime('UTC') CODEC(Delta, ZSTD(1)),
    generation     UInt64 CODEC(Delta, ZSTD(1)),
    tenant         LowCardinality(String),
    category       LowCardinality(String),
    priority       LowCardinality(String),
    country        LowCardinality(String),
    carrier        LowCardinality(String),
    campaign       LowCardinality(String),
    stage          LowCardinality(String) COMMENT 'How far it came: requested, admitted, sent or delivered',
    state          LowCardinality(String),
    final          Bool,
    reason         LowCardinality(String),
    notifications  UInt64,
    duplicates     Int64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(hour)
ORDER BY (hour, generation, tenant, country, carrier)
TTL hour + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;
