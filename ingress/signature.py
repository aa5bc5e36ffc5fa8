"""X-Twilio-Signature: does this request come from the account it names?

Guarantees: accepts what `twilio.request_validator.RequestValidator` accepts (SDK 9.13), with several tokens
during a rotation; compares in constant time; never raises, whatever the input. Where the SDK breaks
(user:password@ and IPv6 hosts together with a port) this follows Twilio's documentation: credentials are not
signed.
Leaves to others: which token belongs to which account, and the hash of a JSON body (`ingress.body_hash`).

The rule (facts, Twilio section 3; usage/webhooks/webhooks-security): base64 of the HMAC-SHA1, keyed with the
auth token, over the URL followed by the name and value of every POST parameter, sorted by name, without
delimiters. Which port the URL had when it was signed is not reliable, so both forms are tried.
"""

import hashlib
import hmac
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

SIGNATURE_HEADER = "x-twilio-signature"
# Names the algorithm when a webhook is signed with a shared key instead of the auth token:
# `key=…,algorithm=HMAC_SHA256` (SDK 9.13, request_validator.SIGNATURE_SETTINGS_HEADER).
SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"

DEFAULT_ALGORITHM = "HMAC_SHA1"
_HASHES = {DEFAULT_ALGORITHM: "sha1", "HMAC_SHA256": "sha256"}
_BLOCK = 64  # bytes, of SHA-1 (RFC 2104, section 2)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def signed_forms(url: str) -> tuple[str, str]:
    """The two forms in which Twilio may have signed this URL: without a port and with one.

    Works on a base URL too: path and query can be put behind both forms. Raises ValueError when `url` has a
    port that is no number, or an IPv6 host without its closing bracket.
    """
    parts = urlsplit(url)
    host_and_port = parts.netloc.rpartition("@")[2]
    if parts.port:
        host, with_port = host_and_port.rpartition(":")[0], host_and_port
    else:
        host = host_and_port
        with_port = f"{host}:{_DEFAULT_PORTS['https' if parts.scheme == 'https' else 'http']}"
    return parts._replace(netloc=host).geturl(), parts._replace(netloc=with_port).geturl()


def base_forms(base: str) -> tuple[bytes, ...]:
    """The forms of a public base URL, to put path and query behind; the likelier one first.

    For messages Twilio signs the URL as it was given to it (facts, Twilio section 3). Raises ValueError as
    `signed_forms` does.
    """
    bare, with_port = signed_forms(base.rstrip("/"))
    forms = (with_port, bare) if urlsplit(base).port else (bare, with_port)
    return tuple(map(_bytes, forms))


def algorithm_of(settings_header: str | None) -> str:
    """The algorithm that the settings header names; HMAC_SHA1 without one."""
    for part in (settings_header or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return DEFAULT_ALGORITHM


class SigningKey:
    """One auth token, with the work that HMAC-SHA1 does before it sees a message done once (RFC 2104).

    Copying two hash states takes half the time of `hmac.digest`, which sets the key up for each message.
    Holds the secret: its repr does not show it, and it cannot be pickled.
    """

    __slots__ = ("_inner", "_outer", "_token")

    def __init__(self, token: str) -> None:
        # Half a surrogate pair has no bytes; no token holds one, but this must not raise on anything.
        self._token = token.encode("utf-8", "replace")
        key = (
            self._token
            if len(self._token) <= _BLOCK
            else hashlib.sha1(self._token, usedforsecurity=False).digest()
        )
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha1(bytes(byte ^ 0x36 for byte in padded), usedforsecurity=False)
        self._outer = hashlib.sha1(bytes(byte ^ 0x5C for byte in padded), usedforsecurity=False)

    def sign(self, text: bytes, algorithm: str = DEFAULT_ALGORITHM) -> bytes:
        """The signature of exactly this text, in base64. Raises KeyError for an unknown algorithm."""
        if algorithm != DEFAULT_ALGORITHM:
            return b2a_base64(hmac.digest(self._token, text, _HASHES[algorithm]), newline=False)
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return b2a_base64(outer.digest(), newline=False)


def is_signed(
    bases: Iterable[bytes],
    rest: bytes,
    signature: bytes,
    keys: Sequence[SigningKey],
    algorithm: str = DEFAULT_ALGORITHM,
) -> bool:
    """Whether one of the keys signed one of the bases with `rest` behind it.

    `rest` is the path and query as they were asked for, then `Form.signed_text` for a form post and nothing
    for a GET or a JSON body. The likelier base goes first: the others cost only whoever is refused.
    False for no key and for an algorithm nobody knows.
    """
    if algorithm not in _HASHES:
        return False
    for base in bases:
        text = base + rest
        for key in keys:
            if hmac.compare_digest(key.sign(text, algorithm), signature):
                return True
    return False


def compute(
    url: str, parameters: Iterable[tuple[str, str]], token: str, algorithm: str = DEFAULT_ALGORITHM
) -> str:
    """The signature of a request to exactly this URL. Raises KeyError for an unknown algorithm."""
    return SigningKey(token).sign(_bytes(url) + _signed_text(parameters), algorithm).decode()


def verify(
    forms: Iterable[str],
    parameters: Iterable[tuple[str, str]],
    signature: str | None,
    tokens: Iterable[str],
    algorithm: str = DEFAULT_ALGORITHM,
) -> bool:
    """Whether one of the tokens signed one of the forms of the URL with these parameters.

    `is_signed` for whoever has texts and no prepared keys. `parameters` are the decoded, untrimmed pairs of a
    POST body; none for a GET, whose URL has them. False for a missing signature.
    """
    if signature is None:
        return False
    keys = [SigningKey(token) for token in tokens]
    return is_signed(map(_bytes, forms), _signed_text(parameters), _bytes(signature), keys, algorithm)


def _signed_text(parameters: Iterable[tuple[str, str]]) -> bytes:
    # Of a repeated name the SDK takes the different values, sorted: that is the sorted set of the pairs.
    return _bytes("".join([name + value for name, value in sorted(set(parameters))]))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
