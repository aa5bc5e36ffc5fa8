"""What the registry allows: who gets a version, and what may be deleted.

Guarantees: the same schema has the same id under every subject; a version number is never given twice while
the subject exists; nothing incompatible with the subject's level gets a version; a refused call changes
nothing; with a journal, what was answered survives a restart with the same ids.
Leaves to `registry_schemas` what compatible means, to `registry_state` what is known, and to
`registry_routes` the wire. Not thread-safe: the server calls it from its one event loop.
"""

from collections.abc import Iterable, Sequence

from avro.schema import Schema

from sandbox import registry_errors as errors
from sandbox.registry_journal import Change, CompatibilitySet, Deleted, Journal, ModeSet, Registered
from sandbox.registry_schemas import (
    Compatibility,
    Reference,
    SchemaText,
    Verdict,
    canonical,
    judge,
    parse,
)
from sandbox.registry_state import State, Version


class Store:
    """Decisions over a State, which is open to read. Every method may raise RegistryError."""

    __slots__ = ("_journal", "_parsed", "state")

    def __init__(self, journal: Journal | None = None) -> None:
        self.state = State()
        self._parsed: dict[SchemaText, Schema] = {}
        self._journal = journal
        if journal is not None:
            for change in journal.read():
                self.state.apply(change)

    def read_schema(self, text: str, references: Sequence[Reference], *, normalize: bool) -> SchemaText:
        """The stored form of a schema that a client sent; refused when it or a reference is unusable."""
        schema = SchemaText(canonical(text, normalize=normalize), tuple(references))
        self._parse(schema)
        return schema

    def register(self, subject: str, schema: SchemaText) -> Version:
        """The version of `subject` that has `schema`, a new one if there is none yet."""
        if not subject or any(ord(character) < 32 for character in subject):
            raise errors.invalid_subject(subject)
        schema_id = self.state.id_of(schema)
        earlier = self.state.visible(subject)
        for version in reversed(earlier):
            if version.id == schema_id:
                return version
        if self.state.read_only(subject):
            raise errors.read_only(subject)
        level = self.state.level(subject)
        verdict = self.check(level, schema, earlier)
        if not verdict.compatible:
            raise errors.incompatible_schema(subject, [*verdict.messages, f"compatibility: '{level.value}'"])
        number = self.state.next_number(subject)
        self._record(Registered(subject, number, schema_id, schema.text, schema.references))
        return Version(subject, number, schema_id)

    def check(self, level: Compatibility, schema: SchemaText, earlier: Sequence[Version]) -> Verdict:
        """Whether `schema` may follow `earlier` (oldest first) under `level`."""
        compared = reversed(earlier) if level.transitive else earlier[-1:]
        verdicts = [
            judge(
                level,
                self._parse(schema),
                self._parse(self.state.schema(version.id)),
                old_version=version.number,
            )
            for version in compared
        ]
        messages = tuple(message for verdict in verdicts for message in verdict.messages)
        return Verdict(not messages, messages)

    def find(self, subject: str, schema: SchemaText, *, deleted: bool = False) -> Version:
        """The latest version of `subject` that has exactly this schema, or 40403."""
        for version in reversed(self.state.versions(subject, deleted=deleted)):
            if self.state.schema(version.id) == schema:
                return version
        raise errors.schema_not_found()

    def delete_subject(self, subject: str, *, permanent: bool) -> list[int]:
        """Delete every version; returns their numbers. A permanent deletion needs a soft one first."""
        everything = self.state.versions(subject, deleted=True)
        visible = self.state.visible(subject)
        if permanent and visible:
            raise errors.subject_not_soft_deleted(subject)
        if not permanent and not visible:
            raise errors.subject_soft_deleted(subject)
        return self._delete(subject, everything if permanent else visible, permanent=permanent)

    def delete_version(self, subject: str, number: int | None, *, permanent: bool) -> int:
        """Delete version `number` of `subject`, or its latest (None); returns the number."""
        # With `latest` only what can be deleted this way is meant, so a deleted version is never found twice.
        version = self.state.version(subject, number, deleted=permanent or number is not None)
        if permanent and not version.deleted:
            raise errors.version_not_soft_deleted(subject, version.number)
        if not permanent and version.deleted:
            raise errors.version_soft_deleted(subject, version.number)
        return self._delete(subject, [version], permanent=permanent)[0]

    def set_level(self, subject: str | None, level: Compatibility | None) -> None:
        """Set or (None) unset the level of `subject`, or of the registry itself (None)."""
        self._record(CompatibilitySet(subject, level))

    def set_mode(self, subject: str | None, read_only: bool | None) -> None:
        """Close or open `subject`, or the whole registry (None), for changes; None unsets it."""
        self._record(ModeSet(subject, read_only))

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _delete(self, subject: str, versions: Sequence[Version], *, permanent: bool) -> list[int]:
        if self.state.read_only(subject):
            raise errors.read_only(subject)
        for version in versions:
            if self.state.referrers(subject, version.number):
                raise errors.reference_exists(subject, version.number)
        numbers = [version.number for version in versions]
        self._record(Deleted(subject, tuple(numbers), permanent))
        return numbers

    def _parse(self, schema: SchemaText) -> Schema:
        if schema not in self._parsed:
            self._parsed[schema] = parse(schema.text, list(self._referenced_texts(schema.references)))
        return self._parsed[schema]

    def _referenced_texts(self, references: Iterable[Reference]) -> dict[str, None]:
        """The texts of `references` and of theirs, dependencies first, each once (a dict keeps order)."""
        texts: dict[str, None] = {}
        for reference in references:
            version = self.state.version(reference.subject, reference.version, deleted=True)
            schema = self.state.schema(version.id)
            texts.update(self._referenced_texts(schema.references))
            texts[schema.text] = None
        return texts

    def _record(self, change: Change) -> None:
        # 1. Kept first: a crash after this answers nobody, and the next start knows the change.
        if self._journal is not None:
            self._journal.append(change)
        # 2. Then visible.
        self.state.apply(change)
