"""One run: the processes at work, and what is done to them meanwhile.

Guarantees: bounded (`limit_s`); whatever happens is counted by how many notifications have ended, so that a
slow machine is disturbed as often as a quick one, and at the same moments of the same seed.
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

from notifystream import topic_apply
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.topics import load_topics
from streams.config import APP_ID
from streams.processors import Delivery, Intake, Recipients
from tests import servers
from tests.chaos.fleet import Fleet
from tests.chaos.progress import progress
from tests.chaos.unread import unread
from tests.kafka.broker import KafkaBroker
from tests.streams.chaos import verdict
from tests.streams.chaos.book import Book
from tests.streams.chaos.judging import Server
from tests.streams.chaos.outside import Outside
from tests.streams.chaos.terms import PARTITIONS
from tests.waiting import wait_until

LIMIT_S = 900.0
READY_S = 120.0
STANDSTILL_S = 20.0
# A process that lost the broker ends by itself; so long after the standstill that is no defect.
_AFTERMATH_S = 40.0
_OPEN_AT_ONCE = 3_000
# A broker that has just started is slow: it is not asked for everything at once.
_MORE_PER_S = 150
# What a process says that the broker has left without an answer.
_GIVING_UP = ("reason=OutputsFailed(", "reason=LeaseLost(")
_READ = (*Intake.inputs, *Delivery.inputs, *Recipients.inputs)


@dataclass(frozen=True, slots=True)
class Terms:
    """How many are asked and killed; whether the broker stands still, and whether a third process joins."""

    seed: int
    notifications: int = 20_000
    kills: int = 5
    standstill: bool = True
    third: bool = True
    sabotage: str | None = None
    limit_s: float = LIMIT_S


class Disturbance(NamedTuple):
    """What happens when so many notifications have ended."""

    ended: int
    what: str


class Unfinished(Exception):
    """The run did not come to its end in time, or not as it should; the message says what is open."""


class Result(NamedTuple):
    verdict: verdict.Verdict
    wrong: list[str]
    seconds: float
    judged_in: float
    story: list[str]


def disturbances(terms: Terms) -> list[Disturbance]:
    chance = random.Random(terms.seed)

    def moment(first: float, last: float) -> int:
        return int(terms.notifications * chance.uniform(first, last))

    found = [Disturbance(moment(0.03, 0.9), "kill") for _ in range(terms.kills)]
    if terms.standstill:
        found.append(Disturbance(moment(0.2, 0.7), "standstill"))
    if terms.third:
        found.append(Disturbance(terms.notifications // 2, "third"))
    return sorted(found)


def run(terms: Terms, directory: Path) -> Result:
    """Raises Unfinished, and what the broker, the processes or the outside raise."""
    started = time.monotonic()
    with ExitStack() as stack:
        registry = stack.enter_context(servers.running("sandbox.registry", log=directory / "registry.log"))
        broker = stack.enter_context(KafkaBroker(directory / "kafka"))
        kafka = Kafka(bootstrap_servers=broker.bootstrap)
        applied = topic_apply.apply(AdminClient(dict(kafka.client("chaos"))), registry.address, load_topics())
        assert applied.in_order, applied
        codec = stack.enter_context(closing(Codec(registry.address)))
        options = ["--bootstrap", broker.bootstrap, "--registry", registry.address]
        if terms.sabotage is not None:
            options += ["--sabotage", terms.sabotage]

        def datadir(name: str) -> Path:
            return directory / f"data-{name}"

        def arguments(name: str) -> list[str]:
            own = ["--instance", name, "--datadir", str(datadir(name))]
            return ["tests.streams.chaos.serve", *options, *own]

        fleet = stack.enter_context(Fleet(directory, arguments, _GIVING_UP))
        for name in ("first", "second"):
            fleet.start(name)
        wait_until(lambda: all(map(fleet.ready, fleet.names)), READY_S, "the processes to be ready")
        book = stack.enter_context(closing(Book(kafka, codec)))
        with Outside(kafka, codec, terms.seed, terms.notifications) as outside:
            chaos = _Chaos(terms, broker, fleet)
            _work(terms, kafka, chaos, fleet, outside, book, started)
        fleet.stop()
        while book.read(1.0):
            pass
        judging = time.monotonic()
        datadirs = [datadir(name) for name in fleet.names]
        judged = verdict.judge(Server(kafka, registry.address), outside.unreadable, datadirs, directory)
        wrong = judged.wrong + book.check(outside.stories) + outside.strange + chaos.unexpected()
        if outside.copies:
            wrong.append(f"{outside.copies} commands were seen twice")
        now = time.monotonic()
        story = [*chaos.story, *(f"{each.name} gave up and was started again" for each in fleet.ended)]
        return Result(judged, wrong, judging - started, now - judging, story)


class _Chaos:
    """What is done to the processes and to the broker."""

    def __init__(self, terms: Terms, broker: KafkaBroker, fleet: Fleet) -> None:
        self.story: list[str] = []
        self._to_come = disturbances(terms)
        self._broker, self._fleet = broker, fleet
        self._started = time.monotonic()
        self._resume_at: float | None = None
        self._stood_still: tuple[float, float] | None = None
        self._turn = 0

    @property
    def over(self) -> bool:
        return not self._to_come and self._resume_at is None

    @property
    def standing_still(self) -> bool:
        return self._resume_at is not None

    def disturb(self, ended: int) -> None:
        now = time.monotonic()
        if self._resume_at is not None:
            if now < self._resume_at:
                return
            self._broker.resume()
            self._resume_at = None
            self._stood_still = (now - STANDSTILL_S, time.monotonic())
            self._tell("the broker goes on", ended)
        while self._to_come and self._to_come[0].ended <= ended:
            what = self._to_come.pop(0).what
            match what:
                case "kill":
                    name = self._fleet.names[self._turn % len(self._fleet.names)]
                    self._turn += 1
                    self._fleet.kill(name)
                    self._tell(f"kill -9 of {name}", ended)
                case "third":
                    self._fleet.start("third")
                    self._tell("a third joins", ended)
                case "standstill":
                    self._broker.pause()
                    self._resume_at = now + STANDSTILL_S
                    self._tell(f"the broker stands still for {STANDSTILL_S:g} s", ended)
                    return

    def unexpected(self) -> list[str]:
        """Processes that ended by themselves, and not because the broker left them without an answer."""
        begun, over = self._stood_still or (0.0, 0.0)
        return [
            f"{each.name} ended by itself with exit code {each.code}; its log ended:\n{each.last_words}"
            for each in self._fleet.ended
            if not each.gave_up and not begun <= each.at <= over + _AFTERMATH_S
        ]

    def _tell(self, what: str, ended: int) -> None:
        self.story.append(f"{time.monotonic() - self._started:6.1f} s, {ended} ended: {what}")


def _work(
    terms: Terms, kafka: Kafka, chaos: _Chaos, fleet: Fleet, outside: Outside, book: Book, started: float
) -> None:
    begun = time.monotonic()
    with progress() as show:
        while True:
            came = book.read(0.2)
            fleet.tend()
            chaos.disturb(book.final)
            open_at_once = min(_OPEN_AT_ONCE, int((time.monotonic() - begun) * _MORE_PER_S))
            outside.allowed = min(terms.notifications, book.final + open_at_once)
            show(
                f"{time.monotonic() - started:4.0f} s  asked {len(outside.stories)}  "
                f"commanded {outside.commands}  ended {book.final} of {terms.notifications}  "
                f"kills {len(fleet.kills)}" + ("  the broker stands still" if chaos.standing_still else "")
            )
            is_done = outside.done and chaos.over and book.final == terms.notifications and not came
            if is_done and not _left(kafka):
                return
            if time.monotonic() - started > terms.limit_s:
                raise Unfinished(_what_is_open(terms, kafka, outside, book, chaos, fleet))


def _what_is_open(
    terms: Terms, kafka: Kafka, outside: Outside, book: Book, chaos: _Chaos, fleet: Fleet
) -> str:
    still = []
    for notification, told in list(outside.stories.items()):  # the thread may still be asking
        entry = book.entries.get(notification)
        if entry is None or not entry.state.final:
            stands = "never told of" if entry is None else entry.state.value
            still.append(f"{notification} ({told.fate.value}): {stands}")
    ended = "".join(f"\n{each.name} ended with {each.code}:\n{each.last_words}" for each in fleet.ended)
    left = "none" if chaos.standing_still else ", ".join(_left(kafka)) or "none"
    return (
        f"not at its end after {terms.limit_s:g} s: {len(outside.stories)} of {terms.notifications} asked, "
        f"{len(still)} still open{', such as' if still else ''}\n"
        + "\n".join(still[:5])
        + f"\nunread inputs: {left}\n"
        + "\n".join(chaos.story)
        + ended
    )


def _left(kafka: Kafka) -> list[str]:
    return unread(kafka, APP_ID, _READ, PARTITIONS)


def lines(result: Result, most: int = 20) -> Iterable[str]:
    """The result for people."""
    yield from result.story
    yield str(result.verdict)
    yield f"ran {result.seconds:.0f} s, judged in {result.judged_in:.0f} s"
    if result.wrong:
        yield f"WRONG in {len(result.wrong)} ways:"
        yield from (f"- {each[:1_500]}" for each in result.wrong[:most])
    else:
        yield "nothing missing, nothing extra"
