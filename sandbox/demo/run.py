"""The demo's phases against a running sandbox: STOPs, events, waiting, the verdict.

Guarantees: ends, by itself or at the deadline; a process of the sandbox that dies unexpectedly ends it with
that process's log. Leaves to `sandbox.supervisor` the processes, to `verdict` the judgement, to the command
the words.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.carrier.control import Inbound, send_inbound
from sandbox.carrier.ledger import Ledger, fetch_ledger, fetch_pending
from sandbox.demo.display import Display, Progress
from sandbox.demo.feed import Feed
from sandbox.demo.plan import Plan, Stop
from sandbox.demo.replies import replies_of
from sandbox.demo.stopwatch import Stopwatch
from sandbox.demo.verdict import Verdict, judge
from sandbox.demo.watch import Watch
from schemas.clients import Kafka
from schemas.codec import Codec

_READ_S = 0.2
_PENDING_S = 0.5
# The simulator is done once its last callback was answered; the fold of that callback is still to be read.
_QUIET_S = 2.0
# Longer than any outcome takes behind its callback: what is wrong after this stays wrong.
_GRACE_S = 15.0


class DemoFailed(Exception):
    """The demo could not be carried out; the message says which step and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The sandbox it runs against. `check` raises when one of its processes died; `disturb` is called in
    every round with the number of final outcomes so far, for tests that kill processes."""

    kafka: Kafka
    registry_url: str
    carrier_url: str
    check: Callable[[], None]
    disturb: Callable[[int], None] = lambda answered: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The verdict; each judged outcome's version by id, which an analyst must find in ClickHouse; and what
    the reports are reckoned from (`sandbox.demo.reckoning.Evidence`). Times in ms since the epoch."""

    verdict: Verdict
    versions: dict[str, int]
    began_at: int
    ledger: Ledger
    requested_at: dict[str, int]
    answered_by: dict[tuple[str, int], int]


def run(plan: Plan, target: Target, display: Display, *, per_second: float, deadline_s: float) -> Done:
    """Carry the plan out and judge it, at the latest `deadline_s` seconds after the first event.

    Raises DemoFailed, SimulatorError, NotWritten or what `target.check` raises.
    """
    codec = Codec(target.registry_url)
    began_at = time.time_ns() // 1_000_000
    try:
        with Watch(target.kafka, codec, plan) as watch:
            display.step(f"{len(plan.stops)} people write STOP")
            _stop(plan.stops, target)
            display.step(
                f"{len(plan.events)} notify events from {len(set(plan.sender_tenants.values()))} tenants"
            )
            feed = Feed(target.kafka, codec, plan.events, per_second)
            stopwatch = Stopwatch(target.carrier_url)
            verdict = _wait(plan, target, watch, feed, stopwatch, display, deadline_s)
            ledger = stopwatch.look()
            if not verdict.open:
                replies = replies_of(plan, ledger)
                display.step(f"{len(replies)} people answer an advertisement with STOP")
                _stop(replies, target)
                ledger = stopwatch.look()
            return Done(
                verdict=verdict,
                versions={i: outcome.version for i, outcome in watch.outcomes.items()},
                began_at=began_at,
                ledger=ledger,
                requested_at=feed.requested_at,
                answered_by=stopwatch.answered_by,
            )
    finally:
        codec.close()


def _stop(stops: tuple[Stop, ...], target: Target) -> None:
    for stop in stops:
        target.check()
        reply = send_inbound(target.carrier_url, Inbound(from_=stop.recipient, to=stop.sender, body="STOP"))
        if reply.status is None or not 200 <= reply.status < 300:
            answer = reply.failure.value if reply.failure is not None else str(reply.status)
            raise DemoFailed(f"the ingress did not take a STOP: {answer}; see its log")


def _wait(
    plan: Plan,
    target: Target,
    watch: Watch,
    feed: Feed,
    stopwatch: Stopwatch,
    display: Display,
    deadline_s: float,
) -> Verdict:
    began = time.monotonic()
    pending, asked_at = 0, 0.0
    complete_since: float | None = None
    answered_at = began
    while True:
        target.check()
        feed.advance()
        watch.read(_READ_S)
        now = time.monotonic()
        target.disturb(watch.final)
        if now - asked_at >= _PENDING_S:
            pending, asked_at = fetch_pending(target.carrier_url).total, now
        stopwatch.look_when_due()
        display.show(_progress(plan, watch, feed, pending, now - began))
        if not (feed.done and watch.open == 0 and pending == 0):
            complete_since = None
        elif complete_since is None:
            complete_since = answered_at = now
        quiet = complete_since is not None and now - max(complete_since, watch.changed_at) >= _QUIET_S
        late = now - began > deadline_s
        if quiet or late:
            verdict = _judged(plan, target, watch, (answered_at if quiet else now) - began)
            waited = now - complete_since if complete_since is not None else 0.0
            if verdict.passed or late or waited > _GRACE_S:
                return verdict


def _judged(plan: Plan, target: Target, watch: Watch, elapsed_s: float) -> Verdict:
    return judge(plan, watch.outcomes, watch.dead_letters, fetch_ledger(target.carrier_url), elapsed_s)


def _progress(plan: Plan, watch: Watch, feed: Feed, pending: int, elapsed_s: float) -> Progress:
    return Progress(
        total=len(plan.events),
        published=feed.acknowledged,
        admitted=watch.admitted,
        states=watch.states,
        dead_letters=len(watch.dead_letters),
        open=max(watch.open, len(plan.events) - feed.acknowledged if not feed.done else 0),
        pending=pending,
        elapsed_s=elapsed_s,
    )
