"""One run: the sinks at work, and what is done to them and to the database meanwhile.

Guarantees: bounded (`limit_s`); whatever happens is counted in rows landed, so that a slow machine is
disturbed as often as a quick one. Leaves to `judge` what is right.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.clients import Kafka
from schemas.codec import Codec
from tests import servers
from tests.analytics.chaos import verdict
from tests.analytics.chaos.backlog import Backlog
from tests.analytics.chaos.database import Database
from tests.analytics.chaos.judge import Case, Judge
from tests.analytics.chaos.outside import Outside
from tests.analytics.chaos.plan import planned
from tests.analytics.chaos.shapes import TABLES
from tests.analytics.chaos.tables import LookedUp
from tests.analytics.chaos.terms import LANDS, NOWHERE, PARTITIONS, Terms
from tests.chaos.fleet import Fleet
from tests.chaos.progress import progress
from tests.kafka.broker import KafkaBroker
from tests.waiting import wait_until

READY_S = 120.0
_BATCH_S = 0.25
_TURN_S = 0.1
_LOOKED_UP_EVERY_S = 1.0
# One row for each record that can be read, whatever happens: what the moments are counted in.
_COUNTED = ("status_events", "attempts", "requests", "inbound", "consent_changes")
# Of all events so many are such rows at least: so the last moment comes before the last row.
_AT_LEAST = 0.62


class Disturbance(NamedTuple):
    """What happens when so many rows have landed."""

    landed: int
    what: str


class Unfinished(Exception):
    """The run did not come to its end in time, or not as it should; the message says what is open."""


@dataclass(frozen=True, slots=True)
class Result:
    verdict: verdict.Verdict
    wrong: list[str]
    seconds: float
    judged_in: float
    story: list[str]


def disturbances(terms: Terms) -> list[Disturbance]:
    """One kill in each of as many equal stretches of what lands, at a moment of its own."""
    chance = random.Random(terms.seed)
    most = terms.events * _AT_LEAST
    found = [
        Disturbance(int(most * (0.02 + 0.93 * (number + chance.random()) / terms.kills)), "kill")
        for number in range(terms.kills)
    ]
    if terms.away_s:
        found.append(Disturbance(int(most * chance.uniform(0.3, 0.6)), "database"))
    found += [Disturbance(int(most * chance.uniform(0.1, 0.9)), "blink") for _ in range(terms.blinks)]
    if terms.third:
        found.append(Disturbance(int(most * 0.5), "third"))
    return sorted(found)


def run(terms: Terms, directory: Path) -> Result:
    """Raises Unfinished, and what the broker, the database, the sinks, the outside or the judge raise."""
    started = time.monotonic()
    with ExitStack() as stack:
        registry = stack.enter_context(servers.running("sandbox.registry", log=directory / "registry.log"))
        broker = stack.enter_context(KafkaBroker(directory / "kafka"))
        kafka = Kafka(bootstrap_servers=broker.bootstrap)
        _create_topics(kafka)
        codec = stack.enter_context(closing(Codec(registry.address)))
        database = stack.enter_context(Database(directory))

        def arguments(name: str) -> list[str]:
            servers_ = ["--bootstrap", broker.bootstrap, "--registry", registry.address]
            batches = ["--batch-rows", str(terms.batch_rows), "--batch-s", str(_BATCH_S)]
            sabotage = ["--sabotage", terms.sabotage] if terms.sabotage is not None else []
            return [
                "tests.analytics.chaos.serve",
                *(*servers_, "--clickhouse", database.url, *batches, *sabotage),
            ]

        fleet = stack.enter_context(Fleet(directory, arguments, giving_up=()))
        for name in ("first", "second"):
            fleet.start(name)
        judge = stack.enter_context(Judge(kafka, registry.address))
        wait_until(lambda: all(map(fleet.ready, fleet.names)), READY_S, "the sinks to be ready")
        backlog = stack.enter_context(closing(Backlog(kafka)))
        chaos = _Chaos(terms, fleet, database)
        records = planned(terms.seed, terms.events, terms.base_ms, codec, chaos.looked_up.append)
        with Outside(kafka, records) as outside:
            _work(terms, chaos, outside, backlog, started)
        fleet.stop()
        judging = time.monotonic()
        ends = backlog.ends()
        judged = judge.verdict(Case(database.url, ends, chaos.looked_up, outside.poison))
        wrong = judged.wrong + chaos.unexpected
        if judged.records != sum(ends.values()) or judged.records < terms.events:
            wrong.append(
                f"{terms.events} records were to be written, {sum(ends.values())} are in the topics, and "
                f"{judged.records} were read"
            )
        ever = ", ".join(f"{name} {rows:,}" for name, rows in database.answers.count(_names()).items())
        now = time.monotonic()
        story = [*chaos.story, f"rows before the last merges: {ever}"]
        return Result(judged, wrong, judging - started, now - judging, story)


def _create_topics(kafka: Kafka) -> None:
    """Nothing is compacted away: every record that a sink may have read is there to be recomputed."""
    admin = AdminClient(dict(kafka.client("chaos")))
    wanted = [NewTopic(topic, PARTITIONS, 1) for topic in LANDS] + [NewTopic(NOWHERE, 1, 1)]
    for creation in admin.create_topics(wanted).values():
        creation.result(30)


def _names() -> tuple[str, ...]:
    return tuple(shape.name for shape in TABLES)


class _Chaos:
    """What is done to the sinks and to the database."""

    def __init__(self, terms: Terms, fleet: Fleet, database: Database) -> None:
        self.story: list[str] = []
        self.unexpected: list[str] = []
        self.landed = 0
        self._to_come = disturbances(terms)
        self._away_s = terms.away_s
        self._fleet, self._database = fleet, database
        self._started = time.monotonic()
        self._back_at: float | None = None
        self._kill_at: float | None = None
        self._struck_at = -1
        self.looked_up: list[LookedUp] = []
        """What look-ups told so far; filled from the outside, in the order of the plan."""
        self._given = 0
        self._given_at = self._started

    @property
    def over(self) -> bool:
        return not self._to_come and self._back_at is None

    @property
    def away(self) -> bool:
        return self._back_at is not None

    @property
    def kills(self) -> int:
        return len(self._fleet.kills)

    def disturb(self) -> None:
        now = time.monotonic()
        for each in self._fleet.tend():
            self.unexpected.append(
                f"{each.name} ended by itself with code {each.code}; its log ended:\n{each.last_words}"
            )
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            self._kill("while the database is away")
        if self._back_at is not None:
            if now < self._back_at:
                return
            self._database.start()
            self._back_at = None
            self._tell("the database is back")
        self.landed = sum(self._database.answers.count(_COUNTED).values())
        # Only while rows flow: two kills at once would be one.
        if self._to_come and self._to_come[0].landed <= self.landed and self.landed > self._struck_at:
            self._struck_at = self.landed
            self._strike(self._to_come.pop(0).what, now)

    def look_up(self) -> None:
        """Put what was told since into its table, now and then, as `notifystream carriers` does."""
        now = time.monotonic()
        told = self.looked_up[self._given :]
        if told and not self.away and now - self._given_at >= _LOOKED_UP_EVERY_S:
            self._database.look_up(told)
            self._given, self._given_at = self._given + len(told), now

    def none_left(self) -> None:
        """All is committed; whatever had yet to come never will."""
        late = [each.what for each in self._to_come]
        if late:
            self.unexpected.append(f"too few rows landed for what was yet to come: {', '.join(late)}")
        self._to_come = []
        # What is told last is told when all the outcomes have landed.
        self._given_at = 0.0
        self.look_up()
        self._tell(f"{len(self.looked_up):,} look-ups told")

    def _strike(self, what: str, now: float) -> None:
        match what:
            case "kill":
                self._kill()
            case "third":
                self._fleet.start("third")
                self._tell("a third joins")
            case "blink":
                self._database.kill()
                self._database.start()
                self._tell("the database is killed and started again")
            case "database":
                self._database.kill()
                self._back_at = now + self._away_s
                self._kill_at = now + self._away_s / 2
                self._tell(f"the database is killed, for {self._away_s:g} s")

    def _kill(self, when: str = "") -> None:
        name = self._fleet.names[self.kills % len(self._fleet.names)]
        self._fleet.kill(name)
        self._tell(f"kill -9 of {name} {when}".strip())

    def _tell(self, what: str) -> None:
        self.story.append(f"{time.monotonic() - self._started:6.1f} s, {self.landed:,} landed: {what}")


def _work(terms: Terms, chaos: _Chaos, outside: Outside, backlog: Backlog, started: float) -> None:
    with progress() as show:
        while True:
            chaos.disturb()
            done = outside.done
            left = backlog.records()
            outside.allow(outside.written + terms.most_unread - left)
            if not done:
                chaos.look_up()
            show(
                f"{time.monotonic() - started:4.0f} s  written {outside.written:,} of {terms.events:,}  "
                f"landed {chaos.landed:,}  unread {left:,}  kills {chaos.kills}"
                + ("  the database is away" if chaos.away else "")
            )
            if done and not left and not chaos.away:
                chaos.disturb()
                chaos.none_left()
                return
            if time.monotonic() - started > terms.limit_s:
                raise Unfinished(
                    f"not at its end after {terms.limit_s:g} s: {outside.written:,} of {terms.events:,} "
                    f"written, {chaos.landed:,} rows landed, {left:,} records not committed\n"
                    + "\n".join([*chaos.story, *chaos.unexpected])
                )
            time.sleep(_TURN_S)


def lines(result: Result, most: int = 20) -> Iterable[str]:
    """The result for people."""
    yield from result.story
    yield str(result.verdict)
    yield f"ran {result.seconds:.0f} s, judged in {result.judged_in:.0f} s"
    if result.wrong:
        yield f"WRONG in {len(result.wrong)} ways:"
        yield from (f"- {each[:5_000]}" for each in result.wrong[:most])
    else:
        yield "every table and view equals the recomputation, to the row"
