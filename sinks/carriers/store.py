"""The tables of the carriers process in ClickHouse: what is known of numbers, links and opted-in numbers.

Guarantees: what a method wrote is in its table when it returns; writing the same again changes nothing that
FINAL shows. Any failure is ClickHouseAway, after which the next call connects anew. The only table a number
goes to is recipient_numbers. Not safe to share between threads.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import urllib3.exceptions
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from sinks.analytics.clickhouse import connect, judged, said
from sinks.analytics.errors import ClickHouseAway
from sinks.carriers.lines import Attribution, Line, Observation, Seen

T = TypeVar("T")

_INSERT = {"async_insert": 0, "wait_end_of_query": 1}
_OBSERVATION = ("recipient_hash", "valid_from", "checked_at", *Line._fields)
_LINE = tuple(name for name in Line._fields if name != "error_code")
_ATTRIBUTION = ("hour", "notification_id", "requested_at", "valid_from", *_LINE)


class Store:
    """Holds the connection; opens it again after it failed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None

    def client(self) -> Client:
        if self._client is None:
            self._client = connect(self._url)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def guarded(self, step: Callable[[], T], doing: str) -> T:
        """The step's result. Raises ClickHouseAway for whatever ClickHouse or the way to it raised."""
        try:
            return step()
        except Error as failed:
            self.close()
            raise ClickHouseAway(str(judged(failed, doing))) from failed
        except (urllib3.exceptions.HTTPError, OSError) as away:
            self.close()
            raise ClickHouseAway(f"{doing}: {said(away)}") from away

    def known(self, hashes: Collection[str]) -> dict[str, Observation]:
        """The latest look-up of each of these people."""
        found: dict[str, Observation] = {}
        for one in self.history(hashes):
            found[one.recipient_hash] = max(one, found.get(one.recipient_hash, one), key=_latest)
        return found

    def history(self, hashes: Collection[str]) -> tuple[Observation, ...]:
        """All look-ups of these people."""
        columns = ", ".join(
            f"toUnixTimestamp64Milli({name})" if name in ("valid_from", "checked_at") else name
            for name in _OBSERVATION
        )
        rows = self._query(
            f"""
            SELECT {columns} FROM recipient_carriers FINAL WHERE recipient_hash IN {{hashes:Array(String)}}
            """,  # noqa: S608 - of constants; what is asked for travels as parameters
            {"hashes": list(hashes)},
        )
        return tuple(Observation(row[0], row[1], row[2], Line(*row[3:])) for row in rows)

    def keep_attributions(self, attributions: Sequence[Attribution]) -> None:
        self._insert(
            "notification_carriers",
            _ATTRIBUTION,
            [
                (one.hour, one.notification_id, one.requested_at, one.valid_from, *_told(one.line))
                for one in attributions
            ],
        )

    def keep_observations(self, observations: Sequence[Observation]) -> None:
        self._insert(
            "recipient_carriers",
            _OBSERVATION,
            [(one.recipient_hash, one.valid_from, one.checked_at, *one.line) for one in observations],
        )

    def keep_numbers(self, seen: Iterable[Seen], hashes: Mapping[str, str]) -> None:
        """The numbers themselves: only of requests whose tenant opted in."""
        latest: dict[tuple[str, str], int] = {}
        for request in seen:
            key = request.tenant, request.number
            latest[key] = max(latest.get(key, request.at), request.at)
        rows = [(tenant, hashes[number], number, at) for (tenant, number), at in latest.items()]
        self._insert("recipient_numbers", ("tenant", "recipient_hash", "number", "seen_at"), rows)

    def link(self, new_by_old: Mapping[str, str], now: int) -> int:
        """Link old hashes to new ones, and whatever pointed at the old ones; returns how many links were
        new."""
        linked = {
            old
            for old, new in self._query(
                "SELECT old_hash, new_hash FROM recipient_links FINAL WHERE old_hash IN {old:Array(String)}",
                {"old": list(new_by_old)},
            )
            if new_by_old[old] == new
        }
        missing = {old: new for old, new in new_by_old.items() if old not in linked}
        if not missing:
            return 0
        older = self._query(
            "SELECT old_hash, new_hash FROM recipient_links FINAL WHERE new_hash IN {old:Array(String)}",
            {"old": list(missing)},
        )
        rows = [(old, new, now) for old, new in missing.items()]
        rows += [(oldest, missing[old], now) for oldest, old in older]
        self._insert("recipient_links", ("old_hash", "new_hash", "linked_at"), rows)
        return len(missing)

    def _query(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        found = self.guarded(lambda: self.client().query(sql, parameters=parameters), "query of carriers")
        return [tuple(row) for row in found.result_rows]

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        self.guarded(
            lambda: self.client().insert(
                table,
                [list(column) for column in zip(*rows, strict=True)],
                column_names=list(columns),
                column_oriented=True,
                settings=_INSERT,
            ),
            f"insert of {len(rows)} rows into {table}",
        )


def _latest(one: Observation) -> tuple[int, int]:
    return one.checked_at, one.valid_from


def _told(line: Line) -> tuple[str, ...]:
    return tuple(getattr(line, name) for name in _LINE)
