"""How the reports are asked for at the demo's end: again until right, live and summed, and what a wrong one
does to the verdict."""

from __future__ import annotations

import pytest

from sandbox.demo import proof
from sandbox.demo.proof import Proof, prove, with_proof
from sandbox.demo.verdict import Verdict
from sandbox.demo.warehouse import NotLanded, Warehouse
from schemas.vocabulary import NotificationState
from sinks.analytics.reports import Report, ReportName
from tests.end_to_end.reckoned import NOON, NOW, REPORTS, evidence
from tests.end_to_end.test_verdict import DELIVERED, judged, outcome

Reports = dict[ReportName, Report]
WRONG: Reports = REPORTS | {ReportName.ERRORS: Report("", REPORTS[ReportName.ERRORS].columns, ())}
BEGAN = NOON + 1_000


class Told(Warehouse):
    """Gives these reports, one set after the other and the last again and again."""

    def __init__(self, *told: Reports, rests: bool = True) -> None:
        self._told = list(told)
        self._rests = rests
        self.asked: list[int] = []
        self.summed = 0

    def reports(self, since: int, now: int) -> Reports:
        self.asked.append(since)
        return self._told.pop(0) if len(self._told) > 1 else self._told[0]

    def sum_up(self) -> bool:
        self.summed += 1
        return self._rests


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_AGAIN_S", 0.0)


def proved(warehouse: Told, *, is_alone: bool = True, seconds: float = 30.0) -> Proof:
    return prove(warehouse, evidence(), BEGAN, NOW, is_alone=is_alone, seconds=seconds, alive=lambda: None)


def verdict() -> Verdict:
    return judged(DELIVERED, outcome(NotificationState.DELIVERED))


def test_what_is_on_its_way_is_waited_for() -> None:
    warehouse = Told(WRONG, WRONG, REPORTS)
    assert proved(warehouse).checked.differences == ()
    assert len(warehouse.asked) == 4


def test_reports_are_asked_for_again_after_their_sums_were_made() -> None:
    warehouse = Told(REPORTS)
    checked = proved(warehouse).checked
    assert warehouse.summed == 1
    assert warehouse.asked == [BEGAN, NOON]
    assert checked.reports == 12


def test_beside_others_the_window_begins_with_the_demo() -> None:
    warehouse = Told(REPORTS)
    proved(warehouse, is_alone=False)
    assert warehouse.asked == [BEGAN, BEGAN]


def test_what_stays_wrong_fails_the_verdict_and_is_named() -> None:
    judged_too = with_proof(verdict(), proved(Told(WRONG), seconds=0.0))
    assert verdict().passed
    assert not judged_too.passed
    assert judged_too.wrong_figures == len(judged_too.findings) == 2
    assert {finding.kind for finding in judged_too.findings} == {"wrong_figures"}
    said = {(finding.notification_id, finding.what) for finding in judged_too.findings}
    assert ("report errors", "number of rows of 30007 is 0, and must be 1 (live hours)") in said


def test_sums_that_are_wrong_fail_although_the_rows_are_right() -> None:
    found = proved(Told(REPORTS, WRONG), seconds=0.0).checked.differences
    assert {(each.report, each.hours) for each in found} == {
        ("errors", "summed"),
        ("errors", "summed, not as live"),
    }


def test_reports_that_are_right_leave_the_verdict_as_it_is() -> None:
    judged_too = with_proof(verdict(), proved(Told(REPORTS)))
    assert judged_too.passed
    assert judged_too.reports_checked == 12
    assert judged_too.figures > 100


def test_hours_that_do_not_come_to_rest_are_an_error() -> None:
    with pytest.raises(NotLanded, match="still touched"):
        proved(Told(REPORTS, rests=False))
