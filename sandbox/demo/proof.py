"""Every report asked for, and compared with what the simulator's ledger and the plan say it must be.

Guarantees: what is on its way to ClickHouse has `seconds` to get there, each time; what is wrong after that
stays wrong. The reports are asked for twice: while the demo's hour is read row by row, and after its sums
were made. Leaves the reckoning to `reckoning`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from sandbox.demo.bills import fetch_bills
from sandbox.demo.plan import Plan
from sandbox.demo.reckoning import Checked, Evidence, check
from sandbox.demo.run import Done
from sandbox.demo.stage import QUIET_AFTER_S
from sandbox.demo.verdict import Finding, Verdict
from sandbox.demo.warehouse import NotLanded, Warehouse
from sandbox.supervisor import Sandbox
from sinks.analytics.reports import Report, ReportName

_AGAIN_S = 1.0
# What may follow a notification's end: its price asked for, a STOP in answer.
_FOLLOWING_S = 30.0
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Proof:
    checked: Checked
    reports: dict[ReportName, Report]


def judge_reports(
    plan: Plan, done: Done, box: Sandbox, *, is_alone: bool
) -> tuple[Verdict, dict[ReportName, Report]]:
    """The demo's verdict on its reports as well, and those. While outcomes are open there is nothing to hold
    reports against: the verdict stays as it is.

    Raises SimulatorError, ClickHouseAway, or what `prove` raises.
    """
    now = time.time_ns() // 1_000_000
    with Warehouse(box.env["CLICKHOUSE_URL"]) as warehouse:
        if done.verdict.open:
            return done.verdict, warehouse.reports(done.began_at, now)
        evidence = Evidence(
            plan=plan,
            ledger=done.ledger,
            requested_at=done.requested_at,
            answered_by=done.answered_by,
            bills=fetch_bills(box.carrier_url, box.env["TWILIO_ACCOUNT_SID"], box.env["TWILIO_AUTH_TOKEN"]),
            quiet_ms=QUIET_AFTER_S * 1000,
            # By the carriers service, of every number that is asked for.
            looked_up=True,
        )
        proof = prove(
            warehouse,
            evidence,
            done.began_at,
            now,
            is_alone=is_alone,
            seconds=_FOLLOWING_S,
            alive=box.children.check,
        )
    return with_proof(done.verdict, proof), proof.reports


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
    hour; else the window begins within it, and its rows are read both times. Times in ms since the epoch.

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
