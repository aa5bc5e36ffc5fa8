"""Reading a request to ClickHouse's HTTP interface: who asks, and the job it asks for.

Guarantees: every parameter is used as what it is (of the request, bound to the statement, a setting) or
refused; names that become part of SQL are checked, values are quoted by the engine's side.
Leaves to `clickhouse_http` the answer.
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass

from starlette.requests import Request

from sandbox.clickhouse_engine import Job
from sandbox.clickhouse_errors import Code, refusal
from sandbox.clickhouse_sessions import HttpSession
from sandbox.clickhouse_sql import Kind, read_statement

# Parameters of the request itself; every other one is a setting.
REQUEST_PARAMETERS = frozenset(
    {"query", "database", "default_format", "user", "password", "query_id", "session_id", "session_timeout"}
    | {"session_check", "close_session", "quota_key", "role", "compress", "decompress", "stacktrace"}
    | {"client_protocol_version", "buffer_size", "wait_end_of_query"}
)
SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FORMAT_NAME = re.compile(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may come in. Without a user everybody may, under any name."""

    user: str | None = None
    password: str = ""

    def admits(self, user: str, password: str) -> bool:
        if self.user is None:
            return True
        # Both compared, and in constant time, so that an answer's delay tells nothing.
        right_user = hmac.compare_digest(user.encode(), self.user.encode())
        return hmac.compare_digest(password.encode(), self.password.encode()) and right_user


def read_job(request: Request, parameters: dict[str, str], source: bytes) -> Job:
    """The job in `source`, the statement with its data, and in `parameters`, of the URL or a form.

    Raises ClickHouseError for what this server does not do, and for what a GET may not.
    """
    for name in ("compress", "decompress"):
        if parameters.get(name, "0") not in ("0", "false"):
            raise refusal(
                Code.NOT_IMPLEMENTED,
                f"{name}=1 (ClickHouse's own block format) is not implemented by the sandbox server: "
                "use Content-Encoding, or no compression",
            )
    statement = read_statement(source)
    if request.method in ("GET", "HEAD") and statement.kind is not Kind.READ:
        raise refusal(
            Code.READONLY,
            "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. You "
            "should use method POST for modifying queries",
        )
    wanted = parameters.get("default_format") or request.headers.get("x-clickhouse-format", "TabSeparated")
    if FORMAT_NAME.fullmatch(wanted) is None:
        raise refusal(Code.BAD_ARGUMENTS, f"{wanted!r} is not the name of a format")
    settings: list[tuple[str, str]] = []
    bound: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if name.startswith("param_"):
            bound.append((name.removeprefix("param_"), value))
        elif name not in REQUEST_PARAMETERS:
            if SETTING_NAME.fullmatch(name) is None:
                raise refusal(Code.BAD_ARGUMENTS, f"{name!r} is not the name of a setting")
            settings.append((name, value))
    return Job(
        statement,
        data=b"" if statement.data_at is None else source[statement.data_at :],
        format=wanted,
        database=parameters.get("database") or request.headers.get("x-clickhouse-database"),
        settings=tuple(settings),
        parameters=tuple(bound),
        session=_session(parameters),
    )


def _session(parameters: dict[str, str]) -> HttpSession | None:
    if not parameters.get("session_id"):
        return None
    timeout = parameters.get("session_timeout", "60")
    if not timeout.isdecimal():
        raise refusal(Code.INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{timeout}'")
    return HttpSession(parameters["session_id"], float(timeout), parameters.get("session_check") == "1")


def credentials(request: Request) -> tuple[str, str]:
    """User and password, from the first place that has them; `default` without a password otherwise."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise refusal(
                Code.AUTHENTICATION_FAILED, f"The Authorization header is not Basic: {error}"
            ) from error
        return user, password
    if "x-clickhouse-user" in request.headers:
        return request.headers["x-clickhouse-user"], request.headers.get("x-clickhouse-key", "")
    return request.query_params.get("user", "default"), request.query_params.get("password", "")
