"""The filtering watch: do carriers filter, or find fewer phones, than at these hours of earlier weeks?

The carriers do not announce a filter. It shows as 30007 where they are honest, and as a rise of 30003 and
30005 where they are not (facts, Twilio section 5).
"""

from typing import TYPE_CHECKING, NamedTuple

from sinks.analytics.error_meanings import meaning_of
from sinks.analytics.facts import ATTEMPTS, ENDINGS
from sinks.analytics.reports.deliverability import with_a_chance
from sinks.analytics.reports.figures import chosen, figures
from sinks.analytics.reports.statistics import share
from sinks.analytics.reports.table import Asked, Report, Value, Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CODES = (30007, 30003, 30005)
WEEK_MS = 7 * 86_400_000
EARLIER_WEEKS = 4
# A rise from fewer is an anecdote.
FEWEST_FAILURES = 5


class Counted(NamedTuple):
    """Failures by code, of how many attempts that had a chance."""

    failures: dict[int, int]
    attempts: int


def rising(failures: int, attempts: int, earlier_failures: int, earlier_attempts: int) -> str:
    """`rise`: both shares are known well enough that even the low end of this one is above the earlier high
    end.

    Else `as usual`, `too few` failures to say, or `nothing to compare with`.
    """
    if failures < FEWEST_FAILURES:
        return "too few"
    if earlier_attempts == 0:
        return "nothing to compare with"
    low, high = share(failures, attempts).low, share(earlier_failures, earlier_attempts).high
    return "rise" if low is not None and high is not None and low > high else "as usual"


def counted(client: "Client", window: Window, by: tuple[str, ...]) -> dict[tuple[Value, ...], Counted]:
    """Of every group with attempts, also those without such a failure."""
    found: dict[tuple[Value, ...], Counted] = {}
    for row in figures(client, ATTEMPTS, window, (*by, "error_code"), ("attempts", *ENDINGS)):
        group, code, attempts, endings = row[: len(by)], row[len(by)], row[len(by) + 1], row[len(by) + 2 :]
        before = found.get(group, Counted({}, 0))
        bad = endings[ENDINGS.index("undelivered")] + endings[ENDINGS.index("failed")]
        failures = before.failures | {code: before.failures.get(code, 0) + bad}
        found[group] = Counted(failures, before.attempts + with_a_chance(attempts, endings))
    return found


def filtering(client: "Client", asked: Asked) -> Report:
    """By group and code, where there was a failure: the share now and in the same hours of four earlier
    weeks.
    """
    by = chosen(
        asked,
        ATTEMPTS,
        ("country", "carrier"),
        without=("error_code", "error_class", "price_unit", "hour", "day"),
    )
    # What has not been requested yet has no earlier week to be compared with.
    window = Window(asked.window.since, min(asked.window.until, asked.now), asked.window.tenant)
    now = counted(client, window, by)
    earlier = [counted(client, window.earlier(week * WEEK_MS), by) for week in range(1, EARLIER_WEEKS + 1)]
    rows: list[tuple[Value, ...]] = []
    for group, this in now.items():
        then = [week[group] for week in earlier if group in week]
        earlier_attempts = sum(week.attempts for week in then)
        for code in CODES:
            failures = this.failures.get(code, 0)
            if not failures:
                continue
            earlier_failures = sum(week.failures.get(code, 0) for week in then)
            verdict = rising(failures, this.attempts, earlier_failures, earlier_attempts)
            rows.append(
                (
                    *group,
                    code,
                    meaning_of(code).meaning,
                    verdict,
                    failures,
                    this.attempts,
                    *share(failures, this.attempts),
                    earlier_failures,
                    earlier_attempts,
                    share(earlier_failures, earlier_attempts).percent,
                    len(then),
                )
            )
    width = len(by)
    rows.sort(key=lambda row: (row[width + 2] != "rise", -int(row[width + 3] or 0), row[: width + 1]))
    columns = (
        *by,
        "error",
        "meaning",
        "verdict",
        "failures",
        "attempts",
        "percent",
        "low_percent",
        "high_percent",
        "earlier_failures",
        "earlier_attempts",
        "earlier_percent",
        "earlier_weeks",
    )
    return Report(
        "Filtering, against the same hours of earlier weeks; high and low in JSON and CSV",
        columns,
        tuple(rows),
        ("meaning", "low_percent", "high_percent", "earlier_failures", "earlier_weeks"),
    )
