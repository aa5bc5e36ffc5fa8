"""From requested to delivered: how many came how far, and what became of the others."""

from typing import TYPE_CHECKING

from sinks.analytics.facts import NOTIFICATIONS
from sinks.analytics.reports.figures import chosen, figures
from sinks.analytics.reports.table import Asked, Report, Value, percent

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

STAGES = ("requested", "admitted", "sent", "delivered")


def funnel(client: "Client", asked: Asked) -> Report:
    """Per stage the notifications that reached it, then those that came no further, by state and reason.

    `lost` have ended there; `on_their_way` may still go on. So of a stage, those of the next and all the lost
    and on their way add up to it.
    """
    by = chosen(asked, NOTIFICATIONS, (), without=("stage", "state", "final", "reason"))
    groups: dict[tuple[Value, ...], dict[tuple[str, str, str, bool], int]] = {}
    for row in figures(
        client, NOTIFICATIONS, asked.window, (*by, "stage", "state", "reason", "final"), _COUNT
    ):
        *group, stage, state, reason, final, count = row
        groups.setdefault(tuple(group), {})[stage, state, reason, bool(final)] = count
    rows = [row for group, ends in sorted(groups.items()) for row in _rows(group, ends)]
    columns = (*by, "stage", "state", "reason", "reached", "percent", "lost", "on_their_way")
    return Report("From requested to delivered", columns, tuple(rows))


_COUNT = ("notifications",)


def _rows(group: tuple[Value, ...], ends: dict[tuple[str, str, str, bool], int]) -> list[tuple[Value, ...]]:
    total = sum(ends.values())
    rows: list[tuple[Value, ...]] = []
    for number, stage in enumerate(STAGES):
        reached = sum(count for end, count in ends.items() if end[0] in STAGES[number:])
        rows.append((*group, stage, "", "", reached, percent(reached, total), 0, 0))
        if stage == STAGES[-1]:
            break
        stayed = {end: count for end, count in ends.items() if end[0] == stage}
        for (_, state, reason, final), count in sorted(stayed.items(), key=lambda item: (-item[1], item[0])):
            lost, on_their_way = (count, 0) if final else (0, count)
            rows.append(
                (*group, stage, state, reason or "none", 0, percent(count, total), lost, on_their_way)
            )
    return rows
