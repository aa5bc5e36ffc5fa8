"""Against a plain list: any order of appends, reads, forgetting, disk errors, restarts and crashes."""

from __future__ import annotations

import asyncio
import errno
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingress.journal import Journal, JournalError, Kept
from tests.ingress.journal.entries import entry, everything, number_of, numbers
from tests.ingress.journal.faulty import Failing

MOST_BYTES = 20_000
SEGMENT_BYTES = 400
KEYS = 5


class JournalAgainstAList(RuleBasedStateMachine):
    """`there` is what must come out, `maybe` what may come out only after a crash; both hold numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.root = Path(tempfile.mkdtemp(prefix="journal-"))
        self.disk = Failing()
        self.lives = 0
        self.next = 0
        self.there: list[int] = []
        self.maybe: set[int] = set()
        self.waiting: dict[int, asyncio.Future[None]] = {}
        self.directory = self.root / "0"
        self.journal = self.opened()

    def opened(self) -> Journal:
        async def start() -> Journal:
            journal = Journal.open(
                self.directory,
                most_bytes=MOST_BYTES,
                segment_bytes=SEGMENT_BYTES,
                probe_s=60,
                disk=self.disk,
            )
            journal.start()
            return journal

        return self.runner.run(start())

    def key(self, number: int) -> str:
        return f"key-{number % KEYS}"

    def settle(self) -> None:
        """Wait for what was appended, and book it."""

        async def wait() -> list[BaseException | None]:
            return await asyncio.gather(*self.waiting.values(), return_exceptions=True)

        for number, outcome in zip(list(self.waiting), self.runner.run(wait()), strict=True):
            if outcome is None:
                self.there.append(number)
            else:
                assert isinstance(outcome, JournalError), outcome
                self.maybe.add(number)
        self.waiting = {}

    def read(self, most: int) -> list[Kept]:
        return self.runner.run(self.journal.head(most))

    @rule(count=st.integers(1, 12), size=st.integers(0, 150), wait=st.booleans())
    def append(self, count: int, size: int, wait: bool) -> None:
        async def hand_over() -> None:
            for number in range(self.next, self.next + count):
                self.waiting[number] = self.journal.append(entry(number, key=self.key(number), size=size))

        self.runner.run(hand_over())
        self.next += count
        if wait:
            self.settle()

    @rule(
        error=st.sampled_from(["create", "write", "sync", "sync_directory", "truncate", "unlink", "replace"])
    )
    def disk_fails(self, error: str) -> None:
        self.disk.errors[error] = errno.EIO

    @precondition(lambda self: self.disk.errors)
    @rule()
    def disk_works(self) -> None:
        self.disk.errors = {}

    @rule(most=st.integers(1, 30), choice=st.integers(0, 2**32), all_of_it=st.booleans())
    def forget_some(self, most: int, choice: int, all_of_it: bool) -> None:
        async def forget() -> list[Kept]:
            head = await self.journal.head(most)
            # Not drawn one by one: how many there are depends on how far the disk is.
            chance = random.Random(choice)
            gone = head if all_of_it else [one for one in head if chance.random() < 0.5]
            self.journal.forget(gone)
            return gone

        booked = set(self.there) | set(self.waiting)
        for one in self.runner.run(forget()):
            number = number_of(one)
            assert number in booked
            self.maybe.add(number)
            if number in self.waiting:  # on the disk, though its future was not looked at yet
                self.settle()
            self.there.remove(number)

    @rule()
    def restart(self) -> None:
        self.runner.run(self.journal.close())
        self.settle()
        self.disk.errors = {}
        self.journal = self.opened()
        self.come_back()

    @rule(most=st.integers(1, 30))
    def crash(self, most: int) -> None:
        """Go on with what is on the disk at some moment, while the journal is at work."""
        self.lives += 1
        copy = self.root / str(self.lives)

        async def forget_and_copy() -> set[int]:
            gone = await self.journal.head(most)
            self.journal.forget(gone)
            await asyncio.to_thread(copied, self.directory, copy)
            return {number_of(one) for one in gone}

        confirmed = {number for number, future in self.waiting.items() if future.done()}
        confirmed = {number for number in confirmed if self.waiting[number].exception() is None}
        forgotten = self.runner.run(forget_and_copy())
        must = (set(self.there) | confirmed) - forgotten
        self.runner.run(self.journal.close())
        self.settle()
        self.maybe |= set(self.there) - must | forgotten
        self.there = sorted(must)
        self.disk.errors = {}
        self.directory = copy
        self.journal = self.opened()
        self.come_back()

    def come_back(self) -> None:
        """What came out after a start is from now on what is there."""
        found = numbers(self.runner.run(everything(self.journal)))
        assert found == sorted(set(found))
        assert set(self.there) <= set(found) <= set(self.there) | self.maybe
        self.maybe -= set(found)
        self.there = found

    @invariant()
    def what_comes_out_is_what_is_there(self) -> None:
        assert self.journal.damaged == 0
        before = set(self.waiting)
        found = numbers(self.read(1_000_000))
        assert [number for number in found if number not in before] == [
            number for number in self.there if number not in before
        ]
        assert found == sorted(found)

    @invariant()
    def keys_of_all_that_is_there_are_held(self) -> None:
        for number in (*self.there, *(n for n, future in self.waiting.items() if not future.done())):
            assert self.journal.holds("twilio.status", self.key(number))

    @precondition(lambda self: not self.waiting)
    @invariant()
    def the_books_are_right(self) -> None:
        assert self.journal.depth == len(self.there)
        held = {key for key in map(self.key, range(KEYS)) if self.journal.holds("twilio.status", key)}
        assert held == {self.key(number) for number in self.there}
        assert self.journal.size_bytes <= MOST_BYTES + SEGMENT_BYTES

    def teardown(self) -> None:
        try:
            self.runner.run(self.journal.close())
            self.settle()
        finally:
            self.runner.close()
            shutil.rmtree(self.root)


def copied(directory: Path, to: Path) -> None:
    """A copy of the files as they are; some may be deleted, and some grow, meanwhile."""
    to.mkdir()
    for file in sorted(directory.iterdir()):
        try:
            shutil.copy(file, to / file.name)
        except FileNotFoundError:
            continue


TestJournalAgainstAList = JournalAgainstAList.TestCase
TestJournalAgainstAList.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
