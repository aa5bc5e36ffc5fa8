"""The Avro files and the record classes say the same, field by field."""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from schemas.codec import schema_text
from tests.schemas.contracts import CLASSES, NAMES, SCHEMAS, avro

PRIMITIVES = {"string": str, "int": int, "long": int, "boolean": bool, "bytes": bytes, "double": float}


def avro_records(node: Any) -> Iterator[dict[str, Any]]:
    """Every record in a schema, the outermost first."""
    if isinstance(node, list):
        for item in node:
            yield from avro_records(item)
    elif isinstance(node, dict):
        if node["type"] == "record":
            yield node
            for field in node["fields"]:
                yield from avro_records(field["type"])
        else:
            yield from avro_records(node.get("items") or node.get("values") or [])


def nested_classes(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
        for field in msgspec.structs.fields(hint):
            yield from nested_classes(field.type)
    else:
        for argument in typing.get_args(hint):
            yield from nested_classes(argument)


def pairs() -> list[tuple[str, dict[str, Any], type[msgspec.Struct]]]:
    """(place, Avro record, class) of every record of every file, those inside others included."""
    found = []
    for name, cls in CLASSES.items():
        inside = {each.__name__: each for each in nested_classes(cls)}
        for record in avro_records(avro(name)):
            found.append((f"{name}:{record['name']}", record, inside.get(record["name"], msgspec.Struct)))
    return found


PAIRS = pairs()
by_record = pytest.mark.parametrize(("record", "cls"), [p[1:] for p in PAIRS], ids=[p[0] for p in PAIRS])


def avro_types(node: Any) -> set[Any]:
    """The Python types an Avro type means; records by their name."""
    if isinstance(node, list):
        return {each for item in node for each in avro_types(item)}
    if isinstance(node, dict):
        kind = node["type"]
        if kind == "record":
            return {node["name"]}
        if kind == "array":
            return {("array", frozenset(avro_types(node["items"])))}
        if kind == "map":
            return {("map", frozenset(avro_types(node["values"])))}
        return avro_types(kind)
    if node == "null":
        return {type(None)}
    return {PRIMITIVES.get(node, node)}  # else the name of a record of the same file


def class_types(hint: Any) -> set[Any]:
    """The same of a class's annotation; an enum of strings is a string on the wire."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {each for argument in arguments for each in class_types(argument)}
    if origin is tuple:
        return {("array", frozenset(class_types(arguments[0])))}
    if origin is dict:
        return {("map", frozenset(class_types(arguments[1])))}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {hint.__name__}
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return {str}
    return {hint}


def defaults_of(cls: type[msgspec.Struct]) -> dict[str, Any]:
    """Defaults by field as they are written to the wire; a field without one is not in."""
    found = {}
    for field in msgspec.structs.fields(cls):
        if field.default is not msgspec.NODEFAULT:
            found[field.name] = json.loads(msgspec.json.encode(field.default))
        elif field.default_factory is not msgspec.NODEFAULT:
            found[field.name] = json.loads(msgspec.json.encode(field.default_factory()))
    return found


@by_record
def test_a_class_has_the_fields_of_its_avro_record_and_no_others(
    record: dict[str, Any], cls: type[msgspec.Struct]
) -> None:
    assert {field.name for field in msgspec.structs.fields(cls)} == {f["name"] for f in record["fields"]}


@by_record
def test_a_field_has_the_same_type_in_both_and_may_be_missing_in_both_or_in_neither(
    record: dict[str, Any], cls: type[msgspec.Struct]
) -> None:
    hints = typing.get_type_hints(cls)
    assert {name: class_types(hint) for name, hint in hints.items()} == {
        field["name"]: avro_types(field["type"]) for field in record["fields"]
    }


@by_record
def test_a_field_has_the_same_default_in_both_or_none_in_both(
    record: dict[str, Any], cls: type[msgspec.Struct]
) -> None:
    assert defaults_of(cls) == {f["name"]: f["default"] for f in record["fields"] if "default" in f}


@by_record
def test_every_field_says_what_it_means(record: dict[str, Any], cls: type[msgspec.Struct]) -> None:
    assert [field["name"] for field in record["fields"] if not field.get("doc", "").strip()] == []
    assert record["doc"].strip()


@by_record
def test_times_are_milliseconds_and_say_so(record: dict[str, Any], cls: type[msgspec.Struct]) -> None:
    untyped = [
        field["name"]
        for field in record["fields"]
        if (field["name"] == "at" or field["name"].endswith("_at"))
        and "timestamp-millis" not in str(field["type"])
    ]
    assert untyped == []


@pytest.mark.parametrize("name", NAMES)
def test_the_codec_finds_the_file_of_a_class_by_its_name(name: str) -> None:
    assert schema_text(CLASSES[name]) == (SCHEMAS / f"{name}.avsc").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_records_cannot_be_changed_once_made(name: str) -> None:
    assert CLASSES[name].__struct_config__.frozen


def test_a_record_used_in_several_files_is_the_same_in_all_of_them() -> None:
    by_name: dict[str, list[dict[str, Any]]] = {}
    for _, record, _ in PAIRS:
        by_name.setdefault(record["name"], []).append({**record, "namespace": None, "doc": None})
    assert [name for name, copies in by_name.items() if any(copy != copies[0] for copy in copies)] == []
