"""An answer as bytes of HTTP.

Guarantees: pure. Fields have no line end of a client's, since none of them holds what a client sent.
Leaves to others: the status line, the date and the connection, which belong to the server.
"""

import msgspec

from ingress.accepted import NO_CONTENT, Answer
from ingress.refusals import Reason, Refusal

RETRY_AFTER_S = 2


class Response(msgspec.Struct, frozen=True):
    """`fields` are complete header lines. `closes`: the connection is of no use after it."""

    status: int
    fields: bytes = b""
    body: bytes = b""
    closes: bool = False


_NO_CONTENT = Response(204)


def response(answer: Answer) -> Response:
    """With the fields that follow from the answer itself."""
    if answer is NO_CONTENT:
        return _NO_CONTENT
    fields = b""
    if answer.media_type is not None:
        fields = b"content-type: %s; charset=utf-8\r\n" % answer.media_type.encode()
    if answer.status != 204:
        fields += b"content-length: %d\r\n" % len(answer.body)
    if answer.status == 503:
        fields += b"retry-after: %d\r\n" % RETRY_AFTER_S
    return Response(answer.status, fields, answer.body)


def refusal_response(refusal: Refusal, methods: frozenset[str]) -> Response:
    """`methods` are those the route takes."""
    said = response(
        Answer(refusal.reason.status, f"{refusal.reason}: {refusal.detail}\n".encode(), "text/plain")
    )
    if refusal.reason is Reason.WRONG_METHOD:
        allowed = ", ".join(sorted(methods)).encode()
        return msgspec.structs.replace(said, fields=said.fields + b"allow: %s\r\n" % allowed)
    if refusal.reason is Reason.TOO_LARGE:
        # What is left of the body would be taken for the next request.
        return msgspec.structs.replace(said, closes=True)
    return said
