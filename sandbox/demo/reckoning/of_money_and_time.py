"""What the reports on costs, latencies and providers must say. Pure."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from sandbox.demo.reckoning import waits
from sandbox.demo.reckoning.evidence import Evidence
from sandbox.demo.reckoning.of_attempts import delivered_shares, endings, grouped
from sandbox.demo.reckoning.sheet import Between, Cell, Sheet
from sandbox.demo.reckoning.tries import Try
from sandbox.demo.reckoning.waits import Wait
from sinks.analytics.reports import ReportName, Value

PRICES = frozenset(
    {"priced", "currency", "told", "estimated", "cost", "cost_per_delivered", "cost_per_segment"}
)
"""Columns that wait for the next sums of their hour."""

_LEVELS = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_MILLIONTH = 0.0000011


def costs(tries: Sequence[Try]) -> Sheet:
    """What the simulator bills for what left, to the millionth: it is asked for each of these prices."""
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {}
    for group, members in grouped(tries, ("country", "channel")).items():
        priced = [each for each in members if _is_priced(each)]
        delivered = sum(each.ending == "delivered" for each in members)
        told = _told(priced)
        rows[group] = {
            "attempts": len(members),
            "delivered": delivered,
            "segments": sum(each.segments for each in members),
            "priced": len(priced),
            "currency": _unit(tries),
            "told": _about(told),
            "estimated": _about(Decimal(0)),
            "cost": _about(told),
            "cost_per_delivered": _about(told / delivered) if delivered else None,
        }
    return Sheet(ReportName.COSTS, ("country", "channel"), rows)


def latency(evidence: Evidence, tries: Sequence[Try]) -> Sheet:
    """Where no news is certain to have come, there may be no row."""
    by: dict[tuple[Value, ...], tuple[list[Wait], list[Wait]]] = {}
    spans = (waits.requested_to_sent(evidence, tries), waits.sent_to_delivered(evidence, tries))
    for number, found in enumerate(spans):
        for wait in found:
            by.setdefault((wait.of.country, wait.of.carrier), ([], []))[number].append(wait)
    rows = {
        group: {
            **waits.cells(waits.together(to_sent), "requested_to_sent", _LEVELS),
            **waits.cells(waits.together(to_delivered), "sent_to_delivered", _LEVELS),
        }
        for group, (to_sent, to_delivered) in by.items()
    }
    uncertain = frozenset(
        group for group, found in by.items() if not any(wait.span for waited in found for wait in waited)
    )
    return Sheet(ReportName.LATENCY, ("country", "carrier"), rows, uncertain)


def providers(evidence: Evidence, tries: Sequence[Try]) -> Sheet:
    """There is one; a sender of whose messages nothing was heard belongs to none that is known."""
    heard = {
        post.sid
        for post in evidence.ledger.callbacks
        if post.http_status is not None and 200 <= post.http_status < 300
    }
    known = {each.sender for each in tries if each.message is not None and each.message.sid in heard}
    of = _provider_of(known)
    delays: dict[tuple[Value, ...], list[Wait]] = {}
    for wait in waits.sent_to_delivered(evidence, tries):
        delays.setdefault((wait.of.country, of(wait.of)), []).append(wait)
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {}
    groups: dict[tuple[Value, ...], list[Try]] = {}
    for each in tries:
        groups.setdefault((each.country, of(each)), []).append(each)
    for group, members in groups.items():
        priced = [each for each in members if _is_priced(each)]
        segments = sum(each.segments for each in priced)
        cells = waits.cells(waits.together(delays.get(group, [])), "sent_to_delivered", _LEVELS)
        del cells["sent_to_delivered_count"]
        cells.pop("sent_to_delivered_p99_s", None)
        rows[group] = {
            **endings(members),
            **delivered_shares(members),
            **cells,
            "cost_per_segment": f"{_told(priced) / segments:.6f} {_unit(priced)}" if segments else None,
        }
    return Sheet(ReportName.PROVIDERS, ("country", "provider"), rows)


def _provider_of(known: set[str]) -> Callable[[Try], str]:
    return lambda each: "twilio" if each.sender in known else "unknown"


def _is_priced(each: Try) -> bool:
    return each.bill is not None and each.bill.price is not None


def _told(priced: Sequence[Try]) -> Decimal:
    """Costs, which are negative prices."""
    prices = [each.bill.price for each in priced if each.bill is not None and each.bill.price is not None]
    return -sum(prices, Decimal(0))


def _unit(tries: Sequence[Try]) -> str:
    return next((each.bill.unit for each in tries if each.bill is not None and _is_priced(each)), "")


def _about(cost: Decimal) -> Between:
    """To a millionth, as reports round."""
    return Between(float(cost) - _MILLIONTH, float(cost) + _MILLIONTH)
