"""ClickHouse's HTTP interface over the engine (ClickHouse documentation, "HTTP Interface").

Guarantees: clickhouse-connect (sync and async), curl and any client that sends SQL in the URL or the body
work as with a server: settings and `param_*` in the URL, data after `FORMAT name`, compressed request bodies,
sessions, the exception code in X-ClickHouse-Exception-Code and the status that belongs to it. The engine runs
in threads, so `/ping` answers at once whatever is being computed.
Leaves out, and refuses by name: ClickHouse's own block compression (`compress=1`, `decompress=1`) and
external tables. Answers are never compressed, and are complete before the first byte is sent: a result must
fit in memory.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.clickhouse_body import read_body, read_form
from sandbox.clickhouse_chdb import Result
from sandbox.clickhouse_engine import Engine, Job
from sandbox.clickhouse_errors import ClickHouseError, Code, refusal
from sandbox.clickhouse_request import Access, credentials, read_job
from sandbox.clickhouse_sql import Kind

DISPLAY_NAME = "notifystream-sandbox"
# Statements that run at once; more wait. Each may use every core, so more would only share them.
PARALLEL_STATEMENTS = 8
CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8",
    "CSVWithNames": "text/csv; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
}


class Summary(msgspec.Struct, frozen=True):
    """X-ClickHouse-Summary. ClickHouse writes its numbers as strings."""

    read_rows: str
    read_bytes: str
    written_rows: str
    written_bytes: str
    total_rows_to_read: str
    result_rows: str
    result_bytes: str
    elapsed_ns: str


def clickhouse_app(engine: Engine, *, access: Access, max_body: int) -> Starlette:
    """The ASGI application over `engine`, which it closes at the end of its lifespan.

    `max_body` is the most bytes a request's body may have after decompression.
    """
    calls = _Calls(engine, access, max_body)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(engine.close)

    return Starlette(
        routes=[
            Route("/ping", calls.alive),
            Route("/replicas_status", calls.alive),
            Route("/", calls.query, methods=["GET", "POST", "PUT"]),
        ],
        lifespan=lifespan,
        exception_handlers={ClickHouseError: calls.fail},
    )


class _Calls:
    __slots__ = ("_access", "_engine", "_headers", "_max_body", "_places")

    def __init__(self, engine: Engine, access: Access, max_body: int) -> None:
        self._engine = engine
        self._access = access
        self._max_body = max_body
        self._places = anyio.CapacityLimiter(PARALLEL_STATEMENTS)
        self._headers = {
            "X-ClickHouse-Server-Display-Name": DISPLAY_NAME,
            "X-ClickHouse-Timezone": engine.timezone,
        }

    async def alive(self, request: Request) -> Response:
        return PlainTextResponse("Ok.\n", headers=self._headers)

    async def query(self, request: Request) -> Response:
        # 1. Who asks: before the body, so that nobody unknown fills the memory.
        user, password = credentials(request)
        if not self._access.admits(user, password):
            raise refusal(
                Code.AUTHENTICATION_FAILED,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
            )
        # 2. What is asked: the URL's query and the body are one text, the data may begin in either.
        parameters = dict(request.query_params.multi_items())
        body = await read_body(
            request.stream(), request.headers.get("content-encoding", ""), limit=self._max_body
        )
        content_type = request.headers.get("content-type", "")
        if content_type.startswith("multipart/form-data"):
            parameters |= dict(read_form(content_type, body).fields)
            body = b""
        in_url = parameters.get("query", "").rstrip().encode()
        source = b"\n".join(part for part in (in_url, body) if part)
        if not source.strip():
            return await self.alive(request)
        # 3. The work, in a thread: the event loop stays free for everybody else.
        job = read_job(request, parameters, source)
        result = await anyio.to_thread.run_sync(self._engine.run, job, limiter=self._places)
        return self._answer(job, result, parameters.get("query_id") or str(uuid.uuid4()))

    async def fail(self, request: Request, error: Exception) -> Response:
        if not isinstance(error, ClickHouseError):
            raise error
        return PlainTextResponse(
            f"{error.text} (version {self._engine.version} (official build))\n",
            error.status,
            headers=self._headers
            | {
                "X-ClickHouse-Exception-Code": str(error.code),
                "X-ClickHouse-Query-Id": request.query_params.get("query_id", ""),
            },
        )

    def _answer(self, job: Job, result: Result, query_id: str) -> Response:
        summary = Summary(
            read_rows=str(result.read_rows),
            read_bytes=str(result.read_bytes),
            written_rows=str(result.written_rows),
            written_bytes=str(result.written_bytes),
            total_rows_to_read=str(result.read_rows),
            result_rows=str(result.result_rows),
            result_bytes=str(len(result.body)),
            elapsed_ns=str(int(result.elapsed_s * 1e9)),
        )
        headers = self._headers | {
            "X-ClickHouse-Summary": msgspec.json.encode(summary).decode(),
            "X-ClickHouse-Query-Id": query_id,
        }
        named = job.statement.format or job.format
        if job.statement.kind is Kind.READ:
            headers["X-ClickHouse-Format"] = named
        headers["Content-Type"] = CONTENT_TYPES.get(named, "text/plain; charset=UTF-8")
        return Response(result.body, headers=headers)
