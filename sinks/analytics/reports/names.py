"""Which reports there are, and how to ask for one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sinks.analytics.errors import UnknownReport
from sinks.analytics.reports import deliverability as deliverabilities
from sinks.analytics.reports.anomalies import anomalies
from sinks.analytics.reports.costs import costs
from sinks.analytics.reports.filtering import filtering
from sinks.analytics.reports.funnel import funnel
from sinks.analytics.reports.latency import latency
from sinks.analytics.reports.optouts import optouts
from sinks.analytics.reports.providers import providers
from sinks.analytics.reports.table import Asked, Report, Window, milliseconds
from sinks.analytics.reports.unconfirmed import unconfirmed

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class ReportName(StrEnum):
    DELIVERABILITY = "deliverability"
    CARRIERS = "carriers"
    COUNTRIES = "countries"
    ERRORS = "errors"
    LATENCY = "latency"
    FUNNEL = "funnel"
    OPTOUTS = "optouts"
    COSTS = "costs"
    FILTERING = "filtering"
    PROVIDERS = "providers"
    ANOMALIES = "anomalies"
    UNCONFIRMED = "unconfirmed"


_REPORTS: dict[ReportName, Callable[["Client", Asked], Report]] = {
    ReportName.DELIVERABILITY: deliverabilities.deliverability,
    ReportName.CARRIERS: deliverabilities.carriers,
    ReportName.COUNTRIES: deliverabilities.countries,
    ReportName.ERRORS: deliverabilities.errors,
    ReportName.LATENCY: latency,
    ReportName.FUNNEL: funnel,
    ReportName.OPTOUTS: optouts,
    ReportName.COSTS: costs,
    ReportName.FILTERING: filtering,
    ReportName.PROVIDERS: providers,
    ReportName.ANOMALIES: anomalies,
    ReportName.UNCONFIRMED: unconfirmed,
}
_FIXED = frozenset({ReportName.CARRIERS, ReportName.COUNTRIES, ReportName.PROVIDERS, ReportName.ANOMALIES})


def report(
    client: "Client",
    name: str,
    since: datetime,
    *,
    until: datetime | None = None,
    tenant: str | None = None,
    by: Sequence[str] = (),
    now: datetime | None = None,
) -> Report:
    """The report of this name over what was requested in [since, until), without an end all. Times with a
    zone.

    `by` replaces what the rows are by. `now` is for ages; the clock's without.
    Raises UnknownReport, also for a `by` the report cannot be by, and what clickhouse-connect raises.
    """
    try:
        known = ReportName(name)
    except ValueError as unknown:
        raise UnknownReport(
            f"there is no report {name!r}; the reports are: {', '.join(ReportName)}"
        ) from unknown
    if by and known in _FIXED:
        raise UnknownReport(f"{name} has its own rows: leave --by out, or ask for deliverability --by …")
    window = Window(milliseconds(since), milliseconds(until or datetime(2100, 1, 1, tzinfo=UTC)), tenant)
    return _REPORTS[known](client, Asked(window, tuple(by), milliseconds(now or datetime.now(UTC))))
