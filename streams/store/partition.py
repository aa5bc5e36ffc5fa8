"""The rows and deadlines of one partition: what is committed on the disk, what is not yet in memory only.

A commit, and what a crash after each step leaves behind:

1. Events change rows: the new bytes go into the overlay here, and what else follows into the transaction.
   Crash: the transaction is aborted, the overlay is gone, the disk never knew. The events are read again.
2. `seal`: the overlay is closed and its rows go into the transaction's changelog, each once; what comes from
   now on belongs to the next transaction.
   Crash: as before.
3. The transaction is committed.
   Crash: the disk is behind by this transaction; its offset says so, and recovery reads the rest.
4. `settle`: rows, deadlines and the changelog offset they reach, in one batch.
   Crash: nothing is left to do here. The events' own offsets are committed after this, or the events are read
   again by rows that know them.

So the disk is never ahead of what is committed. It is disbelieved all the same when it says more than the
changelog holds, when it belongs to another changelog, and when it is so old that the changelog may have
forgotten deletions meanwhile (see `recovery`).
"""

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
from rocksdict import WriteBatch

from streams.store.database import Database
from streams.store.rows import deadline_of

_SPACE = struct.Struct(">BH")
_DUE = struct.Struct(">Q")
_META, _ROWS, _TIMERS = b"m", b"r", b"t"
_LAST = 2**64 - 1
_REFRESHED_MS = 3_600_000


class Reached(msgspec.Struct, frozen=True, array_like=True):
    """How far the disk is: everything before `offset` of the changelog named by `source`, at `at` (ms)."""

    source: str = ""
    offset: int = 0
    rows: int = 0
    timers: int = 0
    at: int = 0


class Due(NamedTuple):
    due_at: int
    partition: int
    key: bytes


class _Overlay:
    """What one transaction changes. A deadline is its key; True: set, False: taken away."""

    __slots__ = ("rows", "timers")

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes | None] = {}
        self.timers: dict[bytes, bool] = {}


