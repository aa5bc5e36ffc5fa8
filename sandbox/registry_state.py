"""What the registry knows at one moment, and the only place that changes it: `apply`.

Guarantees: applying the same changes in the same order gives the same state, so a journal of them is enough
to restart from. Every question raises the RegistryError of the real registry when there is no answer.
Leaves to `registry_store` which changes are allowed.
"""

import uuid
from dataclasses import dataclass, replace

from sandbox import registry_errors as errors
from sandbox.registry_journal import Change, CompatibilitySet, Deleted, ModeSet, Registered
from sandbox.registry_schemas import Compatibility, SchemaText

# What Confluent's registry starts with.
DEFAULT_LEVEL = Compatibility.BACKWARD
# Makes the guid of a schema depend on nothing but the schema.
GUID_NAMESPACE = uuid.UUID("6a6c6e0e-5f0f-4f0e-9d38-6d4fd4a3c1b7")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a subject. A deleted one is hidden from everybody who does not ask for it."""

    subject: str
    number: int
    id: int
    deleted: bool = False


class State:
    """Subjects, versions, ids, levels and modes."""

    __slots__ = ("_ids", "_levels", "_modes", "_schemas", "_subjects")

    def __init__(self) -> None:
        self._schemas: dict[int, SchemaText] = {}
        self._ids: dict[SchemaText, int] = {}
        self._subjects: dict[str, list[Version]] = {}
        self._levels: dict[str | None, Compatibility] = {}
        self._modes: dict[str | None, bool] = {}

    def schema(self, schema_id: int) -> SchemaText:
        if schema_id not in self._schemas:
            raise errors.schema_not_found(schema_id)
        return self._schemas[schema_id]

    def schema_by_guid(self, guid: str) -> int:
        for schema_id, schema in self._schemas.items():
            if guid_of(schema) == guid:
                return schema_id
        raise errors.schema_not_found(guid)

    def id_of(self, schema: SchemaText) -> int:
        """The id the schema has, or would be given next."""
        return self._ids.get(schema) or max(self._schemas, default=0) + 1

    def visible(self, subject: str) -> list[Version]:
        """The versions of `subject` that are not deleted, oldest first; may be empty."""
        return [version for version in self._subjects.get(subject, []) if not version.deleted]

    def next_number(self, subject: str) -> int:
        return max((version.number for version in self._subjects.get(subject, [])), default=0) + 1

    def version(self, subject: str, number: int | None, *, deleted: bool = False) -> Version:
        """Version `number` of `subject`; None is the latest."""
        versions = self.versions(subject, deleted=deleted)
        if number is None:
            return versions[-1]
        for version in versions:
            if version.number == number:
                return version
        raise errors.version_not_found(number)

    def versions(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """The versions of `subject`, oldest first; at least one, or 40401."""
        found = self._subjects.get(subject, []) if deleted else self.visible(subject)
        if not found:
            raise errors.subject_not_found(subject)
        return list(found)

    def uses(self, schema_id: int, *, deleted: bool = False) -> list[Version]:
        """Every version with this id, by subject; 40403 when the id was never given."""
        self.schema(schema_id)
        return [version for version in self.all_versions(deleted=deleted) if version.id == schema_id]

    def all_versions(self, *, deleted: bool = False) -> list[Version]:
        """Every version of every subject, by subject and number."""
        return [
            version
            for subject in sorted(self._subjects)
            for version in self._subjects[subject]
            if deleted or not version.deleted
        ]

    def referrers(self, subject: str, number: int) -> list[Version]:
        """The versions whose schemas refer to this one."""
        return [
            version
            for version in self.all_versions()
            for reference in self._schemas[version.id].references
            if (reference.subject, reference.version) == (subject, number)
        ]

    # A subject of None is the registry itself.

    def level(self, subject: str | None) -> Compatibility:
        """The level that holds for `subject`: its own, or else the registry's."""
        return self._levels.get(subject) or self._levels.get(None, DEFAULT_LEVEL)

    def own_level(self, subject: str) -> Compatibility:
        if subject not in self._levels:
            raise errors.no_subject_compatibility(subject)
        return self._levels[subject]

    def read_only(self, subject: str | None) -> bool:
        """Whether `subject` refuses changes: by its own mode, or else by the registry's."""
        return self._modes.get(subject, self._modes.get(None, False))

    def own_mode(self, subject: str) -> bool:
        if subject not in self._modes:
            raise errors.no_subject_mode(subject)
        return self._modes[subject]

    def apply(self, change: Change) -> None:
        match change:
            case Registered():
                schema = SchemaText(change.text, change.references)
                self._schemas[change.id] = schema
                self._ids[schema] = change.id
                versions = self._subjects.setdefault(change.subject, [])
                versions.append(Version(change.subject, change.version, change.id))
            case Deleted():
                kept = []
                for version in self._subjects[change.subject]:
                    if version.number not in change.versions:
                        kept.append(version)
                    elif not change.permanent:
                        kept.append(replace(version, deleted=True))
                if kept:
                    self._subjects[change.subject] = kept
                else:
                    del self._subjects[change.subject]
            case CompatibilitySet():
                if change.level is None:
                    self._levels.pop(change.subject, None)
                else:
                    self._levels[change.subject] = change.level
            case ModeSet():
                if change.read_only is None:
                    self._modes.pop(change.subject, None)
                else:
                    self._modes[change.subject] = change.read_only


def guid_of(schema: SchemaText) -> str:
    """An id of the schema that is the same in every registry of this kind."""
    return str(uuid.uuid5(GUID_NAMESPACE, repr((schema.text, schema.references))))
