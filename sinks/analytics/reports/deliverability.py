"""How many arrive, by whom and where, how sure that is, and why the others did not."""

from typing import TYPE_CHECKING

from sinks.analytics.error_meanings import meaning_of
from sinks.analytics.facts import ATTEMPTS, ENDINGS
from sinks.analytics.reports.figures import chosen, figures
from sinks.analytics.reports.statistics import share
from sinks.analytics.reports.table import Asked, Report, Value, percent

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# Of what had the chance: what is still on its way or was never sent says nothing about a carrier.
WITHOUT_A_CHANCE = ("open", "not_sent")
_PLACES_SHOWN = 3
_NARROW = 3


def with_a_chance(attempts: int, endings: tuple[int, ...]) -> int:
    """Of these attempts, those that somebody could have delivered; `endings` as ENDINGS."""
    return attempts - sum(endings[ENDINGS.index(ending)] for ending in WITHOUT_A_CHANCE)


def _report(client: "Client", asked: Asked, title: str, usual: tuple[str, ...]) -> Report:
    by = chosen(asked, ATTEMPTS, usual, without=("price_unit",))
    rows: list[tuple[Value, ...]] = []
    for row in figures(client, ATTEMPTS, asked.window, by, ("attempts", *ENDINGS, "segments")):
        attempts, *endings, segments = row[len(by) :]
        ended = with_a_chance(attempts, tuple(endings))
        rows.append((*row[: len(by)], attempts, *endings, segments, *share(endings[0], ended)))
    rows.sort(key=lambda row: (-int(row[len(by)] or 0), row[: len(by)]))
    columns = (*by, "attempts", *ENDINGS, "segments", "delivered_percent", "low_percent", "high_percent")
    # Eighty columns hold every ending only of what is by little.
    beside = ("held", "not_sent", "open") if len(by) <= _NARROW else ENDINGS[1:]
    return Report(title, columns, tuple(rows), beside)


def deliverability(client: "Client", asked: Asked) -> Report:
    title = "Deliverability; low and high: Wilson, 95 %"
    return _report(client, asked, title, ("country", "carrier", "channel", "sender"))


def carriers(client: "Client", asked: Asked) -> Report:
    title = "Deliverability by carrier; low and high: Wilson, 95 %"
    return _report(client, asked, title, ("country", "carrier", "carrier_source"))


def countries(client: "Client", asked: Asked) -> Report:
    return _report(client, asked, "Deliverability by country; low and high: Wilson, 95 %", ("country",))


def errors(client: "Client", asked: Asked) -> Report:
    """Attempts that ended badly, by code; `by` adds columns before it."""
    by = chosen(asked, ATTEMPTS, (), without=("error_code", "error_class", "price_unit"))
    counted = figures(
        client,
        ATTEMPTS,
        asked.window,
        (*by, "error_code", "error_class", "country", "carrier"),
        ("undelivered", "failed"),
        "undelivered + failed > 0",
    )
    found: dict[tuple[Value, ...], dict[str, int]] = {}
    classes: dict[tuple[Value, ...], str] = {}
    for row in counted:
        code, error_class, country, carrier, undelivered, failed = row[len(by) :]
        places = found.setdefault((*row[: len(by)], code), {})
        classes.setdefault((*row[: len(by)], code), error_class)
        places[f"{country} {carrier}"] = places.get(f"{country} {carrier}", 0) + undelivered + failed
    total = sum(sum(places.values()) for places in found.values())
    rows = []
    for key, places in sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        *group, code = key
        messages = sum(places.values())
        meaning = meaning_of(int(code or 0))
        most = sorted(places, key=lambda place: (-places[place], place))[:_PLACES_SHOWN]
        rows.append(
            (
                *group,
                code or "none",
                messages,
                percent(messages, total),
                classes[key],
                meaning.meaning,
                meaning.what_to_do,
                ", ".join(most),
            )
        )
    columns = (*by, "error", "messages", "percent", "class", "meaning", "what_to_do", "most_at")
    return Report("Why attempts failed", columns, tuple(rows))
