"""From an HTTP request to a verified form or body, or the reason why there is none.

Guarantees: fails closed: a `Verified` was signed with a token of the account it names, over the public URL
with exactly the path and query that were asked for, and all parameters (of a JSON body, its hash); nobody can
make the process keep more than the largest body or wait longer than 10 s for one; nothing a client sends
raises.
Leaves to others: what the form means.
"""

from collections.abc import Callable

import msgspec
from starlette.types import Message, Receive, Scope

from ingress.accounts import Account, Accounts
from ingress.config import IngressConfig
from ingress.form import Form, parse_form
from ingress.forwarded import Origin, TrustedProxies, forwarded_origin
from ingress.refusals import Reason, Refusal
from ingress.signature import DEFAULT_ALGORITHM, SETTINGS_HEADER, SIGNATURE_HEADER, algorithm_of

# A message of 1,600 characters with ten media URLs and all that WhatsApp adds is below 20 KB.
LARGEST_FORM = 64 * 1024
# Event Streams send batches; each event has a few KB.
LARGEST_BATCH = 1024 * 1024
# Twilio sends about ten; a proxy adds a few.
MOST_HEADERS = 100
FORM_TYPE = b"application/x-www-form-urlencoded"
JSON_TYPES = frozenset({b"application/json", b"application/cloudevents-batch+json"})

_SIGNATURE = SIGNATURE_HEADER.encode()
_SETTINGS = SETTINGS_HEADER.encode()

Headers = dict[bytes, bytes]


class VerifiedForm(msgspec.Struct, frozen=True, gc=False):
    """`query` is that of the URL, as signed."""

    form: Form
    query: str
    account: Account


class VerifiedBody(msgspec.Struct, frozen=True):
    """The bytes of a JSON body, as signed."""

    body: bytes
    account: Account


class Reader:
    """Reads and verifies requests. `accounts` gives the accounts of the moment."""

    __slots__ = ("_accounts", "_local", "_proxies")

    def __init__(self, config: IngressConfig, accounts: Callable[[], Accounts]) -> None:
        self._accounts = accounts
        self._proxies: TrustedProxies | None = (
            config.trusted_proxies if config.trusted_proxies.networks else None
        )
        self._local = config.local

    async def form(self, scope: Scope, receive: Receive) -> VerifiedForm | Refusal:
        """Of a POST the body's parameters are signed one by one; of a GET the URL with its query is."""
        headers: Headers = dict(scope["headers"])
        query: bytes = scope["query_string"]
        if scope["method"] == "GET":
            form = parse_form(query)
        else:
            body = await _body(headers, receive, _is_form, LARGEST_FORM)
            if isinstance(body, Refusal):
                return body
            form = parse_form(body)
        if isinstance(form, Refusal):
            return form
        given = headers.get(_SIGNATURE)
        if given is None:
            return _UNSIGNED
        account = self._accounts().get(form.values.get("AccountSid"))
        if account is None:
            return _UNKNOWN_ACCOUNT
        rest = _target(scope, query)
        if scope["method"] != "GET":
            rest += form.signed_text
        if account.signed(rest, given, _algorithm(headers), self._origin(scope)):
            return VerifiedForm(form, query.decode("utf-8", "replace"), account)
        return _FORGED

    async def json(self, scope: Scope, receive: Receive) -> VerifiedBody | Refusal:
        """The URL is signed, and holds the body's hash; the body is not looked into before that is proved."""
        headers: Headers = dict(scope["headers"])
        body = await _body(headers, receive, _is_json, LARGEST_BATCH)
        if isinstance(body, Refusal):
            return body
        given = headers.get(_SIGNATURE)
        if given is None:
            return _UNSIGNED
        target = _target(scope, scope["query_string"])
        account = self._accounts().signer(target, body, given, _algorithm(headers), self._origin(scope))
        return _FORGED if account is None else VerifiedBody(body, account)

    def _origin(self, scope: Scope) -> Origin | None:
        if self._proxies is None:
            return None
        peer = scope.get("client")
        return forwarded_origin(self._proxies, peer[0] if peer else None, scope["headers"], local=self._local)


def _target(scope: Scope, query: bytes) -> bytes:
    # The path as it was asked for: decoded and encoded again it could differ from what was signed.
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path + b"?" + query if query else path


def _algorithm(headers: Headers) -> str:
    settings = headers.get(_SETTINGS)
    return DEFAULT_ALGORITHM if settings is None else algorithm_of(settings.decode("latin-1"))


def _is_form(content_type: bytes) -> Refusal | None:
    if content_type.partition(b";")[0].strip().lower() == FORM_TYPE:
        return None
    return Refusal(Reason.WRONG_TYPE, f"the body is not {FORM_TYPE.decode()}; this webhook is form-encoded")


def _is_json(content_type: bytes) -> Refusal | None:
    if content_type.partition(b";")[0].strip().lower() in JSON_TYPES:
        return None
    return Refusal(Reason.WRONG_TYPE, "the body is not application/json; set the sink to send JSON")


async def _body(
    headers: Headers, receive: Receive, wrong_type: Callable[[bytes], Refusal | None], largest: int
) -> bytes | Refusal:
    if len(headers) > MOST_HEADERS:
        return Refusal(Reason.HEADERS_TOO_LARGE, f"more than {MOST_HEADERS} headers")
    refusal = wrong_type(headers.get(b"content-type", b""))
    if refusal is not None:
        return refusal
    announced = headers.get(b"content-length", b"0")
    # Longer than this many digits is too large whatever they say, and int() of thousands raises.
    if len(announced) > 9 or (announced.isdigit() and int(announced) > largest):
        return _too_large(largest)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body if len(body) <= largest else _too_large(largest)
    return await _rest(message, receive, largest)


async def _rest(message: Message, receive: Receive, largest: int) -> bytes | Refusal:
    received = b""
    while True:
        if message["type"] == "http.disconnect":
            return Refusal(Reason.TOO_SLOW, "the connection was closed before the body was complete")
        part: bytes = message.get("body", b"")
        received += part
        if len(received) > largest:
            return _too_large(largest)
        if not message.get("more_body", False):
            return received
        message = await receive()


def _too_large(largest: int) -> Refusal:
    return Refusal(Reason.TOO_LARGE, f"the body is larger than {largest} bytes")


_UNSIGNED = Refusal(Reason.MISSING_SIGNATURE, "there is no X-Twilio-Signature; only Twilio may call this")
_UNKNOWN_ACCOUNT = Refusal(
    Reason.UNKNOWN_ACCOUNT,
    "no auth token is known for this AccountSid; add the account to the ingress's accounts",
)
_FORGED = Refusal(
    Reason.BAD_SIGNATURE,
    "the signature does not match; check that PUBLIC_BASE_URL is the address Twilio calls, and that "
    "the token is the account's primary auth token",
)
