"""Confluent's Schema Registry REST calls over a Store (API reference: "Schema Registry API Reference").

Guarantees: paths, queries, bodies, statuses and error codes are those that confluent-kafka's
SchemaRegistryClient, AvroSerializer and AvroDeserializer use, for Avro schemas.
Leaves to `registry_wire` how bodies are written and to `registry_store` every decision.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import registry_wire as wire
from sandbox.registry_errors import RegistryError
from sandbox.registry_policy import policy_routes
from sandbox.registry_schemas import SchemaText
from sandbox.registry_state import Version, guid_of
from sandbox.registry_store import Store
from sandbox.registry_wire import answer, flag, read_version


def registry_app(store: Store) -> Starlette:
    """The ASGI application over `store`, which it closes at the end of its lifespan."""
    calls = _Calls(store)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    routes = [
        Route("/", calls.root),
        Route("/schemas", calls.schemas),
        Route("/schemas/types", calls.types),
        Route("/schemas/guids/{guid}", calls.schema_by_guid),
        Route("/schemas/ids/{id:int}", calls.schema),
        Route("/schemas/ids/{id:int}/schema", calls.schema_text),
        Route("/schemas/ids/{id:int}/subjects", calls.schema_subjects),
        Route("/schemas/ids/{id:int}/versions", calls.schema_versions),
        Route("/subjects", calls.subjects),
        Route("/subjects/{subject:path}/versions/{version}/schema", calls.version_text),
        Route("/subjects/{subject:path}/versions/{version}/referencedby", calls.referenced_by),
        Route("/subjects/{subject:path}/versions/{version}", calls.delete_version, methods=["DELETE"]),
        Route("/subjects/{subject:path}/versions/{version}", calls.version),
        Route("/subjects/{subject:path}/versions", calls.register, methods=["POST"]),
        Route("/subjects/{subject:path}/versions", calls.versions),
        Route("/subjects/{subject:path}", calls.find, methods=["POST"]),
        Route("/subjects/{subject:path}", calls.delete_subject, methods=["DELETE"]),
        Route("/compatibility/subjects/{subject:path}/versions/{version}", calls.check, methods=["POST"]),
        Route("/compatibility/subjects/{subject:path}/versions", calls.check_all, methods=["POST"]),
    ]
    routes += policy_routes(store)
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={RegistryError: _refuse, HTTPException: _no_such_call},
    )


class _Calls:
    """One method per call; each reads the request, asks the store and writes the answer."""

    __slots__ = ("_state", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = store.state

    async def root(self, request: Request) -> Response:
        return answer({})

    async def types(self, request: Request) -> Response:
        return answer(["AVRO"])

    async def schemas(self, request: Request) -> Response:
        prefix = request.query_params.get("subjectPrefix", "")
        found = [
            version
            for version in self._state.all_versions(deleted=flag(request, "deleted"))
            if version.subject.startswith(prefix)
        ]
        if flag(request, "latestOnly"):
            found = list({version.subject: version for version in found}.values())
        return answer([self._describe(version) for version in found])

    async def schema(self, request: Request) -> Response:
        schema_id: int = request.path_params["id"]
        return answer(_describe_schema(self._state.schema(schema_id)))

    async def schema_by_guid(self, request: Request) -> Response:
        schema_id = self._state.schema_by_guid(request.path_params["guid"])
        return answer(_describe_schema(self._state.schema(schema_id)))

    async def schema_text(self, request: Request) -> Response:
        return _text(self._state.schema(request.path_params["id"]))

    async def schema_subjects(self, request: Request) -> Response:
        uses = self._state.uses(request.path_params["id"], deleted=flag(request, "deleted"))
        return answer(sorted({version.subject for version in uses}))

    async def schema_versions(self, request: Request) -> Response:
        uses = self._state.uses(request.path_params["id"], deleted=flag(request, "deleted"))
        return answer([wire.SubjectVersion(version.subject, version.number) for version in uses])

    async def subjects(self, request: Request) -> Response:
        prefix = request.query_params.get("subjectPrefix", "")
        visible = {version.subject for version in self._state.all_versions()}
        found = {version.subject for version in self._state.all_versions(deleted=True)}
        if flag(request, "deletedOnly"):
            found -= visible
        elif not flag(request, "deleted"):
            found = visible
        return answer(sorted(subject for subject in found if subject.startswith(prefix)))

    async def versions(self, request: Request) -> Response:
        versions = self._state.versions(_subject(request), deleted=flag(request, "deleted"))
        return answer([version.number for version in versions])

    async def version(self, request: Request) -> Response:
        return answer(self._describe(self._asked_version(request)))

    async def version_text(self, request: Request) -> Response:
        return _text(self._state.schema(self._asked_version(request).id))

    async def referenced_by(self, request: Request) -> Response:
        version = self._asked_version(request)
        users = self._state.referrers(version.subject, version.number)
        return answer(sorted({user.id for user in users}))

    async def register(self, request: Request) -> Response:
        schema = await self._sent_schema(request)
        version = self._store.register(_subject(request), schema)
        return answer(self._describe(version))

    async def find(self, request: Request) -> Response:
        # The subject first: a client that asks for an unknown one is told so, whatever it sent.
        self._state.versions(_subject(request), deleted=flag(request, "deleted"))
        schema = await self._sent_schema(request)
        return answer(
            self._describe(self._store.find(_subject(request), schema, deleted=flag(request, "deleted")))
        )

    async def delete_subject(self, request: Request) -> Response:
        return answer(self._store.delete_subject(_subject(request), permanent=flag(request, "permanent")))

    async def delete_version(self, request: Request) -> Response:
        number = read_version(request.path_params["version"])
        return answer(
            self._store.delete_version(_subject(request), number, permanent=flag(request, "permanent"))
        )

    async def check(self, request: Request) -> Response:
        number = read_version(request.path_params["version"])
        schema = await self._sent_schema(request)
        if number is None:
            # A subject without versions is not an error here: whatever comes first is compatible.
            return self._check(request, schema, self._state.visible(_subject(request))[-1:])
        return self._check(request, schema, [self._state.version(_subject(request), number)])

    async def check_all(self, request: Request) -> Response:
        schema = await self._sent_schema(request)
        return self._check(request, schema, self._state.visible(_subject(request)))

    def _check(self, request: Request, schema: SchemaText, earlier: list[Version]) -> Response:
        level = self._state.level(_subject(request))
        verdict = self._store.check(level, schema, earlier)
        messages = verdict.messages if flag(request, "verbose") else ()
        return answer(wire.CompatibilityAnswer(verdict.compatible, messages))

    async def _sent_schema(self, request: Request) -> SchemaText:
        body = await wire.read_schema_body(request)
        return self._store.read_schema(
            body.schema, body.references or (), normalize=flag(request, "normalize")
        )

    def _asked_version(self, request: Request) -> Version:
        number = read_version(request.path_params["version"])
        return self._state.version(_subject(request), number, deleted=flag(request, "deleted"))

    def _describe(self, version: Version) -> wire.SchemaAnswer:
        schema = self._state.schema(version.id)
        return wire.SchemaAnswer(
            schema.text,
            guid_of(schema),
            subject=version.subject,
            version=version.number,
            id=version.id,
            references=schema.references,
            deleted=version.deleted,
        )


def _describe_schema(schema: SchemaText) -> wire.SchemaAnswer:
    return wire.SchemaAnswer(schema.text, guid_of(schema), references=schema.references)


def _text(schema: SchemaText) -> Response:
    return Response(schema.text, media_type=wire.MEDIA_TYPE)


def _subject(request: Request) -> str:
    subject: str = request.path_params["subject"]
    return subject


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, RegistryError):
        raise error
    return answer(wire.ErrorAnswer(error.code, error.message), error.status)


async def _no_such_call(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = f"HTTP {error.status_code} {error.detail}: {request.method} {request.url.path}"
    return answer(wire.ErrorAnswer(error.status_code, message), error.status_code)
