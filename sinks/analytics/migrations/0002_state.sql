-- Where everything stands, from notification.outcomes. General choices (codecs, types) as in 0001.
--
--   ReplacingMergeTree(version)  The outcome's own version decides which row stands: it grows with every change and
--                                comes from the record, never from the time of the insert, so that a replay, in any
--                                order, ends in the same rows. FINAL reads the highest one.
--   ORDER BY                     only what identifies the row; anything that may change would split it in two.
--   PARTITION BY                 the month of the request, which the first copy of it fixes for ever.
--   TTL                          13 months: the same month a year ago is still there to compare with.

-- One row per attempt of a notification: what reports count.
CREATE TABLE IF NOT EXISTS messages
(
    notification_id  String CODEC(ZSTD(1)),
    attempt          Int32,
    version          Int64,
    tenant           LowCardinality(String),
    channel          LowCardinality(String),
    sender           LowCardinality(String),
    message_sid      String CODEC(ZSTD(1)) COMMENT 'Empty until known',
    status           LowCardinality(String) COMMENT 'Folded status of the attempt',
    error_code       Int32 COMMENT '0 when there is none',
    error_class      LowCardinality(String),
    segments         Int32,
    recipient_hash   String CODEC(ZSTD(1)),
    recipient_last2  LowCardinality(String),
    country          LowCardinality(String),
    carrier          LowCardinality(String),
    carrier_source   LowCardinality(String) COMMENT 'lookup, prefix or unknown',
    category         LowCardinality(String),
    priority         LowCardinality(String),
    requested_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    commanded_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    accepted_at      Nullable(DateTime64(3, 'UTC')) COMMENT 'When the provider took it',
    sent_at          Nullable(DateTime64(3, 'UTC')) COMMENT 'When the carrier took it',
    delivered_at     Nullable(DateTime64(3, 'UTC')),
    ended_at         Nullable(DateTime64(3, 'UTC')),
    updated_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    INDEX by_sid message_sid TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(requested_at)
ORDER BY (notification_id, attempt)
TTL toDateTime(requested_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- One row per notification.
CREATE TABLE IF NOT EXISTS notifications
(
    notification_id  String CODEC(ZSTD(1)),
    version          Int64,
    tenant           LowCardinality(String),
    idempotency_key  String CODEC(ZSTD(1)) COMMENT 'The number of the recipient, if it is in it, is masked',
    state            LowCardinality(String),
    final            Bool,
    reason           LowCardinality(String),
    detail           String CODEC(ZSTD(1)),
    recipient_hash   String CODEC(ZSTD(1)),
    recipient_last2  LowCardinality(String),
    country          LowCardinality(String),
    carrier          LowCardinality(String),
    carrier_source   LowCardinality(String),
    category         LowCardinality(String),
    priority         LowCardinality(String),
    attempts         Int32,
    segments         Int32 COMMENT 'Of all attempts',
    duplicates       Int32 COMMENT 'Repeats of the same request',
    conflicts_with   String CODEC(ZSTD(1)) COMMENT 'For a conflict: the notification that stands',
    metadata         Map(LowCardinality(String), String),
    requested_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    updated_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(requested_at)
ORDER BY notification_id
TTL toDateTime(requested_at) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- Every version of every outcome the sink has read, for `show`. The topic is compacted: a sink that was away for
-- long finds later versions only, so nothing is counted from here.
CREATE TABLE IF NOT EXISTS outcome_history
(
    notification_id  String CODEC(ZSTD(1)),
    version          Int64,
    state            LowCardinality(String),
    final            Bool,
    reason           LowCardinality(String),
    detail           String CODEC(ZSTD(1)),
    updated_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(updated_at)
ORDER BY (notification_id, version, updated_at)
TTL toDateTime(updated_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;
