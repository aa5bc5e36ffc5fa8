"""Every report asked for, and compared with what the simulator's ledger and the plan say it must be.

Guarantees: what is on its way to ClickHouse has `seconds` to get there, each time; what is wrong after that
stays wrong. The reports are asked for twice: while the demo's hour is read row by row, and after its sums
were made. Leaves the reckoning to `reckoning`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from sandbox.demo.reckoning import Checked, Evidence, check
from sandbox.demo.verdict import Finding, Verdict
from sandbox.demo.warehouse import NotLanded, Warehouse
from sinks.analytics.reports import Report, ReportName

_AGAIN_S = 1.0
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Proof:
    checked: Checked
    reports: dict[ReportName, Report]


def prove(
    warehouse: Warehouse,
    evidence: Evidence,
    began_ms: int,
    now: int,
    *,
    is_alone: bool,
    seconds: float,
    alive: Callable[[], None],
) -> Proof:
    """Over what was requested since `began_ms`, as of `now`; `is_alone`: nobody else's requests are in that
    hour. Times in ms since the epoch.

    Raises NotLanded when ClickHouse's hours do not come to rest, or what `alive` raises when a process died.
    """
    live, checked = _until_right(
        lambda: warehouse.reports(began_ms, now),
        lambda asked: check(evidence, asked, None, now),
        seconds,
        alive,
    )
    if checked.differences:
        return Proof(checked, live)
    # A window that cuts its first hour would have that hour read by rows again.
    since = began_ms // _HOUR_MS * _HOUR_MS if is_alone else began_ms

    def summed() -> dict[ReportName, Report]:
        if not warehouse.sum_up():
            raise NotLanded("hours are still touched after everything has landed; see the log of analytics")
        return warehouse.reports(since, now)

    asked, checked = _until_right(summed, lambda asked: check(evidence, live, asked, now), seconds, alive)
    return Proof(checked, asked)


def with_proof(verdict: Verdict, proof: Proof) -> Verdict:
    """The verdict with what was found wrong in the reports."""
    wrong = tuple(
        Finding("wrong_figures", f"report {difference.report}", str(difference))
        for difference in proof.checked.differences
    )
    return msgspec.structs.replace(
        verdict,
        reports_checked=proof.checked.reports,
        figures=proof.checked.figures,
        wrong_figures=len(wrong),
        findings=verdict.findings + wrong,
    )


def _until_right(
    ask: Callable[[], dict[ReportName, Report]],
    judge: Callable[[dict[ReportName, Report]], Checked],
    seconds: float,
    alive: Callable[[], None],
) -> tuple[dict[ReportName, Report], Checked]:
    deadline = time.monotonic() + seconds
    while True:
        alive()
        asked = ask()
        checked = judge(asked)
        if not checked.differences or time.monotonic() > deadline:
            return asked, checked
        time.sleep(_AGAIN_S)
