"""The policies of all tenants, from their file (STREAMS_POLICY_FILE).

Guarantees: `load_policy` returns policies that can be followed, or raises PolicyError with the file, the
place in it and what is wrong there. Without a file every tenant has the defaults of `sections`.
Leaves to others: when to read it. An example is `deploy/streams-policy.example.yaml`.

    tenants:
      "*": …       # every tenant that has no entry
      acme: …      # what it leaves out is as in "*"; a section that it names replaces the whole section
    senders:
      "+1415…": …  # by number, short code, name or Messaging Service SID
    sender_rules: …
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from schemas.vocabulary import Category
from streams.policy.policies import DEFAULTS, EVERY_TENANT, Policies
from streams.policy.profiles import SenderProfile, SenderRules
from streams.policy.sections import Cap, ChainStep, QuietHours
from streams.policy.senders import SenderGroup, bare_sender, type_of_name
from streams.policy.tenant import TenantPolicy
from streams.policy.values import from_text

# Read entry by entry, so that an error can name the entry.
_BY_NAME: dict[str, tuple[Any, Any]] = {
    "sender_groups": (str, SenderGroup),
    "quiet_hours": (Category, QuietHours),
    "caps": (Category, tuple[Cap, ...]),
    "chains": (Category, tuple[ChainStep, ...]),
}
_PARTS = ("tenants", "senders", "sender_rules")
_SECTIONS = {field.name: field.type for field in msgspec.structs.fields(TenantPolicy)}


class PolicyError(Exception):
    """The policy file cannot be followed; the message says where and why."""


def load_policy(path: str | None) -> Policies:
    """The policies in this file, or the defaults without one. Raises PolicyError."""
    if not path:
        return DEFAULTS
    try:
        text = Path(path).read_bytes()
    except OSError as unreadable:
        raise PolicyError(
            f"The policy file {path} cannot be read: {unreadable.strerror}; set STREAMS_POLICY_FILE to a "
            "file this process may read, or to nothing."
        ) from unreadable
    try:
        return _policies(yaml.load(text, _Loader))  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as broken:
        raise PolicyError(f"The policy file {path} is not YAML: {_one_line(broken)}.") from broken
    except _Wrong as wrong:
        raise PolicyError(
            f"The policy file {path} is wrong: {wrong}; compare it with deploy/streams-policy.example.yaml."
        ) from wrong


class _Wrong(Exception):
    """What is wrong and where."""


class _Loader(yaml.SafeLoader):
    """YAML, but a key must not be there twice, and only true and false are booleans: NO is Norway."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable) or key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is there twice, or cannot be a name", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _policies(file: Any) -> Policies:
    parts = _mapping(file, "the file")
    if unknown := set(parts) - set(_PARTS):
        raise _Wrong(f"{_named(unknown)} is not known; the file has only {', '.join(_PARTS)}")
    tenants = parts.get("tenants") or {}
    entries = {
        str(name): entry if entry is not None else {} for name, entry in _mapping(tenants, "tenants").items()
    }
    default = _tenant(entries.pop(EVERY_TENANT, {}), TenantPolicy(), f"tenants.{EVERY_TENANT}")
    tenants = {name: _tenant(entry, default, f"tenants.{name}") for name, entry in entries.items()}
    senders = _senders(parts.get("senders"))
    rules = _typed(parts.get("sender_rules") or {}, SenderRules, "sender_rules")
    try:
        return Policies(default=default, tenants=tenants, senders=senders, sender_rules=rules)
    except ValueError as wrong:
        raise _Wrong(str(wrong)) from wrong


def _senders(section: Any) -> dict[str, SenderProfile]:
    found: dict[str, SenderProfile] = {}
    for name, entry in _mapping(section, "senders").items():
        place = f"senders.{name}"
        if not isinstance(name, str):
            raise _Wrong(f"{place}: write a sender in quotes; without, a number loses its + and its zeros")
        bare = bare_sender(name)
        if not bare or bare in found:
            raise _Wrong(
                f"{place}: is empty or there twice; a number that sends by several channels is one "
                "sender with channels: [sms, whatsapp]"
            )
        typed = {"type": type_of_name(name).value} | _mapping(entry, place)
        found[bare] = _typed(typed, SenderProfile, place)
    return found


def _tenant(entry: Any, above: TenantPolicy, place: str) -> TenantPolicy:
    sections = _mapping(entry, place)
    if unknown := set(sections) - set(_SECTIONS):
        raise _Wrong(f"{place}: {_named(unknown)} is no section; the sections are {', '.join(_SECTIONS)}")
    given = {name: _section(name, value, f"{place}.{name}") for name, value in sections.items()}
    try:
        return msgspec.structs.replace(above, **given)
    except ValueError as wrong:
        raise _Wrong(f"{place}: {wrong}") from wrong


def _section(name: str, value: Any, place: str) -> Any:
    if name not in _BY_NAME:
        return _typed(value, _SECTIONS[name], place)
    key_type, entry_type = _BY_NAME[name]
    return {
        _typed(key, key_type, place): _typed(entry, entry_type, f"{place}.{key}")
        for key, entry in _mapping({} if value is None else value, place).items()
    }


def _typed(value: Any, wanted: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, wanted, dec_hook=from_text)
    except msgspec.ValidationError as wrong:
        what, _, inner = str(wrong).partition(" - at `")
        # msgspec's own place begins with $, which is the place here.
        raise _Wrong(f"{place}{inner.rstrip('`').removeprefix('$')}: {what}") from wrong


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Wrong(f"{place}: expected names with values, got {type(value).__name__}")
    return value


def _named(names: set[str]) -> str:
    return ", ".join(sorted(map(repr, names)))


def _one_line(broken: yaml.YAMLError) -> str:
    return " ".join(str(broken).split())
