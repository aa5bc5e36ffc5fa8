-- What route health counts: every attempt that says something of its route (tenant, sender, carrier, country).
--
-- taken_at is when the provider took the message, or when it refused it: what waits for its turn with us says nothing
-- of the route, and neither does what was never given to the provider (not_sent). Opt-outs and numbers that do not
-- exist are the recipients' doing; they are counted by the reports. requested_at is shown for the reader to say it:
-- it is what the table is divided by, and the months that cannot matter are then not read at all.
--
-- The carrier is the one of the request, from the number's prefix: whoever picks a route knows no other before sending.
CREATE OR REPLACE VIEW route_attempts AS
SELECT
    notification_id, attempt, tenant, sender, carrier, country, requested_at,
    assumeNotNull(coalesce(accepted_at, ended_at)) AS taken_at,
    if(ending = 'delivered', coalesce(delivered_at, ended_at), NULL) AS arrived_at,
    ending IN ('undelivered', 'failed') AS has_failed,
    error_code
FROM message_endings
WHERE coalesce(accepted_at, ended_at) IS NOT NULL
    AND ending != 'not_sent' AND error_class NOT IN ('opt_out', 'bad_number');
