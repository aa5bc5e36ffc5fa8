-- A retention may be set to another one later (ALTER TABLE … MODIFY TTL). By default ClickHouse then rewrites every
-- part of the table, column by column, to find what is to go. All our tables drop whole parts only
-- (ttl_only_drop_parts), for which the oldest and newest time of a part are enough: with this setting those are
-- computed anew and nothing is rewritten. dead_letters and sends_by_person have no partitions, and so drop rows when
-- they merge anyway.
ALTER TABLE status_events MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE attempts MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE requests MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE inbound MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE messages MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE notifications MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE outcome_history MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE messages_by_hour MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE notifications_by_hour MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE prices_by_hour MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE notification_carriers MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE hourly_attempts MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE hourly_latencies MODIFY SETTING materialize_ttl_recalculate_only = 1;
ALTER TABLE hourly_notifications MODIFY SETTING materialize_ttl_recalculate_only = 1;
