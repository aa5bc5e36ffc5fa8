"""Every metric of the carriers process. Labels are closed lists: nothing of a recipient becomes one."""

from prometheus_client import Counter

# Look-ups by how they ended: answered, given_up (too many errors), no_budget.
LOOKUPS = Counter("notifystream_carriers_lookups_total", "Look-ups of numbers.", ["result"])
# Requests of the provider that may be on its bill, answered or not: what the budget counts.
CHARGED = Counter("notifystream_carriers_charged_total", "Look-ups that may be charged.")
# People whose old and new hash were linked.
LINKED = Counter("notifystream_carriers_linked_total", "Old hashes linked to new ones.")
# Unreadable requests passed over; the analytics sink writes their dead letters.
UNREADABLE = Counter("notifystream_carriers_unreadable_total", "Requests that could not be read.", ["reason"])
# Waits for something that is away; grows while the process stands still.
WAITS = Counter("notifystream_carriers_waits_total", "Retries, by what was waited for.", ["what"])
