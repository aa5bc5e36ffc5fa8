"""Looking for proof about commands in doubt: when to ask the provider, and how often.

One look-up a person at a time; a command is asked about from `settle_after` on, when no call can be under way
any more, and held for a person after `hold_after`. What is held is asked about once an hour for a day, as a
provider that could not answer may answer then; after that only a callback or a person's decision ends it.
"""

import asyncio
from collections.abc import Sequence
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


_HELD_AGAIN_MS = 3_600_000
_HELD_ASKED_MS = 86_400_000
_PROVABLE_MS = 5 * 86_400_000
"""A list that goes back further than this proves nothing: whose the messages of that time are is forgotten
(`journal.REMEMBERED_MS`)."""


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
        self._asked_at: dict[int, dict[str, int]] = {}
        self._asking: dict[tuple[int, str], asyncio.Task[None]] = {}

    def proofs(self, partition: int) -> list[Proof]:
        """What was found out since the last call."""
        return self._proofs.pop(partition, [])

    def drop(self, partition: int) -> None:
        self._proofs.pop(partition, None)
        self._asked_at.pop(partition, None)
        for (place, _), task in self._asking.items():
            if place == partition:
                task.cancel()

    def look_up(self, partition: int, journal: Journal, under_way: frozenset[str], now: int) -> None:
        """Start the look-ups that are due."""
        asked_at = self._asked_at.setdefault(partition, {})
        if len(asked_at) > 2 * len(journal.open_entries()) + 100:
            asked_at = {name: at for name, at in asked_at.items() if journal.open_entry(name) is not None}
            self._asked_at[partition] = asked_at
        for entry in journal.open_entries():
            if len(self._asking) >= PARALLEL:
                return
            place = (partition, entry.recipient)
            if entry.command_id in under_way or place in self._asking:
                continue
            if _given_up(entry, now):
                if entry.state is not CommandResult.HELD:
                    why = "too long ago to be proved"
                    proof = Proof(entry.command_id, CommandResult.HELD, None, why)
                    self._proofs.setdefault(partition, []).append(proof)
                continue
            if now < self._due_at(entry, asked_at.get(entry.command_id)):
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

    def _due_at(self, entry: JournalEntry, asked_at: int | None) -> int:
        if entry.state is CommandResult.HELD:
            return max(entry.at, asked_at or 0) + _HELD_AGAIN_MS
        first = entry.started_at + self._settle_after_ms
        return first if asked_at is None else max(first, asked_at + self._settle_after_ms // 2)

    async def _ask(
        self, partition: int, journal: Journal, entry: JournalEntry, under_way: frozenset[str], now: int
    ) -> None:
        asked = self._provable(_alike(journal, entry), now)
        for each in (entry, *asked):
            self._asked_at.setdefault(partition, {})[each.command_id] = now
        found: tuple[FoundMessage, ...] | None = None
        why = "its message could not be told from that of another which was given up"
        if asked:
            try:
                found = await self._find(entry, min(each.started_at for each in asked) - CLOCKS_DIFFER_MS)
                why = f"{len(found)} messages to the same person may be its or another's"
            except LookupFailed as failed:
                log.warning("the provider could not be asked about a doubt", reason=str(failed))
                why = str(failed)
        alike = _alike(journal, entry)
        doubts = self._provable(alike, now)
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
            Proof(each.command_id, CommandResult.HELD, None, f"neither found nor proved absent: {why}")
            for each in alike
            if each.command_id not in known
            and each.command_id not in under_way
            and each.state in (CommandResult.STARTED, CommandResult.IN_DOUBT)
            and now >= each.started_at + self._hold_after_ms
        ]

    async def _find(self, entry: JournalEntry, since: int) -> tuple[FoundMessage, ...]:
        provider = self._providers.get(entry.provider)
        if provider is None:
            raise LookupFailed(f"no provider {entry.provider!r} here")
        return await provider.find(entry, since)

    def _provable(self, alike: Sequence[JournalEntry], now: int) -> list[JournalEntry]:
        """Those that a list from the provider can prove something of.

        What was given up may own a message too: one that was made so soon after it that the same list could
        hold both is left alone with it.
        """
        ends = [each.started_at + self._settle_after_ms for each in alike if _given_up(each, now)]
        safe_from = max(ends) + 2 * CLOCKS_DIFFER_MS if ends else 0
        return [each for each in alike if not _given_up(each, now) and each.started_at >= safe_from]


def _given_up(entry: JournalEntry, now: int) -> bool:
    """Nothing is asked about it any more: a person decided, or it would lead to nothing."""
    match entry.state:
        case CommandResult.STARTED | CommandResult.IN_DOUBT:
            return now - entry.started_at >= _PROVABLE_MS
        case CommandResult.HELD:
            return now - entry.at >= _HELD_ASKED_MS or now - entry.started_at >= _PROVABLE_MS
        case _:
            return True


def _alike(journal: Journal, entry: JournalEntry) -> list[JournalEntry]:
    """The commands that a message like this one's may belong to and that are not known to have one."""
    place = _place(entry)
    return [each for each in (*journal.open_entries(), *journal.unproved()) if _place(each) == place]


def _place(entry: JournalEntry) -> tuple[str, str, str, str]:
    return entry.provider, entry.sender, entry.recipient, entry.channel
