"""One run: the processes at work, and what is done to them meanwhile.

Guarantees: bounded (`limit_s`); whatever happens is counted by how many commands have ended, so that a slow
machine is disturbed as often as a quick one, and at the same moments of the same seed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.admin import AdminClient

from notifystream import topic_apply
from sandbox.carrier.ledger import fetch_ledger, fetch_pending
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import DeadLetter
from schemas.topics import Topic, load_topics
from schemas.vocabulary import Priority
from sinks.outbound.config import GROUP
from tests import servers
from tests.chaos.fleet import Fleet
from tests.chaos.progress import progress
from tests.chaos.unread import unread
from tests.ingress.topic import TopicReader
from tests.kafka.broker import KafkaBroker
from tests.outbound.chaos.book import Book
from tests.outbound.chaos.callbacks import Callbacks
from tests.outbound.chaos.outside import Outside
from tests.outbound.chaos.terms import FROZEN_S, PARTITIONS, PROVIDER, SINK, Terms
from tests.outbound.chaos.verdict import Verdict, judge
from tests.outbound.simulator import simulating
from tests.waiting import wait_until

READY_S = 120.0
_OPEN_AT_ONCE = 4_000
# A broker that has just started is slow: it is not asked for everything at once.
_MORE_PER_S = 400
# Its next transaction, or its next word from the group, tells it.
_SEES_IT_WITHIN_S = 40.0
# What a process says that must end because another has its partitions or the broker leaves it alone.
_GIVING_UP = ("TurnFailed", "ConsentUnknown", "KafkaException")


class Disturbance(NamedTuple):
    """What happens when so many commands have ended."""

    ended: int
    what: str


class Unfinished(Exception):
    """The run did not come to its end in time; the message says what is open."""


class Result(NamedTuple):
    verdict: Verdict
    wrong: list[str]
    seconds: float
    judged_in: float
    story: list[str]


def disturbances(terms: Terms) -> list[Disturbance]:
    chance = random.Random(terms.seed)

    def moment(first: float, last: float) -> int:
        return int(terms.commands * chance.uniform(first, last))

    found = [Disturbance(moment(0.03, 0.9), "kill") for _ in range(terms.kills)]
    if terms.freeze:
        # Early enough that it wakes up while there is still something that it could spoil.
        found.append(Disturbance(moment(0.1, 0.35), "freeze"))
    if terms.third:
        found.append(Disturbance(terms.commands // 2, "third"))
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
        callbacks = stack.enter_context(Callbacks())
        seed = ("--seed", str(terms.seed % 2**31))
        simulator = stack.enter_context(simulating(directory / "carrier.log", *PROVIDER, *seed))
        options = _options(broker, registry, simulator.url, callbacks, terms)

        def arguments(name: str) -> list[str]:
            return ["tests.outbound.chaos.serve", "--exit-with-stdin", "--instance", name, *options]

        fleet = stack.enter_context(Fleet(directory, arguments, _GIVING_UP))
        for name in ("first", "second"):
            fleet.start(name)
        wait_until(lambda: all(map(fleet.ready, fleet.names)), READY_S, "the processes to be ready")
        book = stack.enter_context(closing(Book(kafka, codec)))
        chaos = _Chaos(terms, fleet)
        with Outside(kafka, codec, book, callbacks, terms.seed, terms.commands) as outside:
            _work(terms, kafka, chaos, fleet, outside, book, started)
        fleet.stop()
        while book.read(1.0):
            pass
        judging = time.monotonic()
        wait_until(lambda: fetch_pending(simulator.url).total == 0, 60, "the provider to be at its end")
        with TopicReader(broker.bootstrap, registry.address) as reader:
            letters = [letter for _, letter in reader.all(Topic.DEAD_LETTERS, DeadLetter)]
        judged = judge(outside.stories, book.told, fetch_ledger(simulator.url), outside.unreadable, letters)
        now = time.monotonic()
        story = [*chaos.story, f"{callbacks.heard} callbacks, {outside.evidence} of them written as evidence"]
        return Result(judged, judged.wrong + chaos.unexpected, judging - started, now - judging, story)


def _options(
    broker: KafkaBroker, registry: servers.Server, api: str, callbacks: Callbacks, terms: Terms
) -> tuple[str, ...]:
    addresses = ("--bootstrap", broker.bootstrap, "--registry", registry.address, "--api", api)
    sabotage = ("--sabotage", terms.sabotage) if terms.sabotage is not None else ()
    return (*addresses, "--public", callbacks.url, *SINK, *sabotage)


class _Chaos:
    """What is done to the processes."""

    def __init__(self, terms: Terms, fleet: Fleet) -> None:
        self.story: list[str] = []
        self.unexpected: list[str] = []
        self._to_come = disturbances(terms)
        self._fleet = fleet
        self._started = time.monotonic()
        self._thaw_at = 0.0
        self._zombies: set[str] = set()
        self._turn = 0

    @property
    def over(self) -> bool:
        return not self._to_come and not self._fleet.frozen and not self._zombies

    def disturb(self, ended: int) -> None:
        now = time.monotonic()
        if self._fleet.frozen and now >= self._thaw_at:
            for name in tuple(self._fleet.frozen):
                self._fleet.thaw(name)
                self._zombies.add(name)
                self._thaw_at = now
                self._tell(f"{name} goes on, after others took its senders over", ended)
        if self._zombies and now >= self._thaw_at + _SEES_IT_WITHIN_S:
            self.unexpected += [f"{name} did not see that it was replaced" for name in self._zombies]
            self._zombies.clear()
        for each in self._fleet.tend():
            self._mourn(each.name, each.gave_up, each.code, each.last_words, ended)
        while self._to_come and self._to_come[0].ended <= ended:
            victim = self._next()
            if victim is None:
                return  # later, when one is whole again
            match self._to_come.pop(0).what:
                case "kill":
                    self._fleet.kill(victim)
                    self._tell(f"kill -9 of {victim}", ended)
                case "third":
                    self._fleet.start("third")
                    self._tell("a third joins", ended)
                case "freeze":
                    self._fleet.freeze(victim)
                    self._thaw_at = now + FROZEN_S
                    self._tell(f"{victim} stands still for {FROZEN_S:g} s", ended)

    def _next(self) -> str | None:
        """Whose turn it is: neither a frozen one nor one that has yet to see that it was replaced."""
        whole = [name for name in self._fleet.names if name not in self._fleet.frozen | self._zombies]
        self._turn += 1
        return whole[self._turn % len(whole)] if whole else None

    def _mourn(self, name: str, gave_up: bool, code: int, last_words: str, ended: int) -> None:
        if name in self._zombies and gave_up:
            self._zombies.discard(name)
            self._tell(f"{name} sees that it was replaced and ends; started again", ended)
        elif gave_up:
            self._tell(f"{name} gave up and was started again", ended)
        else:
            self.unexpected.append(f"{name} ended by itself with code {code}; its log ended:\n{last_words}")

    def _tell(self, what: str, ended: int) -> None:
        self.story.append(f"{time.monotonic() - self._started:6.1f} s, {ended} ended: {what}")


def _work(
    terms: Terms, kafka: Kafka, chaos: _Chaos, fleet: Fleet, outside: Outside, book: Book, started: float
) -> None:
    begun = time.monotonic()
    with progress() as show:
        while True:
            came = book.read(0.2)
            chaos.disturb(book.ended)
            open_at_once = min(_OPEN_AT_ONCE, int((time.monotonic() - begun) * _MORE_PER_S))
            outside.allowed = min(terms.commands, book.ended + open_at_once)
            show(
                f"{time.monotonic() - started:4.0f} s  commanded {len(outside.stories)}  "
                f"ended {book.ended} of {terms.commands}  doubts {len(book.doubted)}  "
                f"kills {len(fleet.kills)}" + ("  one stands still" if fleet.frozen else "")
            )
            is_done = outside.done and chaos.over and book.ended == terms.commands and not came
            if is_done and not _left(kafka):
                return
            if time.monotonic() - started > terms.limit_s:
                raise Unfinished(_what_is_open(terms, kafka, outside, book, chaos))


def _what_is_open(terms: Terms, kafka: Kafka, outside: Outside, book: Book, chaos: _Chaos) -> str:
    still = []
    for command_id, told in list(outside.stories.items()):  # the thread may still be writing
        results = [event.result.value for event in book.told.get(command_id, ())]
        if not results or results[-1] == "in_doubt":
            still.append(f"{command_id} ({told.kind.value}): {' then '.join(results) or 'never told of'}")
    return (
        f"not at its end after {terms.limit_s:g} s: {len(outside.stories)} of {terms.commands} commanded, "
        f"{len(still)} still open{', such as' if still else ''}\n"
        + "\n".join(still[:5])
        + f"\nunread: {', '.join(_left(kafka)) or 'nothing'}\n"
        + "\n".join([*chaos.story, *chaos.unexpected])
    )


def _left(kafka: Kafka) -> list[str]:
    return unread(kafka, GROUP, map(Topic.commands, Priority), PARTITIONS)


def lines(result: Result, most: int = 20) -> Iterable[str]:
    """The result for people."""
    yield from result.story
    yield str(result.verdict)
    yield f"ran {result.seconds:.0f} s, judged in {result.judged_in:.0f} s"
    if result.wrong:
        yield f"WRONG in {len(result.wrong)} ways:"
        yield from (f"- {each[:1_500]}" for each in result.wrong[:most])
    else:
        yield "no command reached a handset twice, none was lost, every held one is explained"
