"""Records to bytes and back: Avro in the Confluent wire format, writer schemas from a registry.

Guarantees: what `encode` writes, any Confluent Avro deserializer reads, and the other way round (tested);
`decode` returns a whole typed record or raises. Timestamps stay integers (milliseconds) on our side: the
logical type is taken out of the schemas here before use, which changes nothing on the wire.

Wire format: one zero byte, the schema id as four bytes big-endian, the Avro body
(docs.confluent.io, "Schema Registry serializer and deserializer", wire format).
"""

import io
import json
import re
import struct
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import fastavro
import fastavro.schema
import httpx2
import msgspec
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from schemas.errors import RegistryUnavailable, WireError
from schemas.hot_outcome import encode_outcome
from schemas.hot_status import encode_status
from schemas.records import NotificationOutcome, ProviderStatus

_PREFIX = struct.Struct(">bI")
R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")
AvroSchema = dict[str, Any]
_BY_HAND: dict[type[msgspec.Struct], Callable[[Any], bytes | None]] = {
    ProviderStatus: encode_status,
    NotificationOutcome: encode_outcome,
}


@cache
def schema_text(record_type: type[msgspec.Struct]) -> str:
    """The Avro file of a record type, as it stands in this folder."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", record_type.__name__).lower()
    return resources.files("schemas").joinpath(f"{name}.avsc").read_text()


def _plain(node: Any) -> Any:
    """The schema without logical types: fastavro would turn every timestamp into a datetime."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items() if key != "logicalType"}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node


def _parsed(text: str) -> AvroSchema:
    return fastavro.parse_schema(_plain(json.loads(text)))  # type: ignore[return-value]


class Codec:
    """Encodes and decodes records of all topics. Not bound to an event loop; safe to share between threads.

    Talks to the registry once per subject and once per writer schema, then never again.
    """

    def __init__(self, registry_url: str, *, timeout_s: float = 10.0) -> None:
        self._registry = SchemaRegistryClient({"url": registry_url, "timeout": timeout_s, "max.retries": 2})
        self._ids: dict[tuple[str, type[msgspec.Struct]], bytes] = {}
        self._ours: dict[type[msgspec.Struct], AvroSchema] = {}
        self._writers: dict[int, AvroSchema] = {}

    def close(self) -> None:
        """Close the connections to the registry. A codec that is not closed leaves them to the collector."""
        self._registry.close()

    def register(self, topic: str, record_type: type[msgspec.Struct]) -> int:
        """Make the record's schema known under `<topic>-value` and return its id.

        Raises RegistryUnavailable, or SchemaRegistryError 409 when the registry holds an older version
        that this one is not compatible with.
        """
        schema = Schema(schema_text(record_type), "AVRO")
        schema_id = _asked(lambda: self._registry.register_schema(f"{topic}-value", schema))
        self.adopt(topic, record_type, schema_id)
        return int(schema_id)

    def adopt(self, topic: str, record_type: type[msgspec.Struct], schema_id: int) -> None:
        """Use the id that the registry gave for this schema and subject before, without asking it."""
        self._ids[topic, record_type] = _PREFIX.pack(0, schema_id)

    def encode(self, topic: str, record: msgspec.Struct) -> bytes:
        """The record's bytes for this topic. Raises RegistryUnavailable, never on a valid record."""
        record_type = type(record)
        prefix = self._ids.get((topic, record_type))
        if prefix is None:
            self.register(topic, record_type)
            prefix = self._ids[topic, record_type]
        by_hand = _BY_HAND.get(record_type)
        if by_hand is not None:
            body = by_hand(record)
            if body is not None:
                return prefix + body
        out = io.BytesIO()
        out.write(prefix)
        fastavro.schemaless_writer(
            out, self._own(record_type), msgspec.to_builtins(record, builtin_types=(bytes,))
        )
        return out.getvalue()

    def decode(self, value: bytes | None, record_type: type[R]) -> R:
        """The record in these bytes.

        Raises WireError when they are not such a record, RegistryUnavailable when nobody could tell.
        """
        wanted = record_type.__name__
        if value is None or len(value) < _PREFIX.size or value[0] != 0:
            raise WireError(
                "not-avro",
                f"expected a {wanted} in the Confluent wire format (a zero byte, a schema id, Avro); got "
                f"{'no value' if value is None else f'{len(value)} bytes of something else'}. "
                "Write it with an Avro serializer that uses the schema registry.",
            )
        schema_id = _PREFIX.unpack_from(value)[1]
        writer = self._writer(schema_id)
        ours = self._own(record_type)
        if writer["name"] != ours["name"]:
            raise WireError(
                "wrong-schema",
                f"schema {schema_id} is a {writer['name']}, this topic carries {ours['name']}; "
                "check the topic and the subject it was written with.",
            )
        try:
            plain = fastavro.schemaless_reader(io.BytesIO(value[_PREFIX.size :]), writer, ours)
            return msgspec.convert(plain, record_type, builtin_types=(bytes,))
        except Exception as broken:  # fastavro raises whatever the bytes lead it into
            raise WireError(
                "corrupt", f"bytes do not hold a {wanted} of schema {schema_id}: {_said(broken)}"
            ) from broken

    def is_own(self, value: bytes, record_type: type[msgspec.Struct]) -> bool:
        """Whether bytes that `decode` has read were written with this folder's schema, field for field."""
        writer = self._writer(_PREFIX.unpack_from(value)[1])
        ours = self._own(record_type)
        canonical = fastavro.schema.to_parsing_canonical_form
        return bool(writer == ours or canonical(writer) == canonical(ours))

    def _own(self, record_type: type[msgspec.Struct]) -> AvroSchema:
        if record_type not in self._ours:
            self._ours[record_type] = _parsed(schema_text(record_type))
        return self._ours[record_type]

    def _writer(self, schema_id: int) -> AvroSchema:
        known = self._writers.get(schema_id)
        if known is not None:
            return known
        try:
            text = _asked(lambda: self._registry.get_schema(schema_id).schema_str) or ""
        except SchemaRegistryError as unknown:
            raise WireError(
                "unknown-schema",
                f"the registry has no schema {schema_id}; was this written against another registry?",
            ) from unknown
        try:
            parsed = _parsed(text)
        except Exception as broken:
            raise WireError(
                "wrong-schema", f"schema {schema_id} is not an Avro record: {_said(broken)}"
            ) from broken
        # A schema may also be a bare "string" or a union.
        if not isinstance(parsed, dict) or parsed.get("type") != "record":
            raise WireError("wrong-schema", f"schema {schema_id} is not an Avro record")
        self._writers[schema_id] = parsed
        return parsed


def _asked(call: Callable[[], T]) -> T:
    """The registry's answer. A refusal of the request itself (404, 409, 422) is the caller's to judge."""
    try:
        return call()
    except SchemaRegistryError as answer:
        if answer.http_status_code in (404, 409, 422):
            raise
        raise RegistryUnavailable(_said(answer)) from answer
    except (httpx2.TransportError, OSError) as away:
        raise RegistryUnavailable(_said(away)) from away


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