class Partition:
    """One partition of one table. `table` is its number in the database.

    To be changed from one thread; `settle` may run in another one meanwhile.
    """

    def __init__(self, database: Database, table: int, number: int) -> None:
        self.number = number
        self._db = database
        space = _SPACE.pack(table, number)
        self._space = space
        self._meta_key, self._row_prefix, self._timer_prefix = space + _META, space + _ROWS, space + _TIMERS
        found = database.get(self._meta_key)
        self.reached = msgspec.msgpack.decode(found, type=Reached) if found else Reached()
        self.rows, self.timers = self.reached.rows, self.reached.timers
        self._fresh = _Overlay()
        self._sealed: _Overlay | None = None
        self._sealed_counts = (0, 0)
        self._no_timer_before = 0

    # -- rows -----------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> bytes | None:
        """The row's bytes as of the latest `put`, committed or not. Raises StoreBroken."""
        sealed = self._sealed  # may be settled meanwhile: then the disk has it
        for overlay in (self._fresh, sealed):
            if overlay is not None and key in overlay.rows:
                return overlay.rows[key]
        return self._db.get(self._row_prefix + key)

    def put(
        self, key: bytes, value: bytes | None, due_before: int | None, due_at: int | None, *, new: bool
    ) -> None:
        """The row from now on (None: there is none), and its deadline instead of the one before."""
        self._fresh.rows[key] = value
        self.rows += (value is not None) - (not new)
        if due_at != due_before:
            self.timers += (due_at is not None) - (due_before is not None)
            if due_before is not None:
                self._fresh.timers[_DUE.pack(due_before) + key] = False
            if due_at is not None:
                self._fresh.timers[_DUE.pack(due_at) + key] = True
                self._no_timer_before = min(self._no_timer_before, due_at)

    def committed(self) -> Iterable[tuple[bytes, bytes]]:
        """Every row on the disk, by key."""
        start = len(self._row_prefix)
        for key, value in self._db.items(self._row_prefix, self._space + b"s"):
            yield key[start:], value

    # -- deadlines ------------------------------------------------------------------------------------------

    def pop_due(self, now: int, at_most: int) -> list[Due]:
        """Deadlines that have come by `now` (ms), the earliest first; each comes once, unless a crash undoes
        the transaction it was popped in. Costs what it returns, not what is pending."""
        if self._no_timer_before > now:
            return []
        overlays = [overlay for overlay in (self._fresh, self._sealed) if overlay is not None]
        end = _DUE.pack(min(now + 1, _LAST))
        prefix = self._timer_prefix
        due: list[bytes] = []
        # Where deadlines were taken away the disk has marks of it to step over: begin behind them.
        for key in self._db.keys(prefix + _DUE.pack(self._no_timer_before), prefix + end):
            timer = key[len(prefix) :]
            if not any(timer in overlay.timers for overlay in overlays):
                due.append(timer)
                if len(due) >= at_most:
                    break
        in_memory: dict[bytes, bool] = {}
        for overlay in reversed(overlays):
            in_memory |= overlay.timers
        due += [timer for timer, is_set in in_memory.items() if is_set and timer < end]
        if len(due) < at_most:
            self._no_timer_before = now + 1
        due = sorted(due)[:at_most]
        for timer in due:
            self._fresh.timers[timer] = False
        return [Due(_DUE.unpack_from(timer)[0], self.number, timer[_DUE.size :]) for timer in due]

    # -- the commit -----------------------------------------------------------------------------------------

    def seal(self) -> Mapping[bytes, bytes | None]:
        """Step 2: what was changed so far belongs to the transaction about to be committed. Returns the rows
        that its changelog needs."""
        self._sealed, self._fresh = self._fresh, _Overlay()
        self._sealed_counts = (self.rows, self.timers)
        return self._sealed.rows

    def settle(self, offset: int | None, at: int) -> None:
        """Step 4: the sealed changes are committed; `offset` is behind the last of them in the changelog, or
        None when no row was changed. Raises StoreBroken."""
        sealed = self._sealed
        if sealed is None:
            return
        # Also without a change now and then: the disk of an idle partition would count as too old to believe.
        if sealed.rows or sealed.timers or at - self.reached.at > _REFRESHED_MS:
            rows, timers = self._sealed_counts
            source, before = self.reached.source, self.reached.offset
            self._write(
                sealed, Reached(source, before if offset is None else max(before, offset), rows, timers, at)
            )
        self._sealed = None

    # -- recovery -------------------------------------------------------------------------------------------

    def begin_again(self, source: str) -> None:
        """Nothing is known of the changelog `source` yet."""
        self._db.delete_range(self._space, self._space + b"\xff")
        self.reached = Reached(source)
        self.rows = self.timers = 0

    def load(self, changes: dict[bytes, bytes | None], offset: int, at: int) -> None:
        """Rows as the changelog has them, up to `offset`. Raises StoreBroken, RowUnreadable."""
        overlay = _Overlay()
        overlay.rows = changes
        timers = overlay.timers
        empty = self.rows == 0
        for key, value in changes.items():
            known = None if empty else self._db.get(self._row_prefix + key)
            due_before = None if known is None else deadline_of(known)
            due_at = None if value is None else deadline_of(value)
            self.rows += (value is not None) - (known is not None)
            self.timers += (due_at is not None) - (due_before is not None)
            if due_before is not None:
                timers[_DUE.pack(due_before) + key] = False
            if due_at is not None:
                timers[_DUE.pack(due_at) + key] = True
        self._write(overlay, Reached(self.reached.source, offset, self.rows, self.timers, at))

    def _write(self, changes: _Overlay, reached: Reached) -> None:
        batch = WriteBatch(raw_mode=True)
        put, delete, prefix = batch.put, batch.delete, self._row_prefix
        for key, value in changes.rows.items():
            if value is None:
                delete(prefix + key)
            else:
                put(prefix + key, value)
        prefix = self._timer_prefix
        for timer, is_set in changes.timers.items():
            if is_set:
                put(prefix + timer, b"")
            else:
                delete(prefix + timer)
        put(self._meta_key, msgspec.msgpack.encode(reached))
        self._db.write(batch)
        self.reached = reached
