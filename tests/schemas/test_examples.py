"""Every record has an example that shows all of it, and that travels unchanged."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.codec import Codec
from schemas.topics import load_topics
from tests.schemas.contracts import CLASSES, EXAMPLES, NAMES, avro
from tests.schemas.test_record_classes import avro_records

by_name = pytest.mark.parametrize("name", NAMES)


def text(name: str) -> str:
    return (EXAMPLES / f"{name}.json").read_text()


def example(name: str) -> msgspec.Struct:
    return msgspec.json.decode(text(name), type=CLASSES[name])


def topic_of(name: str) -> str:
    """A topic that carries the record."""
    return next(t for t, spec in load_topics().topics.items() if spec.record == CLASSES[name].__name__)


def objects(value: Any) -> list[dict[str, Any]]:
    """Every JSON object in a value, the outermost first."""
    if isinstance(value, dict):
        return [value, *(each for inner in value.values() for each in objects(inner))]
    return [each for item in value for each in objects(item)] if isinstance(value, list) else []


def test_there_is_an_example_of_each_record_and_of_nothing_else() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(NAMES)


@by_name
def test_an_example_is_its_record_and_nothing_of_it_is_lost(name: str) -> None:
    assert json.loads(msgspec.json.encode(example(name))) == json.loads(text(name))


@by_name
def test_an_example_shows_every_field_with_a_value(name: str) -> None:
    shown = objects(json.loads(text(name)))
    for record in avro_records(avro(name)):
        names = {field["name"] for field in record["fields"]}
        copies = [each for each in shown if set(each) == names]
        assert copies, f"no whole {record['name']} in it"
        assert [n for n in names if all(copy[n] in (None, "", [], {}) for copy in copies)] == []


@by_name
def test_an_example_survives_the_codec(name: str, codec: Codec) -> None:
    record = example(name)
    written = codec.encode(topic_of(name), record)
    assert codec.decode(written, CLASSES[name]) == record


@by_name
def test_a_record_of_required_fields_alone_survives_the_codec(name: str, codec: Codec) -> None:
    optional = {field["name"] for field in avro(name)["fields"] if "default" in field}
    given = {key: value for key, value in json.loads(text(name)).items() if key not in optional}
    record = msgspec.convert(given, CLASSES[name])
    assert codec.decode(codec.encode(topic_of(name), record), CLASSES[name]) == record
