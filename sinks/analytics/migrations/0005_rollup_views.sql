-- What analysts read of the hourly figures (0004): sums where an hour is settled, rows where it is not.

-- As in 0003, and with attempts that admission did not let through, which were never given to the provider.
--   delivered    the provider says the person has it (delivered, read)
--   undelivered  the carrier says the person has not
--   failed       it never left the provider: failed, canceled, or the call was rejected
--   unconfirmed  no word came within the time allowed
--   held         the call had no answer and its fate could not be proved; not sent again
--   not_sent     never given to the provider: suppressed, not admitted, expired, or proved absent there
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
        status IN ('suppressed', 'not_admitted', 'expired', 'absent'), 'not_sent',
        'open') AS ending
FROM messages FINAL;

-- Hours whose sums may be out of date: read their rows instead.
CREATE OR REPLACE VIEW live_hours AS
SELECT touched.hour AS hour
FROM (SELECT hour, max(touched_at) AS last_touched_at FROM touched_hours GROUP BY hour) AS touched
LEFT JOIN (SELECT hour, as_of FROM refreshed_hours FINAL) AS refreshed ON refreshed.hour = touched.hour
WHERE refreshed.as_of <= touched.last_touched_at;

-- Attempts per hour of their request (in message_endings the hour is that of the command). attempts = the sum of
-- the seven endings, always. Which hours are live is asked once per query (a scalar), so that no hour is counted by
-- both halves or by none.
CREATE OR REPLACE VIEW deliverability AS
SELECT
    hour, tenant, channel, country, carrier, carrier_source, sender, error_code, error_class,
    sum(of_hour.attempts) AS attempts, sum(of_hour.delivered) AS delivered,
    sum(of_hour.undelivered) AS undelivered, sum(of_hour.failed) AS failed,
    sum(of_hour.unconfirmed) AS unconfirmed, sum(of_hour.held) AS held, sum(of_hour.not_sent) AS not_sent,
    sum(of_hour.open) AS open, sum(of_hour.read) AS read, sum(of_hour.segments) AS segments
FROM
(
    SELECT
        hour, tenant, channel, country, carrier, carrier_source, sender, error_code, error_class,
        attempts, delivered, undelivered, failed, unconfirmed, held, not_sent, open, read, segments
    FROM hourly_attempts
    WHERE (hour, generation) IN (SELECT hour, generation FROM refreshed_hours FINAL)
        AND NOT has((SELECT groupArray(hour) FROM live_hours), hour)
    UNION ALL
    SELECT
        hour, tenant, channel, country, carrier, carrier_source, sender, error_code, error_class,
        toUInt64(1), toUInt64(ending = 'delivered'), toUInt64(ending = 'undelivered'),
        toUInt64(ending = 'failed'), toUInt64(ending = 'unconfirmed'), toUInt64(ending = 'held'),
        toUInt64(ending = 'not_sent'), toUInt64(ending = 'open'), toUInt64(status = 'read'), toInt64(segments)
    FROM
    (
        SELECT
            m.* EXCEPT (carrier, carrier_source, country),
            if(c.carrier != '', c.carrier, m.carrier) AS carrier,
            if(c.carrier != '', 'lookup', m.carrier_source) AS carrier_source,
            if(c.country != '', c.country, m.country) AS country
        FROM (SELECT * FROM messages_by_hour FINAL WHERE has((SELECT groupArray(hour) FROM live_hours), hour)) AS m
        LEFT JOIN
        (
            SELECT notification_id, requested_at, carrier, country FROM notification_carriers FINAL
            WHERE has((SELECT groupArray(hour) FROM live_hours), hour)
        ) AS c ON c.notification_id = m.notification_id AND c.requested_at = m.requested_at
    )
) AS of_hour
GROUP BY hour, tenant, channel, country, carrier, carrier_source, sender, error_code, error_class;
