"""Every metric of route health. Routes are too many to be labels; the topic names them."""

from prometheus_client import Counter, Gauge

# Of the last look; 0 in a process that stands by.
ROUTES = Gauge("notifystream_health_routes", "Routes by status.", ["status"])
CHANGES = Counter("notifystream_health_changes_total", "Changes told.", ["status", "reason"])
# Whole looks: figures read, told, acknowledged.
LOOKS = Counter("notifystream_health_looks_total", "Looks that were made.")
MISSED = Counter("notifystream_health_missed_looks_total", "Looks that failed, by what was away.", ["what"])
