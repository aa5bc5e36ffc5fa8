"""What the reports that count notifications, people and records must say. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sandbox.demo.plan import Kind
from sandbox.demo.reckoning.evidence import Evidence
from sandbox.demo.reckoning.fates import STAGES, Fate
from sandbox.demo.reckoning.shares import percent, shares
from sandbox.demo.reckoning.sheet import Cell, Sheet
from sinks.analytics.reports import Report, ReportName, Value


def funnel(fates: Sequence[Fate]) -> Sheet:
    """Whoever got to a stage was at all before it; whoever got no further is lost there."""
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {}
    for number, stage in enumerate(STAGES):
        reached = sum(fate.stage in STAGES[number:] for fate in fates)
        rows[stage, "", ""] = {
            "reached": reached,
            "percent": percent(reached, len(fates)),
            "lost": 0,
            "on_their_way": 0,
        }
        stayed = Counter((fate.state, fate.reason) for fate in fates if fate.stage == stage)
        for (state, reason), count in stayed.items() if stage != STAGES[-1] else ():
            rows[stage, state, reason] = {
                "reached": 0,
                "percent": percent(count, len(fates)),
                "lost": count,
                "on_their_way": 0,
            }
    return Sheet(ReportName.FUNNEL, ("stage", "state", "reason"), rows)


def optouts(evidence: Evidence, fates: Sequence[Fate]) -> Sheet:
    """Who said STOP answers the last notification of the sender's tenant that a carrier took to them before;
    whoever was never sent anything answers nothing."""
    sent = [fate for fate in fates if fate.stage in ("sent", "delivered")]
    answered: dict[str, Fate] = {}
    for said in evidence.ledger.opt_outs:
        tenant = evidence.plan.sender_tenants.get(said.sender)
        before = [
            fate
            for fate in sent
            if fate.recipient == said.recipient
            and fate.tenant == tenant
            and evidence.requested_at[fate.notification_id] <= said.at_ms
        ]
        if said.opted_out and before:
            last = max(before, key=lambda fate: evidence.requested_at[fate.notification_id])
            answered[last.notification_id] = last
    took = Counter((fate.campaign, fate.category) for fate in sent)
    out = Counter((fate.campaign, fate.category) for fate in answered.values())
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {
        group: {"sent": count, "opt_outs": out[group], **shares(out[group], count, "opt_out_percent")}
        for group, count in took.items()
    }
    return Sheet(ReportName.OPTOUTS, ("campaign", "category"), rows)


def anomalies(evidence: Evidence) -> Sheet:
    """The events nobody can read are dead letters; whatever else is listed would contradict the ledger:
    every call's fate is known there, every message is ours, and there are no earlier weeks."""
    unreadable = sum(planned.kind is Kind.UNREADABLE for planned in evidence.plan.events)
    rows: dict[tuple[Value, ...], Mapping[str, Cell]] = {}
    if unreadable:
        rows["dead letters",] = {"count": unreadable}
    return Sheet(ReportName.ANOMALIES, ("kind",), rows)


def by_kind(made: Report) -> Report:
    """Anomalies by their kind alone: the ledger does not know which process gives a dead letter up."""
    kind, count = made.columns.index("kind"), made.columns.index("count")
    counts: Counter[Value] = Counter()
    for row in made.rows:
        counts[row[kind]] += int(row[count] or 0)
    return Report(made.title, ("kind", "count"), tuple(counts.items()))
