"""Looking for proof about commands in doubt: when to ask the provider, and how often.

One look-up a person at a time; a command is asked about from `settle_after` on, when no call can be under way
any more, and held for a human after `hold_after`.
"""

import asyncio
from functools import partial
from typing import NamedTuple

import structlog

from schemas.records import JournalEntry
from schemas.vocabulary import CommandResult
from sinks.outbound.journal import Journal
from sinks.outbound.provider import FoundMessage, LookupFailed, Providers
from sinks.outbound.settle import CLOCKS_DIFFER_MS, Settlement, settle

log = structlog.get_logger(__name__)

PARALLEL = 4
"""Look-ups at the same time; each takes one of the provider's connections."""


class Proof(NamedTuple):
    command_id: str
    result: CommandResult
    sid: str | None
    detail: str


class Doubts:
    """Must be used on the running event loop. Times in seconds."""

    def __init__(self, providers: Providers, settle_after_s: float, hold_after_s: float) -> None:
        self._providers = providers
        self._settle_after_ms = int(settle_after_s * 1000)
        self._hold_after_ms = int(hold_after_s * 1000)
        self._proofs: dict[int, list[Proof]] = {}
        self._asked_at: dict[str, int] = {}
        self._asking: dict[tuple[int, str], asyncio.Task[None]] = {}

    def proofs(self, partition: int) -> list[Proof]:
        """What was found out since the last call."""
        return self._proofs.pop(partition, [])

    def drop(self, partition: int) -> None:
        self._proofs.pop(partition, None)
        for (place, _), task in self._asking.items():
            if place == partition:
                task.cancel()

    def look_up(self, partition: int, journal: Journal, under_way: frozenset[str], now: int) -> None:
        """Start the look-ups that are due."""
        for entry in journal.open_entries():
            if len(self._asking) >= PARALLEL:
                return
            place = (partition, entry.recipient)
            waits = entry.command_id in under_way or entry.state is CommandResult.HELD
            if waits or place in self._asking or now < self._due_at(entry):
                continue
            task = asyncio.get_running_loop().create_task(
                self._ask(partition, journal, entry, under_way, now)
            )
            self._asking[place] = task
            task.add_done_callback(partial(self._asked, place))

    def _asked(self, place: tuple[int, str], task: asyncio.Task[None]) -> None:
        if self._asking.get(place) is task:
            del self._asking[place]
        if not task.cancelled() and (failure := task.exception()) is not None:
            # Nothing was proved; it is asked again. The exception's text may hold what a person was written.
            log.error("a look-up ended unforeseen", error=type(failure).__name__)

    def _due_at(self, entry: JournalEntry) -> int:
        first = entry.started_at + self._settle_after_ms
        again = self._asked_at.get(entry.command_id, 0) + self._settle_after_ms // 2
        return max(first, again)

    async def _ask(
        self, partition: int, journal: Journal, entry: JournalEntry, under_way: frozenset[str], now: int
    ) -> None:
        asked = _alike(journal, entry)
        for each in asked:
            self._asked_at[each.command_id] = now
        found: tuple[FoundMessage, ...] | None = None
        try:
            earliest = min(each.started_at for each in asked)
            provider = self._providers.get(entry.provider)
            if provider is None:
                raise LookupFailed(f"no provider {entry.provider!r} here")
            found = await provider.find(entry, earliest - CLOCKS_DIFFER_MS)
        except LookupFailed as failed:
            log.warning("the provider could not be asked about a doubt", reason=str(failed))
        doubts = _alike(journal, entry)
        begun_meanwhile = {each.command_id for each in doubts} - {each.command_id for each in asked}
        settled: tuple[Settlement, ...] = ()
        # A call begun meanwhile may have made one of the messages: then the list proves nothing yet.
        if found is not None and not begun_meanwhile:
            settled = settle(
                doubts,
                found,
                journal.claimed,
                lambda each: (
                    each.command_id not in under_way and now >= each.started_at + self._settle_after_ms
                ),
            )
        known = {proof.command_id for proof in settled}
        proofs = self._proofs.setdefault(partition, [])
        proofs += [Proof(p.command_id, p.result, p.sid, "by look-up at the provider") for p in settled]
        proofs += [
            Proof(each.command_id, CommandResult.HELD, None, "neither found nor proved absent")
            for each in doubts
            if each.command_id not in known
            and each.command_id not in under_way
            and each.state is not CommandResult.HELD
            and now >= each.started_at + self._hold_after_ms
        ]
        for command_id in known:
            self._asked_at.pop(command_id, None)


def _alike(journal: Journal, entry: JournalEntry) -> list[JournalEntry]:
    """The open commands that a message like this one's may belong to."""
    place = _place(entry)
    return [each for each in journal.open_entries() if _place(each) == place]


def _place(entry: JournalEntry) -> tuple[str, str, str, str]:
    return entry.provider, entry.sender, entry.recipient, entry.channel
