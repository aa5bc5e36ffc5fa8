"""Every metric of the analytics sink."""

from prometheus_client import Counter, Gauge

# Rows ClickHouse acknowledged, copies of a replay included.
ROWS_LANDED = Counter("notifystream_analytics_rows_landed_total", "Rows inserted.", ["table"])
# Batches whose offsets are committed.
BATCHES = Counter("notifystream_analytics_batches_total", "Batches inserted and committed.")
# Records this sink gave up, by why.
DEAD_LETTERS = Counter("notifystream_analytics_dead_letters_total", "Records given up.", ["topic", "reason"])
# Unreadable records of dead.letters itself: counted only, or they would go round for ever.
SKIPPED = Counter("notifystream_analytics_skipped_total", "Unreadable dead letters skipped.", ["reason"])
# Waits for something that is away; grows while the sink stands still.
WAITS = Counter("notifystream_analytics_waits_total", "Retries, by what was waited for.", ["what"])
# Commits the broker refused; the rows are in, and land again as the same rows.
COMMITS_REFUSED = Counter("notifystream_analytics_commits_refused_total", "Commits refused by the broker.")
# Records between what is committed and the end of the partition, as of the last batch.
LAG = Gauge("notifystream_analytics_lag_records", "Records not yet landed.", ["topic", "partition"])
