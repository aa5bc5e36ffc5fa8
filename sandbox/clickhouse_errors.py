"""ClickHouse's exceptions on their way to an HTTP client: code, message, status.

Guarantees: the status belongs to the code as in ClickHouse's own server (its `exceptionCodeToHTTPStatus.cpp`;
numbers as `errorCodeToName` of the engine gives them); the engine's words are kept, so a client that parses
`Code: N. DB::Exception: … (NAME)` finds what it expects.
Leaves to `clickhouse_http` the writing of the answer.
"""

import enum
import re

ENGINE_MESSAGE = re.compile(r"Code: (\d+)\. (?:DB::)?Exception")


class Code(enum.IntEnum):
    """The exceptions this server raises itself; the engine has many more."""

    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_TYPE_OF_QUERY = 78
    UNKNOWN_COMPRESSION_METHOD = 89
    READONLY = 164
    QUERY_IS_TOO_LARGE = 229
    ABORTED = 236
    CANNOT_DECOMPRESS = 271
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    AUTHENTICATION_FAILED = 516
    UNKNOWN_EXCEPTION = 1002


CODES_BY_STATUS: dict[int, frozenset[int]] = {
    # values that cannot be parsed, do not fit, or make no sense; malformed statements
    400: frozenset({6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376})
    | frozenset({427, 441, 675, 676}),
    # REQUIRED_PASSWORD
    401: frozenset({194}),
    # unknown user, wrong password, access denied, role not granted
    403: frozenset({192, 193, 497, 512, 516}),
    # unknown function, identifier, type, storage, table, format, query type, database, setting, role, …
    404: frozenset({46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511}),
    # TIMEOUT_EXCEEDED
    408: frozenset({159}),
    # HTTP_LENGTH_REQUIRED
    411: frozenset({381}),
    413: frozenset({Code.QUERY_IS_TOO_LARGE}),
    # UNSUPPORTED_MEDIA_TYPE
    415: frozenset({779}),
    501: frozenset({Code.NOT_IMPLEMENTED}),
    # CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
    503: frozenset({76, 209, 439}),
}


class ClickHouseError(Exception):
    """A request that ends in an exception. `text` is the whole message, without the server's version."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status ClickHouse answers with; 500 for every code without a better one."""
        for status, codes in CODES_BY_STATUS.items():
            if self.code in codes:
                return status
        return 500


def refusal(code: Code, message: str) -> ClickHouseError:
    """An exception of this server, in the engine's own form."""
    return ClickHouseError(code, f"Code: {code.value}. DB::Exception: {message}. ({code.name})")


def from_engine(message: str) -> ClickHouseError:
    """The exception in what the engine said; UNKNOWN_EXCEPTION when it gave no code."""
    found = ENGINE_MESSAGE.search(message)
    if found is None:
        return refusal(Code.UNKNOWN_EXCEPTION, message)
    return ClickHouseError(int(found[1]), message[found.start() :].strip())
