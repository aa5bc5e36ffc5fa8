"""What analysts ask first, as named reports over the hourly figures.

Guarantees: exact figures of this moment, also of hours touched a moment ago, but for latencies (right to
2.5 %) and prices (as of the last refresh). Everything counts at the time of its request. Leaves to the
console how reports look.
"""

from sinks.analytics.reports.names import ReportName, report
from sinks.analytics.reports.table import Report, Value

__all__ = ["Report", "ReportName", "Value", "report"]
