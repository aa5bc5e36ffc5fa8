"""The reports' judge: it finds nothing wrong in right reports, and names each figure that is changed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.carrier.ledger import SeenList
from sandbox.demo.reckoning import Difference, check, waits
from sandbox.demo.reckoning.evidence import Evidence
from sandbox.demo.reckoning.of_money_and_time import PRICES
from sandbox.demo.reckoning.sheet import Between
from sandbox.demo.reckoning.tries import tries_of
from sandbox.demo.reckoning.waits import Span, Wait, Waits
from sandbox.demo.replies import replies_of
from sinks.analytics.facts import BUCKET_RATIO
from sinks.analytics.reports import Report, ReportName, Value
from tests.end_to_end.reckoned import (
    ACME,
    FILTERED,
    LEDGER,
    NOON,
    NOW,
    PLAN,
    READER,
    REPORTS,
    SILENT,
    evidence,
    posted,
)

# What no ledger says: words, and where else a finding is shown.
WORDS = {"meaning", "what_to_do", "where", "evidence", "look_at"}
CHANGED: dict[type, Value] = {str: "another", int: 17, float: 17.5, type(None): 17.5}
FIGURES = [
    (name, number, column)
    for name, made in REPORTS.items()
    for number in range(len(made.rows))
    for column in made.columns
    if column not in WORDS
]


def changed(name: ReportName, number: int, column: str) -> dict[ReportName, Report]:
    """The reports with one figure made another."""
    made = REPORTS[name]
    row = list(made.rows[number])
    place = made.columns.index(column)
    row[place] = CHANGED[type(row[place])]
    rows = tuple(tuple(row) if each == number else old for each, old in enumerate(made.rows))
    return REPORTS | {name: Report("", made.columns, rows)}


def without(name: ReportName) -> dict[ReportName, Report]:
    return REPORTS | {name: Report("", REPORTS[name].columns, ())}


def differences(
    reports: dict[ReportName, Report],
    live: dict[ReportName, Report] = REPORTS,
    given_evidence: Evidence | None = None,
) -> tuple[Difference, ...]:
    return check(given_evidence or evidence(), live, reports, NOW).differences


def test_in_right_reports_nothing_is_wrong() -> None:
    checked = check(evidence(), REPORTS, REPORTS, NOW)
    assert checked.differences == ()
    assert checked.reports == len(ReportName)
    assert checked.figures > len(FIGURES) / 2


@pytest.mark.parametrize(("name", "number", "column"), FIGURES)
def test_a_figure_that_is_wrong_is_named(name: ReportName, number: int, column: str) -> None:
    found = differences(changed(name, number, column))
    assert {each.report for each in found} == {name}
    key = column in ("country", "carrier", "carrier_source", "channel", "sender", "error", "age", "stage",
                     "state", "reason", "campaign", "category", "provider", "kind")  # fmt: skip
    said = [each for each in found if each.hours == "summed"]
    assert {each.column for each in said} == {"number of rows" if key else column}
    if not key:
        [difference] = said
        place = REPORTS[name].columns.index(column)
        assert difference.ours == str(CHANGED[type(REPORTS[name].rows[number][place])])
        assert str(REPORTS[name].rows[number][0]) in difference.row


@pytest.mark.parametrize("name", ReportName)
def test_a_report_that_says_nothing_is_wrong(name: ReportName) -> None:
    assert {each.report for each in differences(without(name))} == {name}


@pytest.mark.parametrize("name", ReportName)
def test_a_live_report_is_judged_as_well(name: ReportName) -> None:
    found = check(evidence(), without(name), None, NOW).differences
    assert {(each.report, each.hours) for each in found} == {(name, "live")}


@pytest.mark.parametrize("column", sorted(PRICES - {"cost_per_segment"}))
def test_prices_wait_for_the_sums(column: str) -> None:
    assert differences(REPORTS, live=changed(ReportName.COSTS, 0, column)) == ()


def test_sums_that_differ_from_the_rows_within_what_the_ledger_allows_are_found() -> None:
    made = REPORTS[ReportName.LATENCY]
    others = tuple(tuple(0.46 if value == 0.45 else value for value in row) for row in made.rows)
    found = differences(REPORTS | {ReportName.LATENCY: Report("", made.columns, others)})
    assert {each.hours for each in found} == {"summed, not as live"}
    assert {each.column for each in found} == {
        f"requested_to_sent_{level}_s" for level in ("p50", "p90", "p99")
    }


def test_a_row_that_the_ledger_knows_nothing_of_is_named() -> None:
    made = REPORTS[ReportName.COUNTRIES]
    more = ("FR", *made.rows[0][1:])
    found = differences(REPORTS | {ReportName.COUNTRIES: Report("", made.columns, (*made.rows, more))})
    assert str(found[0]) == "number of rows of FR is 1, and must be 0 (summed hours)"


def test_looked_up_carriers_are_those_of_the_ledger() -> None:
    found = check(evidence(looked_up=True), REPORTS, None, NOW).differences
    rows = {(each.row, each.must_be) for each in found if each.report == ReportName.CARRIERS}
    assert {("US Verizon lookup", "1"), ("GB EE lookup", "1"), ("US unknown unknown", "0")} <= rows


def test_a_stop_before_anything_was_sent_answers_nothing() -> None:
    earlier = msgspec.structs.replace(LEDGER, opt_outs=LEDGER.opt_outs[:1])
    [found] = [
        each
        for each in differences(REPORTS, given_evidence=evidence(earlier))
        if each.column == "opt_outs" and each.hours == "summed"
    ]
    assert (found.row, found.ours, found.must_be) == ("demo-marketing marketing", "1", "0")


def test_a_call_that_never_got_there_is_an_attempt_that_was_not_sent() -> None:
    lost = msgspec.structs.replace(LEDGER, requests=tuple(r for r in LEDGER.requests if r.sid is not None))
    found = {
        each.column: (each.ours, each.must_be)
        for each in differences(REPORTS, given_evidence=evidence(lost))
        if each.report == ReportName.COUNTRIES and each.hours == "summed"
    }
    assert found["failed"] == ("1", "0")
    assert found["not_sent"] == ("0", "1")
    assert "attempts" not in found


def test_a_refusal_that_its_caller_had_to_look_for_is_an_attempt_that_was_not_sent() -> None:
    def looked_for(person: str, at: int) -> set[tuple[str, str, str]]:
        listed = SeenList(to=person, at_ms=NOON + at, error_code=None)
        found = differences(
            REPORTS, given_evidence=evidence(msgspec.structs.replace(LEDGER, lists=(listed,)))
        )
        return {
            (each.column, each.ours, each.must_be)
            for each in found
            if each.report == ReportName.COUNTRIES and each.column in ("failed", "not_sent", "attempts")
        }

    assert looked_for(FILTERED, 1_000) == {("failed", "1", "0"), ("not_sent", "0", "1")}
    assert looked_for(FILTERED, 100) == looked_for(FILTERED, 2_001) == looked_for(SILENT, 1_000) == set()


def test_news_that_may_be_lost_may_count_or_not() -> None:
    unheard = tuple(
        msgspec.structs.replace(post, http_status=None) if post.sid == "SM2" else post
        for post in LEDGER.callbacks
    )
    uncertain = evidence(msgspec.structs.replace(LEDGER, callbacks=unheard))
    made = REPORTS[ReportName.LATENCY]
    for rows in (made.rows, made.rows[:1]):
        reports = REPORTS | {ReportName.LATENCY: Report("", made.columns, rows)}
        found = check(uncertain, reports, reports, NOW).differences
        assert not [each for each in found if each.report == ReportName.LATENCY]


def test_news_cannot_be_older_than_the_provider_s_telling_or_our_asking() -> None:
    late = tuple(
        posted(post.sid, post.status, 9_000) if post.sid == "SM2" and post.status == "sent" else post
        for post in LEDGER.callbacks
    )
    known = evidence(msgspec.structs.replace(LEDGER, callbacks=late))
    [wait] = [wait for wait in waits.requested_to_sent(known, tries_of(known)) if wait.of.country == "US"]
    assert wait.span is not None
    assert wait.span.low == 2_000 + known.quiet_ms


@given(
    st.lists(
        st.tuples(st.integers(0, 90_000), st.integers(0, 5_000), st.integers(0, 5_000)),
        min_size=1,
        max_size=30,
    ),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_a_quantile_of_waits_within_their_bounds_is_within_its_own(
    drawn: list[tuple[int, int, int]], level: float
) -> None:
    true = sorted(wait for wait, _, _ in drawn)
    spans = tuple(Span(max(0, wait - less), wait + more) for wait, less, more in drawn)
    [_, bounds] = waits.cells(Waits(spans, 0), "n", {"p": level}).values()
    element = true[min(int(level * len(true)), len(true) - 1)]
    assert isinstance(bounds, Between)
    for off in (BUCKET_RATIO**-0.5, 1.0, BUCKET_RATIO**0.5):
        reported = float(f"{max(1, element) * off / 1000:.4g}")
        assert bounds.low <= reported <= bounds.high


def test_one_of_those_who_were_shown_an_advertisement_says_stop_to_its_sender() -> None:
    [reply] = replies_of(PLAN, LEDGER)
    assert (reply.recipient, reply.sender) == (READER, ACME)


def test_waits_are_counted_from_the_time_of_the_request_s_event() -> None:
    known = evidence()
    found = {wait.of.country: wait for wait in waits.requested_to_sent(known, tries_of(known))}
    assert isinstance(found["US"], Wait)
    assert found["US"].span == Span(2_400, 2_500)
    assert known.requested_at[found["US"].of.notification_id] == NOON
