"""Attempts nobody has the last word of, by how long they have waited since the request."""

from typing import TYPE_CHECKING

from sinks.analytics.facts import ATTEMPTS
from sinks.analytics.reports.figures import chosen, figures
from sinks.analytics.reports.table import Asked, Report, Value

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

AGES = ((1, "under 1 h"), (6, "1 to 6 h"), (24, "6 to 24 h"), (72, "1 to 3 days"))
OLDEST = "over 3 days"
_WAITING = ("open", "unconfirmed", "held")


def age_of(hours: int) -> str:
    """The bracket of whole hours since the hour of the request."""
    return next((name for limit, name in AGES if hours < limit), OLDEST)


def unconfirmed(client: "Client", asked: Asked) -> Report:
    """open: on their way; unconfirmed: given up waiting; held: the call had no answer. Old open ones are
    stuck.
    """
    by = chosen(asked, ATTEMPTS, (), without=("price_unit", "hour", "day"))
    brackets = [name for _, name in AGES] + [OLDEST]
    groups: dict[tuple[Value, ...], dict[str, tuple[int, ...]]] = {}
    for row in figures(
        client, ATTEMPTS, asked.window, (*by, "start"), _WAITING, " + ".join(_WAITING) + " > 0"
    ):
        group, start, counts = row[: len(by)], int(row[len(by)]), row[len(by) + 1 :]
        age = age_of((asked.now // 1000 - start) // 3600)
        ages = groups.setdefault(group, {})
        ages[age] = tuple(map(sum, zip(ages.get(age, (0,) * len(_WAITING)), counts, strict=True)))
    rows = [
        (*group, age, *ages[age], sum(ages[age]))
        for group, ages in sorted(groups.items())
        for age in brackets
        if age in ages
    ]
    return Report("Without a last word, by age", (*by, "age", *_WAITING, "attempts"), tuple(rows))
