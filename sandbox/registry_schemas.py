"""Avro schemas as the registry sees them: one canonical text, a parsed form, and who can read whom.

Guarantees: two schemas that differ only in white space have the same canonical text; compatibility is judged
by the `avro` package's checker of reader against writer (Avro specification, "Schema Resolution"), never by
rules of our own.
Leaves to `registry_store` which versions are compared, and to `registry_routes` the wire.
"""

import enum
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.name import Names
from avro.schema import Schema, make_avsc_object

from sandbox.registry_errors import invalid_schema

# The order in which a normalised schema writes what Avro defines; anything else follows by name.
ATTRIBUTE_ORDER = (
    "type",
    "name",
    "namespace",
    "doc",
    "aliases",
    "fields",
    "symbols",
    "items",
    "values",
    "size",
    "logicalType",
    "precision",
    "scale",
    "default",
    "order",
)


class Compatibility(enum.Enum):
    """What a new version must keep possible, in Confluent's names."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def new_reads_old(self) -> bool:
        return self.name.startswith(("BACKWARD", "FULL"))

    @property
    def old_reads_new(self) -> bool:
        return self.name.startswith(("FORWARD", "FULL"))

    @property
    def transitive(self) -> bool:
        """Whether every earlier version counts, or only the latest."""
        return self.name.endswith("_TRANSITIVE")


@dataclass(frozen=True, slots=True)
class Reference:
    """A named type that a schema takes from another subject's version."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class SchemaText:
    """A schema as it is stored: its canonical text and what that text refers to. Equal means same id."""

    text: str
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a schema may follow the versions it was compared with, and each reason why not."""

    compatible: bool
    messages: tuple[str, ...] = ()


def canonical(text: str, *, normalize: bool) -> str:
    """`text` without insignificant white space; with `normalize` also in one order of attributes.

    Raises RegistryError 42201 when it is not JSON.
    """
    try:
        tree = json.loads(text)
    except ValueError as error:
        # Avro allows a bare name, and so does the registry: `string` is the schema "string".
        if text.strip().isidentifier():
            tree = text.strip()
        else:
            raise invalid_schema(f"not JSON: {error}") from error
    return json.dumps(_ordered(tree) if normalize else tree, separators=(",", ":"), ensure_ascii=False)


def parse(text: str, references: Sequence[str] = ()) -> Schema:
    """The schema of `text`, with the types of `references` (texts, dependencies first) known by name.

    Raises RegistryError 42201 with the parser's reason.
    """
    names = Names(validate_names=True)
    try:
        with warnings.catch_warnings():
            # A logical type the parser does not know is read as its base type, as the specification asks.
            warnings.simplefilter("ignore")
            for reference in references:
                make_avsc_object(json.loads(reference), names)
            return make_avsc_object(json.loads(text), names)
    except (AvroException, ValueError, TypeError, KeyError, AttributeError) as error:
        # The parser reports some malformed schemas by whatever broke inside it.
        raise invalid_schema(f"{error} (in {text[:200]})") from error


def judge(level: Compatibility, new: Schema, old: Schema, *, old_version: int) -> Verdict:
    """Whether `new` may follow `old` under `level`; the versions to compare with are the caller's choice."""
    messages: list[str] = []
    if level.new_reads_old:
        messages += _cannot_read(
            new, old, f"the new schema cannot read data written with version {old_version}"
        )
    if level.old_reads_new:
        messages += _cannot_read(
            old, new, f"version {old_version} cannot read data written with the new schema"
        )
    return Verdict(not messages, tuple(messages))


def _cannot_read(reader: Schema, writer: Schema, meaning: str) -> list[str]:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # avro types its methods only
    result = checker.get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = ", ".join(sorted({kind.name for kind in result.incompatibilities}))
    places = ", ".join(sorted(result.locations))
    details = ", ".join(sorted(result.messages))
    return [f"{meaning}: {kinds} at {places}: {details}"]


def _ordered(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_ordered(branch) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    rank = {name: place for place, name in enumerate(ATTRIBUTE_ORDER)}
    keys = sorted(tree, key=lambda key: (rank.get(key, len(rank)), key))
    # Defaults are data, not schema: their keys are fields, and stay as they are.
    return {key: tree[key] if key == "default" else _ordered(tree[key]) for key in keys}
