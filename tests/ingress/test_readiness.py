"""Ready means that a webhook can be kept now, at the broker or in the journal; what is amiss is said."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingress.errors import BrokerAway
from ingress.journal import Entry, Journal, JournalFull
from ingress.readiness import ReadinessCheck
from tests.ingress.fake_broker import TOPIC, journal_in

pytestmark = pytest.mark.anyio

LONGEST_S = 10.0
NEVER_S = 600.0


class Broker:
    """Counts its questions, and answers each when it is let go."""

    def __init__(self) -> None:
        self.away = False
        self.questions = 0
        self.let_go = threading.Event()
        self.let_go.set()

    def ask_broker(self, timeout_s: float) -> None:
        self.questions += 1
        assert self.let_go.wait(LONGEST_S)
        if self.away:
            raise BrokerAway("no Kafka broker answered")


@dataclass(slots=True)
class Schemas:
    """As the encoder says."""

    why_not: str | None = None
    registry_trouble: str | None = None


@dataclass(slots=True)
class Asked:
    """A check and what it asks."""

    check: ReadinessCheck
    broker: Broker
    schemas: Schemas
    journal: Journal

    async def fill(self) -> None:
        """The journal takes nothing more."""
        appended = [self.journal.append(Entry(TOPIC, "k", b"x" * 400, 0)) for _ in range(10)]
        results = await asyncio.gather(*appended, return_exceptions=True)
        assert isinstance(results[-1], JournalFull)
        assert self.journal.trouble is not None


@asynccontextmanager
async def asking(directory: Path, *, valid_s: float = 0.0) -> AsyncIterator[Asked]:
    async with journal_in(directory / "journal", most_bytes=2000) as journal:
        broker, schemas = Broker(), Schemas()
        check = ReadinessCheck(broker, schemas, journal, valid_s=valid_s)
        yield Asked(check, broker, schemas, journal)


async def test_with_everything_well_it_is_ready_and_nothing_is_amiss(tmp_path: Path) -> None:
    async with asking(tmp_path) as asked:
        found = await asked.check.check()
        assert found.ready
        assert (found.broker, found.registry, found.journal.trouble) == (None, None, None)


async def test_without_a_broker_it_stays_ready_as_long_as_the_journal_takes_entries(tmp_path: Path) -> None:
    async with asking(tmp_path) as asked:
        asked.broker.away = True
        found = await asked.check.check()
        assert (found.ready, found.broker) == (True, "no Kafka broker answered")
        await asked.fill()
        found = await asked.check.check()
        assert (found.ready, found.journal.trouble) == (False, asked.journal.trouble)


async def test_with_a_broker_a_journal_that_takes_nothing_is_told_and_it_stays_ready(tmp_path: Path) -> None:
    async with asking(tmp_path) as asked:
        await asked.fill()
        found = await asked.check.check()
        assert (found.ready, found.journal.trouble) == (True, asked.journal.trouble)


async def test_without_the_ids_of_the_schemas_it_is_not_ready(tmp_path: Path) -> None:
    async with asking(tmp_path) as asked:
        asked.schemas.why_not = asked.schemas.registry_trouble = "the registry is away"
        found = await asked.check.check()
        assert (found.ready, found.registry) == (False, "the registry is away")


async def test_with_remembered_ids_it_is_ready_and_the_registry_s_trouble_is_told(tmp_path: Path) -> None:
    async with asking(tmp_path) as asked:
        asked.schemas.registry_trouble = "the registry is away"
        found = await asked.check.check()
        assert (found.ready, found.registry) == (True, "the registry is away")


async def test_it_shows_how_much_is_in_the_journal_and_how_old(tmp_path: Path) -> None:
    async with asking(tmp_path) as asked:
        hour_ago = int(time.time() * 1000) - 3_600_000
        await asked.journal.append(Entry(TOPIC, "k", b"v", hour_ago))
        state = (await asked.check.check()).journal
        assert (state.entries, state.size_bytes) == (1, asked.journal.size_bytes)
        assert 3600 <= state.oldest_age_s < 3660


async def test_however_often_it_is_asked_the_broker_is_asked_once_in_its_time(tmp_path: Path) -> None:
    async with asking(tmp_path, valid_s=NEVER_S) as asked:
        answers = await asyncio.gather(*(asked.check.check() for _ in range(20)))
        assert set(answers) == {answers[0]}
        assert asked.broker.questions == 1


async def test_an_answer_that_is_too_old_is_not_given_again(tmp_path: Path) -> None:
    async with asking(tmp_path, valid_s=0.0) as asked:
        assert (await asked.check.check()).broker is None
        asked.broker.away = True
        assert (await asked.check.check()).broker is not None


async def test_a_broker_that_takes_its_time_holds_up_only_who_asks(tmp_path: Path) -> None:
    async with asking(tmp_path, valid_s=NEVER_S) as asked:
        asked.broker.let_go.clear()
        first, second = (asyncio.create_task(asked.check.check()) for _ in range(2))
        async with asyncio.timeout(LONGEST_S):
            while not asked.broker.questions:  # noqa: ASYNC110 # the loop goes on: that is the point
                await asyncio.sleep(0.001)
        assert not first.done()
        asked.broker.let_go.set()
        assert await first is await second
        assert asked.broker.questions == 1
