"""From an HTTP request to a verified form, or the reason why there is none.

Guarantees: fails closed: a `Verified` carries a signature made with a token of the account it names, over
the public URL with exactly the path and query that were asked for, and all parameters; nobody can make the
process keep more than 64 KB or wait longer than 10 s for a body; nothing a client sends raises.
Leaves to others: what the form means.
"""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Message

from ingress import signature
from ingress.config import IngressConfig
from ingress.form import Form, parse_form
from ingress.refusals import Reason, Refusal

# A message of 1,600 characters with ten media URLs and all that WhatsApp adds is below 20 KB.
LARGEST_BODY = 64 * 1024
# Twilio sends a webhook in one piece; whoever dribbles holds a connection.
BODY_TIMEOUT_S = 10.0
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Verified:
    """`query` is that of the URL, as signed."""

    form: Form
    query: str


class Reader:
    """Reads and verifies requests by the configuration's public URL and tokens."""

    __slots__ = ("_bases", "_tokens")

    def __init__(self, config: IngressConfig) -> None:
        self._bases = signature.signed_forms(config.public_base_url.rstrip("/"))
        self._tokens = config.tokens

    async def read(self, request: Request) -> Verified | Refusal:
        """Of a POST the body's parameters are signed one by one; of a GET the URL with its query is."""
        query_string: bytes = request.scope["query_string"]
        if request.method == "GET":
            form = parse_form(query_string)
            signed: tuple[tuple[str, str], ...] = ()
        else:
            body = await _form_body(request)
            if isinstance(body, Refusal):
                return body
            form = parse_form(body)
            signed = form.pairs if isinstance(form, Form) else ()
        if isinstance(form, Refusal):
            return form
        query = query_string.decode("utf-8", "replace")
        refusal = self._forged(request, form, signed, query)
        return refusal if refusal is not None else Verified(form, query)

    def _forged(
        self, request: Request, form: Form, signed: tuple[tuple[str, str], ...], query: str
    ) -> Refusal | None:
        given = request.headers.get(signature.SIGNATURE_HEADER)
        if given is None:
            return Refusal(
                Reason.MISSING_SIGNATURE, "there is no X-Twilio-Signature; only Twilio may call this"
            )
        tokens = self._tokens.get(form.values.get("AccountSid", ""))
        if tokens is None:
            return Refusal(
                Reason.UNKNOWN_ACCOUNT,
                "no auth token is known for this AccountSid; add the account to the ingress's tokens",
            )
        # The path as it was asked for: decoded and encoded again it could differ from what was signed.
        path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        target = path.decode("utf-8", "replace") + (f"?{query}" if query else "")
        algorithm = signature.algorithm_of(request.headers.get(signature.SETTINGS_HEADER))
        forms = [base + target for base in self._bases]
        if signature.verify(forms, signed, given, tokens, algorithm):
            return None
        return Refusal(
            Reason.BAD_SIGNATURE,
            "the signature does not match; check that PUBLIC_BASE_URL is the address Twilio calls, and that "
            "the token is the account's primary auth token",
        )


async def _form_body(request: Request) -> bytes | Refusal:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        return Refusal(Reason.WRONG_TYPE, f"the body is not {FORM_TYPE}; webhooks must be form-encoded")
    announced = request.headers.get("content-length", "0")
    # Longer than this many digits is too large whatever they say, and int() of thousands raises.
    if len(announced) > 9 or (announced.isdecimal() and int(announced) > LARGEST_BODY):
        return _TOO_LARGE
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _received(request)
    except TimeoutError:
        return Refusal(Reason.TOO_SLOW, f"the body did not arrive within {BODY_TIMEOUT_S:g} s")


async def _received(request: Request) -> bytes | Refusal:
    received = b""
    while True:
        message: Message = await request.receive()
        if message["type"] == "http.disconnect":
            return Refusal(Reason.TOO_SLOW, "the connection was closed before the body was complete")
        body: bytes = message.get("body", b"")
        received += body
        if len(received) > LARGEST_BODY:
            return _TOO_LARGE
        if not message.get("more_body", False):
            return received


_TOO_LARGE = Refusal(Reason.TOO_LARGE, f"the body is larger than {LARGEST_BODY} bytes")
