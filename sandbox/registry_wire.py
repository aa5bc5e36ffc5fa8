"""The registry's request and answer bodies, and reading and writing them.

Guarantees: field names and media type are Confluent's; a body that cannot be read is refused with 422 and the
reason; what the sandbox registry lacks (other formats, metadata, rule sets) is refused by name, not ignored.
Leaves to `registry_routes` which body belongs to which call.
"""

from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from sandbox import registry_errors as errors
from sandbox.registry_schemas import Compatibility, Reference

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_VERSION = 2**31 - 1


class SchemaBody(msgspec.Struct, frozen=True):
    """What a client sends to register, look up or check a schema."""

    schema: str
    schemaType: str | None = None
    references: tuple[Reference, ...] | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"null")
    ruleSet: msgspec.Raw = msgspec.Raw(b"null")


class LevelBody(msgspec.Struct, frozen=True):
    compatibility: str


class ModeBody(msgspec.Struct, frozen=True):
    mode: str


class SchemaAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A schema, and of a version also where it stands. schemaType is left out for Avro, as Confluent does."""

    schema: str
    guid: str
    subject: str | None = None
    version: int | None = None
    id: int | None = None
    references: tuple[Reference, ...] = ()
    deleted: bool = False


class SubjectVersion(msgspec.Struct, frozen=True):
    subject: str
    version: int


class Level(msgspec.Struct, frozen=True):
    compatibilityLevel: str


class CompatibilityAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    is_compatible: bool
    messages: tuple[str, ...] = ()


class ErrorAnswer(msgspec.Struct, frozen=True):
    error_code: int
    message: str


Body = TypeVar("Body", SchemaBody, LevelBody, ModeBody)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """The request's body as `kind`, or a refusal that says what was wrong with it."""
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.MsgspecError as error:
        raise errors.invalid_body(str(error)) from error


async def read_schema_body(request: Request) -> SchemaBody:
    body = await read_body(request, SchemaBody)
    if body.schemaType not in (None, "AVRO"):
        raise errors.not_supported(f"Schema type {body.schemaType}")
    if bytes(body.metadata) != b"null" or bytes(body.ruleSet) != b"null":
        raise errors.not_supported("A schema with metadata or a rule set")
    return body


def read_level(name: str) -> Compatibility:
    try:
        return Compatibility(name.upper())
    except ValueError:
        raise errors.invalid_compatibility(name) from None


def read_mode(name: str) -> bool:
    """Whether the mode is read-only; the modes for imports and contexts are not known here."""
    modes = {"READWRITE": False, "READONLY": True}
    if name.upper() not in modes:
        raise errors.invalid_mode(name)
    return modes[name.upper()]


def mode_name(read_only: bool) -> str:
    return "READONLY" if read_only else "READWRITE"


def read_version(text: str) -> int | None:
    """A version's number; None stands for the latest, which is written `latest` or -1."""
    if text in ("latest", "-1"):
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MAX_VERSION:
        raise errors.invalid_version(text)
    return int(text)


def flag(request: Request, name: str) -> bool:
    """A yes-or-no query parameter. Clients write it in many ways: confluent-kafka sends Python's `True`."""
    return request.query_params.get(name, "").lower() == "true"


def answer(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type=MEDIA_TYPE)
