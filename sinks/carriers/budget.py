"""The month's budget of look-ups: reserved in ClickHouse before the call, by all processes together.

Guarantees: the look-ups reserved in a calendar month (UTC) are never more than the budget, whatever
processes run, crash or restart: see migration 0006 for why adding first and reading afterwards is enough. A
crash loses what it had reserved and not used; it never gains. In ClickHouse and not in Kafka, because what
was learned is there too: without the one there is no use for the other, and look-ups may wait. On a
replicated table the insert waits for a majority and the read for what it acknowledged.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from clickhouse_connect.driver.client import Client

_INSERT = {"async_insert": 0, "wait_end_of_query": 1, "insert_quorum": "auto", "insert_quorum_parallel": 0}
_READ = {"select_sequential_consistency": 1}


def month_of(now: int) -> str:
    """`YYYY-MM` of a time in ms, UTC."""
    return datetime.fromtimestamp(now / 1000, tz=UTC).strftime("%Y-%m")


def granted(asked: int, reserved: int, budget: int) -> int:
    """How many of `asked` one gets when all reservations together, one's own included, are `reserved`."""
    return min(asked, max(0, budget - (reserved - asked)))


class Budget:
    """One process's way to the shared budget, and the units it holds. Not safe to share between threads."""

    def __init__(self, client: Callable[[], Client], per_month: int) -> None:
        self._client = client
        self._per_month = per_month
        self._month = ""
        self._held = 0

    def held(self, now: int, wanted: int) -> int:
        """The units at hand for look-ups made now, after reserving up to `wanted` when there are none.

        0 when the month's budget is used up. Raises what clickhouse-connect raises; what was reserved
        before it is lost for the month.
        """
        if month_of(now) != self._month:
            # What was reserved for another month is not this one's to spend.
            self._month, self._held = month_of(now), 0
        if self._held == 0 and wanted > 0:
            self._held = self._reserve(wanted, now)
        return self._held

    def spend(self) -> None:
        """One unit less. To be called before the provider is."""
        if self._held < 1:
            raise ValueError("no unit is held: reserve with `held` before spending")
        self._held -= 1

    def unspend(self) -> None:
        """The unit spent last was not used: the provider was never asked, or says that it did nothing."""
        self._held += 1

    def _reserve(self, asked: int, now: int) -> int:
        """What a crash after each step leaves behind:

        Step 1, the sum read: nothing.
        Step 2, asked for: the units are reserved and nobody uses them; the month has so many fewer.
        Step 3, the sum read again: the same.
        Step 4, what was not granted given back: what was granted is lost, as after step 2.
        """
        if self._reserved() >= self._per_month:
            return 0
        reservation = uuid.uuid4().hex
        self._write(reservation, False, asked, now)
        got = granted(asked, self._reserved(), self._per_month)
        if got < asked:
            self._write(reservation, True, got - asked, now)
        return got

    def _reserved(self) -> int:
        found = self._client().query(
            "SELECT sum(units) FROM lookup_reservations FINAL WHERE month = {month:String}",
            parameters={"month": self._month},
            settings=_READ,
        )
        return int(found.result_rows[0][0] or 0)

    def _write(self, reservation: str, returned: bool, units: int, now: int) -> None:
        self._client().insert(
            "lookup_reservations",
            [[self._month, reservation, returned, units, now]],
            column_names=["month", "reservation_id", "returned", "units", "at"],
            settings=_INSERT,
        )
