-- What analysts read. Plain views over FINAL: exact at every moment, also between a crash and its replay. A
-- materialized hourly sum would be wrong here, because a message changes its status and a sum cannot take back.

-- Every attempt with the one word reports sort it by:
--   delivered    the provider says the person has it (delivered, read)
--   undelivered  the carrier says the person has not
--   failed       it never left the provider: failed, canceled, or the call was rejected
--   unconfirmed  no word came within the time allowed
--   held         the call had no answer and its fate could not be proved; not sent again
--   not_sent     never given to the provider: suppressed, expired, or proved absent there
--   open         on its way, also with a status nobody here knows
CREATE OR REPLACE VIEW message_endings AS
SELECT
    *,
    toStartOfHour(commanded_at) AS hour,
    multiIf(
        status IN ('delivered', 'read'), 'delivered',
        status = 'undelivered', 'undelivered',
        status IN ('failed', 'canceled', 'rejected'), 'failed',
        status = 'unconfirmed', 'unconfirmed',
        status = 'held', 'held',
        status IN ('suppressed', 'expired', 'absent'), 'not_sent',
        'open') AS ending
FROM messages FINAL;

-- Attempts per hour of their command. attempts = the sum of the seven endings, always.
CREATE OR REPLACE VIEW deliverability AS
SELECT
    hour, tenant, channel, country, carrier, carrier_source, sender, error_code, error_class,
    count() AS attempts,
    countIf(ending = 'delivered') AS delivered,
    countIf(ending = 'undelivered') AS undelivered,
    countIf(ending = 'failed') AS failed,
    countIf(ending = 'unconfirmed') AS unconfirmed,
    countIf(ending = 'held') AS held,
    countIf(ending = 'not_sent') AS not_sent,
    countIf(ending = 'open') AS open,
    countIf(status = 'read') AS read,
    sum(message_endings.segments) AS segments
FROM message_endings
GROUP BY hour, tenant, channel, country, carrier, carrier_source, sender, error_code, error_class;

-- Notifications per hour of their request and the state they are in.
CREATE OR REPLACE VIEW notification_states AS
SELECT
    toStartOfHour(requested_at) AS hour, tenant, category, priority, country, state, reason,
    count() AS notifications,
    sum(notifications.duplicates) AS duplicates
FROM notifications FINAL
GROUP BY hour, tenant, category, priority, country, state, reason;

-- One row per notification the carrier took: from the request to the first time a carrier took it, which includes
-- time it was deferred on purpose. Milliseconds.
CREATE OR REPLACE VIEW request_latencies AS
SELECT
    notification_id,
    any(tenant) AS tenant, any(country) AS country, any(carrier) AS carrier, any(carrier_source) AS carrier_source,
    any(requested_at) AS requested,
    greatest(0, dateDiff('millisecond', any(requested_at), assumeNotNull(min(sent_at)))) AS requested_to_sent_ms
FROM messages FINAL
WHERE sent_at IS NOT NULL
GROUP BY notification_id;

-- One row per delivered attempt whose `sent` was seen: from the carrier's taking it to its delivery. Both are the
-- times we received the news, so callbacks that overtook each other count as 0. Milliseconds.
CREATE OR REPLACE VIEW delivery_latencies AS
SELECT
    notification_id, attempt, tenant, country, carrier, carrier_source, channel, sender,
    requested_at AS requested,
    greatest(0, dateDiff('millisecond', assumeNotNull(sent_at), assumeNotNull(delivered_at))) AS sent_to_delivered_ms
FROM messages FINAL
WHERE sent_at IS NOT NULL AND delivered_at IS NOT NULL;

-- What each message cost, as last told by the provider, which tells it with the final statuses or when asked.
CREATE OR REPLACE VIEW message_prices AS
SELECT
    message_sid,
    any(notification_id) AS notification,
    argMax(status_events.sender, received_at) AS sender,
    argMax(status_events.price, received_at) AS price,
    argMax(status_events.price_unit, received_at) AS price_unit,
    max(status_events.segments) AS segments
FROM status_events FINAL
WHERE status_events.price IS NOT NULL
GROUP BY message_sid;

-- Who may not be written to now: the last word of the ledger per person, tenant and channel group.
CREATE OR REPLACE VIEW consent AS
SELECT
    recipient_hash, tenant, channel_group,
    argMax(consent_changes.state, (at, kafka_offset)) AS state,
    argMax(consent_changes.source, (at, kafka_offset)) AS source,
    max(at) AS since
FROM consent_changes FINAL
GROUP BY recipient_hash, tenant, channel_group;
