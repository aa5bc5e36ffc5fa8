"""What the reports that count attempts must say: where they went, how they ended, which never will. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sandbox.demo.reckoning.fates import class_of
from sandbox.demo.reckoning.shares import percent, shares
from sandbox.demo.reckoning.sheet import Cell, Sheet
from sandbox.demo.reckoning.tries import ENDINGS, Try
from sinks.analytics.reports import ReportName, Value

_FILTER_CODES = (30007, 30003, 30005)
# From fewer failures nothing is concluded.
_FEWEST = 5
_HOUR_MS = 3_600_000
_AGES = ((1, "under 1 h"), (6, "1 to 6 h"), (24, "6 to 24 h"))

Groups = dict[tuple[Value, ...], list[Try]]


def grouped(tries: Sequence[Try], by: tuple[str, ...]) -> Groups:
    """The attempts by these fields of theirs."""
    groups: Groups = {}
    for each in tries:
        groups.setdefault(tuple(getattr(each, name) for name in by), []).append(each)
    return groups


def endings(tries: Sequence[Try]) -> dict[str, Cell]:
    """The columns `attempts` and one for each ending."""
    ended = Counter(each.ending for each in tries)
    return {"attempts": len(tries), **{ending: ended[ending] for ending in ENDINGS}}


def delivered_shares(tries: Sequence[Try]) -> dict[str, Cell]:
    """Of those that had a chance: not on their way, and given to the provider at all."""
    delivered = sum(each.ending == "delivered" for each in tries)
    return shares(delivered, with_a_chance(tries), "delivered_percent")


def with_a_chance(tries: Sequence[Try]) -> int:
    return sum(each.ending not in ("open", "not_sent") for each in tries)


def deliverability(tries: Sequence[Try], name: ReportName, by: tuple[str, ...]) -> Sheet:
    """Also `carriers` and `countries`, which differ in what their rows are by."""
    rows = {
        group: {
            **endings(members),
            "segments": sum(each.segments for each in members),
            **delivered_shares(members),
        }
        for group, members in grouped(tries, by).items()
    }
    return Sheet(name, by, rows)


def errors(tries: Sequence[Try]) -> Sheet:
    failed = [each for each in tries if _is_failure(each)]
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {}
    for (code,), members in grouped(failed, ("error_code",)).items():
        places = Counter(f"{each.country} {each.carrier}" for each in members)
        most = sorted(places, key=lambda place: (-places[place], place))[:3]
        rows[code or "none",] = {
            "messages": len(members),
            "percent": percent(len(members), len(failed)),
            "class": class_of(int(code or 0)),
            "most_at": ", ".join(most),
        }
    return Sheet(ReportName.ERRORS, ("error",), rows)


def filtering(tries: Sequence[Try]) -> Sheet:
    """There are no earlier weeks in a demo, so there is nothing to call a rise."""
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {}
    for group, members in grouped(tries, ("country", "carrier")).items():
        chances = with_a_chance(members)
        for code in _FILTER_CODES:
            failures = sum(each.error_code == code and _is_failure(each) for each in members)
            if failures:
                rows[*group, code] = {
                    "verdict": "too few" if failures < _FEWEST else "nothing to compare with",
                    "failures": failures,
                    "attempts": chances,
                    **shares(failures, chances, "percent"),
                    "earlier_failures": 0,
                    "earlier_attempts": 0,
                    "earlier_percent": None,
                    "earlier_weeks": 0,
                }
    return Sheet(ReportName.FILTERING, ("country", "carrier", "error"), rows)


def unconfirmed(tries: Sequence[Try], requested_at: Mapping[str, int], now: int) -> Sheet:
    """By how long ago the hour of the request began. Times in ms."""
    ages: dict[tuple[Value, ...], Counter[str]] = {}
    for each in tries:
        if each.ending in ("open", "unconfirmed", "held"):
            hour = requested_at[each.notification_id] // _HOUR_MS * _HOUR_MS
            ages.setdefault((_age((now - hour) // _HOUR_MS),), Counter())[each.ending] += 1
    rows = {
        age: {
            "open": ended["open"],
            "unconfirmed": ended["unconfirmed"],
            "held": ended["held"],
            "attempts": ended.total(),
        }
        for age, ended in ages.items()
    }
    return Sheet(ReportName.UNCONFIRMED, ("age",), rows)


def _age(hours: int) -> str:
    return next((name for most, name in _AGES if hours < most), "1 to 3 days")


def _is_failure(each: Try) -> bool:
    return each.ending in ("undelivered", "failed")
