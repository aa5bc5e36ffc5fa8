-- What happened, one row per record of a topic, kept as it came except for what may not leave (numbers, bodies).
--
-- Choices that hold for every table of this file:
--   ReplacingMergeTree   The ORDER BY ends in the record's place in Kafka (topic, partition, offset), so a record
--                        that is inserted again, in whatever batch, is the same row and collapses with its first
--                        copy. All the other columns of the ORDER BY are taken from the record as well and never
--                        change. Readers say FINAL (the views do), which is exact before the merge as well as after.
--   ORDER BY             begins with what a reader asks by: the notification (`show`), or tenant and time.
--   PARTITION BY         the month of the event's own time: immutable, and the unit in which retention drops data.
--                        The column is also part of the ORDER BY, so that FINAL may work month by month.
--   TTL                  with ttl_only_drop_parts: whole parts are dropped, nothing is rewritten to age out.
--   LowCardinality       for words from a short list (statuses, channels, carriers, tenants, senders, countries).
--   CODEC(ZSTD(1))       for ids and hashes: LZ4, the default, finds nothing in them that pays.
--   CODEC(Delta, ZSTD)   for times and offsets, which grow by little from row to row.
--   String for ids       as they stand in logs and callback URLs; '' where the provider's message is not ours.
--   deduplication window the sink's insert_deduplication_token drops a repeated block before it is a part at all.
--   Signed integers      of the Avro type's own width: no number that is valid in a record is refused here.

