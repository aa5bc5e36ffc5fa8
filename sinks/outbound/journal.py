"""The send journal in memory: which commands were started, and what is known of them.

Guarantees: a command that is known here is never started. The topic `outbound.journal` is the truth; this is
rebuilt from it whenever a partition is taken over. Its reach: the topic and this forget what was ended longer
than REMEMBERED_MS ago, a command is worthless LONGEST_LIFE_MS after it was made (`bounded`), so no copy
outlives the memory of it. What is held is never forgotten: it is written again while it is (`books`).
"""

import msgspec

from schemas.identity import text_digest
from schemas.records import JournalEntry, OutboundCommand
from schemas.vocabulary import CommandResult
from sinks.outbound.memory import Memory
from sinks.outbound.pacing.spending import Spending

UNKNOWN_TEXT = ""
"""Digest of a text that only the provider knows, because it fills the template."""

LONGEST_LIFE_MS = 3 * 86_400_000
"""What a command may wait at most, whatever its `not_after` says: what COMMAND_TTL_S allows."""

REMEMBERED_MS = 7 * 86_400_000
"""The retention of `outbound.journal`."""

_BY_WORD = frozenset({CommandResult.RELEASED, CommandResult.DROPPED})

_OPEN = {CommandResult.STARTED: 0, CommandResult.IN_DOUBT: 1, CommandResult.HELD: 2}
"""States of an unknown fate, by how long it has been unknown: none goes back to an earlier one."""


class Journal:
    """The entries of one partition. Ended commands are remembered by id only."""

    def __init__(self) -> None:
        self._ended = Memory(REMEMBERED_MS)
        self._open: dict[str, JournalEntry] = {}
        self._decided: dict[str, JournalEntry] = {}
        self._claimed = Memory(REMEMBERED_MS)
        self.spending = Spending()

    def __len__(self) -> int:
        return len(self._ended) + len(self._open)

    def knows(self, command_id: str) -> bool:
        return command_id in self._open or command_id in self._ended

    def open_entry(self, command_id: str) -> JournalEntry | None:
        return self._open.get(command_id)

    def open_entries(self) -> tuple[JournalEntry, ...]:
        """Commands whose fate is not known: under way, in doubt or held."""
        return tuple(self._open.values())

    def unproved(self) -> tuple[JournalEntry, ...]:
        """Commands that were ended by a person's word: a message of theirs may exist that nobody claims."""
        return tuple(self._decided.values())

    def claimed(self, sid: str) -> bool:
        """Whether that message is known to be some command's."""
        return sid in self._claimed

    def record(self, entry: JournalEntry) -> None:
        """Take an entry in. What was ended once stays ended: a late doubt does not reopen it.

        The order of entries does not matter, so a copy that comes late changes nothing.
        """
        if entry.sid is not None:
            self._claimed.add(entry.sid, entry.at)
        if not self.knows(entry.command_id):
            self.spending.note(entry)
        if entry.command_id in self._ended:
            return
        if entry.state in _OPEN:
            known = self._open.get(entry.command_id)
            if known is None or _OPEN[known.state] <= _OPEN[entry.state]:
                self._open[entry.command_id] = entry
        else:
            self._open.pop(entry.command_id, None)
            self._ended.add(entry.command_id, entry.at)
            if entry.state in _BY_WORD:
                self._decided[entry.command_id] = entry

    def forget(self, now: int) -> None:
        """Let go what the topic does not keep any longer. `now` is in ms since the epoch."""
        self._ended.forget(now)
        self._claimed.forget(now)
        self._decided = {n: each for n, each in self._decided.items() if each.at > now - REMEMBERED_MS}


def bounded(command: OutboundCommand) -> OutboundCommand:
    """The command as it may be carried out: never later than the journal remembers that it was."""
    latest = command.created_at + LONGEST_LIFE_MS
    if command.not_after <= latest:
        return command
    return msgspec.structs.replace(command, not_after=latest)


def started(command: OutboundCommand, at: int) -> JournalEntry:
    """The entry that must be committed before the provider is called."""
    return JournalEntry(
        command_id=command.command_id,
        state=CommandResult.STARTED,
        tenant=command.tenant,
        sender=command.sender,
        recipient=command.recipient,
        channel=command.channel,
        content_digest=UNKNOWN_TEXT if command.content_sid else text_digest(command.body),
        started_at=at,
        at=at,
        segments=max(1, command.segments),
        provider=command.provider,
    )


def ended(
    entry: JournalEntry, state: CommandResult, at: int, sid: str | None = None, detail: str | None = None
) -> JournalEntry:
    """The same command with what is known now."""
    return msgspec.structs.replace(entry, state=state, at=at, sid=sid or entry.sid, detail=detail)
