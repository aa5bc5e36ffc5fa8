"""The directory: used by one process, rebuilt when it cannot be read, and never in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import WriteBatch
from structlog.testing import capture_logs

from streams.store.database import Database
from streams.store.errors import StoreBroken, StoreInUse
from tests.servers import ROOT


def write(database: Database, **values: bytes) -> None:
    batch = WriteBatch(raw_mode=True)
    for key, value in values.items():
        batch.put(key.encode(), value)
    database.write(batch)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


def reopened(path: Path) -> tuple[bytes | None, list[str]]:
    """What is under `a` after another start, and what that start logged."""
    with capture_logs() as logged:
        opened = Database(path)
    found = opened.get(b"a")
    opened.close()
    return found, [entry["event"] for entry in logged]


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Database(tmp_path)
    write(first, a=b"1")
    first.close()
    assert reopened(tmp_path) == (b"1", [])


def test_what_was_written_is_there_after_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from streams.store.database import Database;"
        "from tests.streams.test_store_database import write;"
        "write(Database(Path(sys.argv[1])), a=b'1'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, timeout=60)
    assert reopened(tmp_path) == (b"1", [])


def test_keys_come_in_order_up_to_the_end_that_was_asked_for(database: Database) -> None:
    write(database, b=b"2", a=b"1", d=b"4", c=b"3")
    assert list(database.keys(b"a", b"c")) == [b"a", b"b"]
    assert list(database.items(b"c", b"z")) == [(b"c", b"3"), (b"d", b"4")]


def test_a_range_is_deleted_and_nothing_beside_it(database: Database) -> None:
    write(database, a=b"1", b=b"2", c=b"3")
    database.delete_range(b"a", b"c")
    assert list(database.keys(b"\x00", b"z")) == [b"c"]


def test_a_directory_in_use_is_refused_and_left_as_it_is(database: Database, tmp_path: Path) -> None:
    write(database, a=b"1")
    with pytest.raises(StoreInUse, match="FAUST_DATADIR"):
        Database(tmp_path)
    assert database.get(b"a") == b"1"


def test_a_store_that_cannot_be_opened_is_rebuilt_with_one_line_in_the_log(tmp_path: Path) -> None:
    first = Database(tmp_path)
    write(first, a=b"1")
    first.close()
    (manifest,) = tmp_path.glob("*/MANIFEST-*")
    manifest.write_bytes(b"nonsense" * 100)
    assert reopened(tmp_path) == (None, ["store is rebuilt from the changelog"])
    assert reopened(tmp_path) == (None, [])


def test_a_store_found_broken_while_it_was_used_is_rebuilt_at_the_next_start(tmp_path: Path) -> None:
    first = Database(tmp_path)
    for number in range(2_000):
        write(first, **{f"k{number}": b"x" * 1_000})
    write(first, a=b"1")
    first._db.flush()
    first.close()
    for table in tmp_path.glob("*/*.sst"):
        whole = table.read_bytes()
        table.write_bytes(b"\xff" * (len(whole) - 12_000) + whole[-12_000:])
    second = Database(tmp_path)
    with pytest.raises(StoreBroken, match="rebuilds"):
        list(second.items(b"a", b"z"))
    second.close()
    assert reopened(tmp_path) == (None, ["store is rebuilt from the changelog"])
    assert reopened(tmp_path) == (None, [])
