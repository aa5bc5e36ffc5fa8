"""Every report against its sheet. Pure.

Guarantees: a figure that is wrong is named by report, row and column, with what it is and what it must be.
`live` reports were asked for while their hour was read row by row, `summed` ones after its sums were made:
both must be right, and the same, but for prices, which are counted with the sums only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sandbox.demo.reckoning import of_attempts, of_money_and_time, of_people
from sandbox.demo.reckoning.evidence import Evidence
from sandbox.demo.reckoning.fates import fates_of
from sandbox.demo.reckoning.of_money_and_time import PRICES
from sandbox.demo.reckoning.sheet import Compared, Difference, Sheet, compared
from sandbox.demo.reckoning.tries import tries_of
from sinks.analytics.reports import Report, ReportName

Reports = Mapping[ReportName, Report]

LIVE, SUMMED = "live", "summed"


@dataclass(frozen=True, slots=True)
class Checked:
    """How many reports and figures were compared, and which figures are wrong. A figure counts once, though
    it is looked at both live and summed."""

    reports: int
    figures: int
    differences: tuple[Difference, ...]


def sheets_of(evidence: Evidence, now: int) -> dict[ReportName, Sheet]:
    """What each report must say when asked at `now` (ms)."""
    tries = tries_of(evidence)
    fates = fates_of(evidence, tries)
    where = ("country", "carrier")
    sheets = (
        of_attempts.deliverability(tries, ReportName.DELIVERABILITY, (*where, "channel", "sender")),
        of_attempts.deliverability(tries, ReportName.CARRIERS, (*where, "carrier_source")),
        of_attempts.deliverability(tries, ReportName.COUNTRIES, ("country",)),
        of_attempts.errors(tries),
        of_attempts.filtering(tries),
        of_attempts.unconfirmed(tries, evidence.requested_at, now),
        of_people.funnel(fates),
        of_people.optouts(evidence, fates),
        of_people.anomalies(evidence),
        of_money_and_time.costs(tries),
        of_money_and_time.latency(evidence, tries),
        of_money_and_time.providers(evidence, tries),
    )
    return {ReportName(sheet.report): sheet for sheet in sheets}


def check(evidence: Evidence, live: Reports, summed: Reports | None, now: int) -> Checked:
    """All reports; of the live ones all but the prices. Without `summed`, the live ones alone."""
    sheets = sheets_of(evidence, now)
    figures = 0
    differences: list[Difference] = []
    for name, sheet in sheets.items():
        last = _judged(_without_prices(sheet), live[name], LIVE)
        differences += last.differences
        if summed is not None:
            last = _judged(sheet, summed[name], SUMMED)
            differences += last.differences
            differences += _judged(_as(live[name], sheet), summed[name], f"{SUMMED}, not as live").differences
        figures += last.figures
    return Checked(len(sheets), figures, tuple(differences))


def _judged(sheet: Sheet, made: Report, hours: str) -> Compared:
    is_by_kind = sheet.report == ReportName.ANOMALIES and sheet.keys == ("kind",)
    found = compared(sheet, of_people.by_kind(made) if is_by_kind else made)
    return Compared(found.figures, tuple(replace(each, hours=hours) for each in found.differences))


def _without_prices(sheet: Sheet) -> Sheet:
    rows = {
        key: {column: cell for column, cell in cells.items() if column not in PRICES}
        for key, cells in sheet.rows.items()
    }
    return Sheet(sheet.report, sheet.keys, rows, sheet.uncertain)


def _as(live: Report, sheet: Sheet) -> Sheet:
    """What the live report says, as what the summed one must say."""
    kept = [column for column in live.columns if column not in PRICES]
    keys = sheet.keys if sheet.report != ReportName.ANOMALIES else live.columns
    rows = {}
    for row in live.rows:
        told = dict(zip(live.columns, row, strict=True))
        rows[tuple(told[key] for key in keys)] = {name: told[name] for name in kept if name not in keys}
    return Sheet(sheet.report, keys, rows)