CREATE TABLE IF NOT EXISTS status_events
(
    notification_id  String CODEC(ZSTD(1)) COMMENT 'Empty for a message this pipeline did not send',
    attempt          Int32 COMMENT '0 when unknown',
    message_sid      String CODEC(ZSTD(1)),
    event_id         String CODEC(ZSTD(1)) COMMENT 'The same for every copy of the same event',
    provider         LowCardinality(String),
    account_sid      LowCardinality(String),
    status           LowCardinality(String) COMMENT 'As the provider wrote it, lower case',
    error_code       Int32 COMMENT '0 when there is none; means something on undelivered and failed only',
    channel          LowCardinality(String),
    sender           LowCardinality(String) COMMENT 'Our number or service; empty when not told',
    recipient_hash   String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the number, empty when not told',
    recipient_last2  LowCardinality(String) COMMENT 'Last two digits of the number',
    country          LowCardinality(String) COMMENT 'ISO 3166 of the number, ZZ when unknown',
    source           LowCardinality(String) COMMENT 'callback or poll',
    carrier_done_at  LowCardinality(String) COMMENT 'RawDlrDoneDate as received: YYMMDDhhmm, zone unknown',
    segments         Int32 COMMENT '0 when not told',
    price            Nullable(Decimal(18, 6)) COMMENT 'As billed, when told; negative is a cost',
    price_unit       LowCardinality(String) COMMENT 'ISO 4217',
    received_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the ingress received it',
    kafka_topic      LowCardinality(String),
    kafka_partition  Int32,
    kafka_offset     Int64 CODEC(Delta, ZSTD(1)),
    INDEX by_sid message_sid TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (notification_id, attempt, received_at, kafka_topic, kafka_partition, kafka_offset)
TTL toDateTime(received_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS attempts
(
    notification_id  String CODEC(ZSTD(1)),
    attempt          Int32,
    command_id       String CODEC(ZSTD(1)),
    tenant           LowCardinality(String),
    sender           LowCardinality(String),
    result           LowCardinality(String) COMMENT 'accepted, rejected, in_doubt, absent, held, suppressed, expired',
    message_sid      String CODEC(ZSTD(1)) COMMENT 'Empty until known',
    status           LowCardinality(String) COMMENT 'Status in the answer of the provider',
    error_code       Int32 COMMENT '0 when there is none',
    error_class      LowCardinality(String),
    detail           String CODEC(ZSTD(1)) COMMENT 'For the operator; runs of digits are masked',
    request_id       String CODEC(ZSTD(1)) COMMENT 'Twilio-Request-Id',
    latency_ms       Nullable(Int32) COMMENT 'Of the call',
    at               DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_topic      LowCardinality(String),
    kafka_partition  Int32,
    kafka_offset     Int64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (notification_id, attempt, at, kafka_topic, kafka_partition, kafka_offset)
TTL toDateTime(at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS requests
(
    notification_id   String CODEC(ZSTD(1)),
    tenant            LowCardinality(String),
    idempotency_key   String CODEC(ZSTD(1)) COMMENT 'The number of the recipient, if it is in it, is masked',
    recipient_hash    String CODEC(ZSTD(1)),
    recipient_last2   LowCardinality(String),
    country           LowCardinality(String),
    carrier           LowCardinality(String),
    carrier_source    LowCardinality(String),
    channels          Array(LowCardinality(String)) COMMENT 'In the order to try',
    body_chars        Int32 COMMENT 'Length of the text; the text itself does not leave',
    content_sid       LowCardinality(String),
    media_count       Int32,
    category          LowCardinality(String),
    priority          LowCardinality(String),
    send_at           Nullable(DateTime64(3, 'UTC')),
    expires_at        Nullable(DateTime64(3, 'UTC')),
    sender            LowCardinality(String) COMMENT 'Asked for by the producer; empty when left to us',
    metadata          Map(LowCardinality(String), String) COMMENT 'Labels of the producer',
    refusal           LowCardinality(String) COMMENT 'Reason code when invalid; empty when good',
    refusal_detail    String CODEC(ZSTD(1)),
    requested_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    origin_topic      LowCardinality(String) COMMENT 'The notify request it was made of',
    origin_partition  Int32,
    origin_offset     Int64 CODEC(Delta, ZSTD(1)),
    kafka_topic       LowCardinality(String),
    kafka_partition   Int32,
    kafka_offset      Int64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(requested_at)
ORDER BY (notification_id, requested_at, kafka_topic, kafka_partition, kafka_offset)
TTL toDateTime(requested_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

CREATE TABLE IF NOT EXISTS inbound
(
    tenant           LowCardinality(String) COMMENT '* when the sender is shared',
    message_sid      String CODEC(ZSTD(1)),
    provider         LowCardinality(String),
    account_sid      LowCardinality(String),
    channel          LowCardinality(String),
    sender           LowCardinality(String) COMMENT 'Our number or service they wrote to',
    recipient_hash   String CODEC(ZSTD(1)) COMMENT 'Keyed hash of who wrote',
    recipient_last2  LowCardinality(String),
    country          LowCardinality(String),
    body_chars       Int32 COMMENT 'Length of the text; the text itself does not leave',
    media_count      Int32,
    opt_out_type     LowCardinality(String) COMMENT 'STOP, START or HELP when Advanced Opt-Out matched',
    received_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    kafka_topic      LowCardinality(String),
    kafka_partition  Int32,
    kafka_offset     Int64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant, received_at, message_sid, kafka_topic, kafka_partition, kafka_offset)
TTL toDateTime(received_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 1000;

-- No TTL: this is the proof of who had opted out when.
-- No PARTITION BY: the ledger is small, and every question to it is about a person, not about a month.
CREATE TABLE IF NOT EXISTS consent_changes
(
    recipient_hash   String CODEC(ZSTD(1)),
    tenant           LowCardinality(String) COMMENT '* for all',
    channel_group    LowCardinality(String) COMMENT 'sms (with mms and rcs) or whatsapp',
    change_id        String CODEC(ZSTD(1)) COMMENT 'The same for every copy of the same change',
    recipient_last2  LowCardinality(String),
    country          LowCardinality(String),
    sender           LowCardinality(String),
    state            LowCardinality(String) COMMENT 'opted_out or opted_in',
    source           LowCardinality(String) COMMENT 'inbound, advanced-opt-out, provider or import',
    evidence         String CODEC(ZSTD(1)) COMMENT 'Message SID or file',
    at               DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'It holds from here on',
    kafka_topic      LowCardinality(String),
    kafka_partition  Int32,
    kafka_offset     Int64 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (recipient_hash, tenant, channel_group, at, kafka_topic, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 1000;

-- One row per record given up by a stage, not per dead letter: whoever crashes between writing a dead letter and
-- committing writes it twice. The last copy stands (version: its offset; copies share a partition, as their key
-- is the partition they came from). No PARTITION BY: copies carry different times and must still meet.
CREATE TABLE IF NOT EXISTS dead_letters
(
    stage            LowCardinality(String) COMMENT 'Who gave it up',
    topic            LowCardinality(String) COMMENT 'Where the unreadable record was read',
    partition        Int32,
    offset           Int64,
    reason           LowCardinality(String),
    detail           String CODEC(ZSTD(1)) COMMENT 'What was wrong and what to do; runs of digits are masked',
    notification_id  String CODEC(ZSTD(1)) COMMENT 'When the record''s key is one; else empty',
    key_bytes        Int32 COMMENT 'Size; the bytes themselves are in the topic dead.letters',
    value_bytes      Int32,
    at               DateTime64(3, 'UTC'),
    kafka_topic      LowCardinality(String),
    kafka_partition  Int32,
    kafka_offset     Int64
)
ENGINE = ReplacingMergeTree(kafka_offset)
ORDER BY (topic, partition, offset, stage)
TTL toDateTime(at) + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000;
