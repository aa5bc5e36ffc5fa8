"""The registry's changes, as records, and the file that keeps them.

Guarantees: a change is in the file (flushed to the operating system) before `append` returns, so it survives
a kill of the process; a last line cut short by such a kill is dropped at the next start, with a warning. Any
other unreadable line refuses the start: the ids that follow it could not be trusted.
Leaves to `registry_store` what a change means.
"""

import logging
from pathlib import Path
from typing import BinaryIO

import msgspec

from sandbox.registry_schemas import Compatibility, Reference

log = logging.getLogger(__name__)


class Registered(msgspec.Struct, frozen=True, tag="registered"):
    """`subject` has a version `version` whose schema has `id`."""

    subject: str
    version: int
    id: int
    text: str
    references: tuple[Reference, ...] = ()


class Deleted(msgspec.Struct, frozen=True, tag="deleted"):
    """`versions` of `subject` are deleted: hidden, or gone for good."""

    subject: str
    versions: tuple[int, ...]
    permanent: bool


class CompatibilitySet(msgspec.Struct, frozen=True, tag="compatibility"):
    """`level` holds for `subject`, or for all without their own (None). A `level` of None unsets it."""

    subject: str | None
    level: Compatibility | None


class ModeSet(msgspec.Struct, frozen=True, tag="mode"):
    """`subject`, or all (None), may be written or not. A `read_only` of None unsets it."""

    subject: str | None
    read_only: bool | None


Change = Registered | Deleted | CompatibilitySet | ModeSet


class JournalError(Exception):
    """The journal cannot be read; the message names the file and the line."""


class Journal:
    """Changes as JSON lines in `path`, only ever appended to."""

    __slots__ = ("_file", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> list[Change]:
        """Every change kept so far, oldest first, and open the file for `append`.

        Raises JournalError for a line that is not a change, OSError when the file cannot be opened.
        """
        decoder = msgspec.json.Decoder[Change](Change)
        changes: list[Change] = []
        kept = 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+b")
        try:
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    log.warning("%s: line %d was cut short and is dropped", self._path, number)
                    break
                try:
                    changes.append(decoder.decode(line))
                except msgspec.MsgspecError as error:
                    raise JournalError(
                        f"{self._path}, line {number}: {error}; repair it, or remove the file to start empty"
                    ) from error
                kept += len(line)
            file.truncate(kept)
        except BaseException:
            file.close()
            raise
        self._file = file
        return changes

    def append(self, change: Change) -> None:
        """Keep `change`; it is with the operating system on return. Call `read` first."""
        if self._file is None:
            raise JournalError(f"{self._path} is not open: read it before appending to it")
        self._file.write(msgspec.json.encode(change) + b"\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
