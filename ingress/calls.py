"""One webhook's HTTP request, read whole and within bounds.

Guarantees: nobody can make the process keep more than the largest body; nothing a client sends raises. How
long a request may take to arrive is bounded by the server (`ingress.protocol`).
Leaves to others: whether the request is genuine, and what it says.
"""

from enum import Enum

from starlette.types import Message, Receive, Scope

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


async def read_call(scope: Scope, receive: Receive, kind: Kind, received_at: int) -> Call | Refusal:
    """The request with its body. `received_at` is in milliseconds since the epoch."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    if len(headers) > MOST_HEADERS:
        return _TOO_MANY_HEADERS
    if scope["method"] == "GET":
        return Call(scope, headers, b"", received_at)
    content_type = headers.get(b"content-type", b"")
    if content_type not in kind.usual and (content_type.partition(b";")[0].strip().lower() not in kind.types):
        return kind.wrong_type
    announced = headers.get(b"content-length", b"0")
    # Longer than this many digits is too large whatever they say, and int() of thousands raises.
    if len(announced) > 9 or (announced.isdigit() and int(announced) > kind.largest):
        return kind.too_large
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes | Refusal = message.get("body", b"")
    else:
        body = await _rest(message, receive, kind)
    if isinstance(body, Refusal):
        return body
    return Call(scope, headers, body, received_at) if len(body) <= kind.largest else kind.too_large


async def _rest(message: Message, receive: Receive, kind: Kind) -> bytes | Refusal:
    received = b""
    while True:
        if message["type"] == "http.disconnect":
            return Refusal(Reason.TOO_SLOW, "the connection was closed before the body was complete")
        part: bytes = message.get("body", b"")
        received += part
        if len(received) > kind.largest:
            return kind.too_large
        if not message.get("more_body", False):
            return received
        message = await receive()


_TOO_MANY_HEADERS = Refusal(Reason.HEADERS_TOO_LARGE, f"more than {MOST_HEADERS} headers")
