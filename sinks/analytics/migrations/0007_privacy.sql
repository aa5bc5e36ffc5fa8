-- What goes beyond a hash, apart from everything else so that it can be granted, dropped and aged out alone. Written
-- by `notifystream carriers` only. General choices (codecs, types) as in 0001.

-- The numbers themselves, of tenants that opted in (ANALYTICS_NUMBER_TENANTS; none by default): the only place in
-- this database where a number stands. 30 days after the person was last written to it is gone.
--   TTL           row by row, not by whole parts: a number that is written to again stays, its neighbour goes.
CREATE TABLE IF NOT EXISTS recipient_numbers
(
    tenant          LowCardinality(String),
    recipient_hash  String CODEC(ZSTD(1)),
    number          String CODEC(ZSTD(1)) COMMENT 'E.164',
    seen_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Last request to it'
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (tenant, recipient_hash)
TTL toDateTime(seen_at) + INTERVAL 30 DAY
SETTINGS merge_with_ttl_timeout = 3600;

-- While PII_HASH_KEY is changed: which old hash is the same person as which new one. A person can be linked only
-- when a request to the number passes while both keys are set, for the number is nowhere here. Every old hash points
-- at the newest one, also after several rotations: whoever links B to C writes again what pointed at B.
CREATE TABLE IF NOT EXISTS recipient_links
(
    old_hash   String CODEC(ZSTD(1)),
    new_hash   String CODEC(ZSTD(1)),
    linked_at  DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(linked_at)
ORDER BY old_hash
TTL toDateTime(linked_at) + INTERVAL 800 DAY;

-- One name per person across rotations: LEFT JOIN it by recipient_hash, and take person, or the hash itself where
-- there is none:  if(person != '', person, recipient_hash)
CREATE OR REPLACE VIEW recipient_people AS
SELECT old_hash AS recipient_hash, new_hash AS person, linked_at AS linked FROM recipient_links FINAL;
