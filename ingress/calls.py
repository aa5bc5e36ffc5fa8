"""One webhook's HTTP request as a whole: whether its route takes such a one, and its parts.

Guarantees: pure; nothing a client sends raises.
Leaves to others: how it arrived (`ingress.exchanges`), whether it is genuine, and what it says.
"""

from enum import Enum

from starlette.types import Scope

from ingress.refusals import Reason, Refusal

# A message of 1,600 characters with ten media URLs and all that WhatsApp adds is below 20 KB.
LARGEST_FORM = 64 * 1024
# Event Streams send batches; each event has a few KB.
LARGEST_BATCH = 1024 * 1024
# Twilio sends about ten; a proxy adds a few.
MOST_HEADERS = 100


class Kind(Enum):
    """What a route's POST carries: its media types, the usual one first, and how long it may be."""

    FORM = ((b"application/x-www-form-urlencoded",), LARGEST_FORM)
    JSON = ((b"application/json", b"application/cloudevents-batch+json"), LARGEST_BATCH)

    def __init__(self, types: tuple[bytes, ...], largest: int) -> None:
        self.types = frozenset(types)
        self.usual = self.types | {of + b"; charset=utf-8" for of in types}
        self.largest = largest
        self.wrong_type = Refusal(
            Reason.WRONG_TYPE, f"the body is not {types[0].decode()}, which is what this webhook takes"
        )
        self.too_large = Refusal(Reason.TOO_LARGE, f"the body is larger than {largest} bytes")


class Call:
    """A whole request. `target` is path and query as they were asked for; a GET has no body."""

    __slots__ = ("body", "headers", "is_get", "query", "received_at", "scope", "target")

    def __init__(self, scope: Scope, headers: dict[bytes, bytes], body: bytes, received_at: int) -> None:
        self.scope = scope
        self.headers = headers
        self.body = body
        self.received_at = received_at
        self.is_get: bool = scope["method"] == "GET"
        self.query: bytes = scope["query_string"]
        # The path as it was asked for: decoded and encoded again it could differ from what was signed.
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        self.target = path + b"?" + self.query if self.query else path


def read_call(
    scope: Scope, body: bytes, kind: Kind, methods: frozenset[str], received_at: int
) -> Call | Refusal:
    """The request, if it is one that the route takes. `received_at` is in milliseconds since the epoch."""
    method = scope["method"]
    if method not in methods:
        return _WRONG_METHOD
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if len(headers) > MOST_HEADERS:
        return _TOO_MANY_HEADERS
    if method == "GET":
        return Call(scope, headers, b"", received_at)
    content_type = headers.get(b"content-type", b"")
    if content_type not in kind.usual and (content_type.partition(b";")[0].strip().lower() not in kind.types):
        return kind.wrong_type
    return Call(scope, headers, body, received_at) if len(body) <= kind.largest else kind.too_large


_TOO_MANY_HEADERS = Refusal(Reason.HEADERS_TOO_LARGE, f"more than {MOST_HEADERS} headers")
_WRONG_METHOD = Refusal(Reason.WRONG_METHOD, "this route takes no such method; configure Twilio to use POST")
