"""The numbered migrations as they lie in `migrations/`: found, read, said in a few words.

Guarantees: reads files of this package only; the order is that of the numbers, and each number is one file's.
Leaves to `migrate`: which of them a database lacks.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from sinks.analytics.cluster import on_cluster
from sinks.analytics.errors import MigrationError

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_CONCERNS = re.compile(
    r"^\s*(?P<does>(?:CREATE|ALTER|DROP|INSERT|OPTIMIZE|TRUNCATE|RENAME)\b(?:\s+(?:OR|REPLACE|MATERIALIZED|INTO|"
    r"TABLE|VIEW|DICTIONARY|FUNCTION|DATABASE))*)(?:\s+IF\s+(?:NOT\s+)?EXISTS)?\s+(?P<what>[\w.`]+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the file, whatever the cluster: the same release is the same on all of them."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, cluster: str | None = None) -> Iterator[str]:
        """A statement ends with a semicolon at the end of a line; comments go to ClickHouse as they are."""
        for statement in re.split(r";[ \t]*$", self.text, flags=re.MULTILINE):
            if statement.strip():
                yield on_cluster(statement.strip(), cluster)


def migrations() -> tuple[Migration, ...]:
    """All migrations, by number. Raises MigrationError when two share one or a name is out of form.

    A number may be missing: what was given up before its release leaves a gap, and the next keeps its number.
    """
    found: dict[int, Migration] = {}
    for file in resources.files("sinks.analytics").joinpath("migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise MigrationError(f"migrations/{file.name}: a migration is named like 0004_what_it_does.sql")
        number = int(match[1])
        if number in found:
            raise MigrationError(
                f"migrations/{file.name} and {found[number].name} have the same number: give the later one "
                "the next that is free"
            )
        found[number] = Migration(number, file.name, file.read_text("utf-8"))
    return tuple(found[number] for number in sorted(found))


def concerns(statement: str) -> str:
    """What a statement does to what, for people: `create table status_events`."""
    match = _CONCERNS.search(statement)
    return " ".join(f"{match['does']} {match['what']}".split()).lower() if match is not None else "run"
