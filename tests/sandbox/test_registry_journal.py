"""What the registry keeps in its file, and what it does with a damaged one."""

from pathlib import Path

import pytest

from sandbox.registry_journal import CompatibilitySet, Deleted, Journal, JournalError, ModeSet, Registered
from sandbox.registry_schemas import Compatibility, Reference

CHANGES = [
    Registered("s", 1, 1, '"string"', (Reference("R", "r", 2),)),
    CompatibilitySet("s", Compatibility.FULL_TRANSITIVE),
    CompatibilitySet(None, None),
    ModeSet("s", True),
    Deleted("s", (1,), False),
]


def write(path: Path) -> None:
    journal = Journal(path)
    assert journal.read() == []
    for change in CHANGES:
        journal.append(change)
    journal.close()


def read(path: Path) -> object:
    journal = Journal(path)
    try:
        return journal.read()
    finally:
        journal.close()


def test_every_kind_of_change_is_read_back_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "journal")
    assert read(tmp_path / "journal") == CHANGES


def test_a_last_line_cut_short_is_dropped_and_the_next_change_follows_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type":"registered","subject":"lo')
    journal = Journal(path)
    assert journal.read() == CHANGES
    journal.append(CHANGES[0])
    journal.close()
    assert read(path) == [*CHANGES, CHANGES[0]]


def test_an_unreadable_line_refuses_the_start_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"{}\n", *lines[1:]]))
    with pytest.raises(JournalError, match="line 2"):
        read(path)
    assert path.read_bytes().startswith(lines[0])


def test_a_journal_is_not_written_before_it_was_read(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="not open"):
        Journal(tmp_path / "journal").append(CHANGES[0])
