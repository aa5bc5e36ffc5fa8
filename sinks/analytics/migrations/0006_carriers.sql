-- What the provider's look-up told of numbers, and what has been spent on asking. Written by `notifystream
-- carriers` only. General choices (codecs, types) as in 0001.

-- One row per look-up; a row stands from valid_from until the next one of the same person. So a number that moves to
-- another carrier gets another row, the messages before it keep what stood then, and those after it get the new one
-- (notification_carriers, 0004). A look-up is caused by a request, whose time is valid_from: the order of rows is the order of
-- what they describe, not of when there was time to ask.
--   ORDER BY      the person, then time: what the question "what is known of these people" reads.
--   version       checked_at: a row written again after a crash collapses with its first copy.
--   TTL           600 days, longer than messages stay (400) and a number's age (90 by default) together.
CREATE TABLE IF NOT EXISTS recipient_carriers
(
    recipient_hash  String CODEC(ZSTD(1)) COMMENT 'Keyed hash of the number, as in the other tables',
    valid_from      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Messages requested from here on',
    checked_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'When the provider said so',
    carrier         LowCardinality(String) COMMENT 'Empty when the provider knows none',
    mcc             LowCardinality(String) COMMENT 'Mobile country code; empty when not told',
    mnc             LowCardinality(String) COMMENT 'Mobile network code; empty when not told',
    line_type       LowCardinality(String) COMMENT 'mobile, landline, nonFixedVoip, …; invalid when no such number',
    country         LowCardinality(String) COMMENT 'ISO 3166; empty when not told',
    error_code      Int32 COMMENT 'Why there is nothing about the line (60600, 60601, …); 0 when there is'
)
ENGINE = ReplacingMergeTree(checked_at)
ORDER BY (recipient_hash, valid_from)
TTL toDateTime(checked_at) + INTERVAL 600 DAY;

-- The month's budget: look-ups are reserved here before they are made. Whoever wants units adds a row and then reads
-- the sum of all rows, its own included; what is above the budget it does not get, and says so in a second row. Of
-- those who were granted something, the one whose row became visible last has seen all the others': so the sum of
-- what was granted never exceeds the budget, without a lock, whatever crashes.
--   ORDER BY      a row inserted twice (a retry on the wire) is one row for FINAL: nothing is given back twice.
CREATE TABLE IF NOT EXISTS lookup_reservations
(
    month           LowCardinality(String) COMMENT 'YYYY-MM, UTC',
    reservation_id  String CODEC(ZSTD(1)),
    returned        Bool COMMENT 'Whether this row gives back what was not granted',
    units           Int32 COMMENT 'Look-ups; negative when given back',
    at              DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (month, reservation_id, returned)
TTL toDateTime(at) + INTERVAL 400 DAY;

-- Every attempt as message_endings has it, with the carrier that stood when it was requested: the look-up's where
-- there is one (carrier_source = 'lookup'), else what the prefix said at intake, else unknown. The same in all
-- reports (sinks/analytics/facts.py).
CREATE OR REPLACE VIEW attributed_messages AS
SELECT
    m.* EXCEPT (carrier, carrier_source, country),
    if(c.carrier != '', c.carrier, m.carrier) AS carrier,
    if(c.carrier != '', 'lookup', m.carrier_source) AS carrier_source,
    if(c.country != '', c.country, m.country) AS country,
    c.mcc AS mcc,
    c.mnc AS mnc,
    c.line_type AS line_type
FROM message_endings AS m
LEFT JOIN notification_carriers AS c FINAL
    ON c.notification_id = m.notification_id AND c.requested_at = m.requested_at;
