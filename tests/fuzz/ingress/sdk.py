"""Twilio's own SDK, as both the generator and the oracle use it; nothing of `ingress` is in here.

Guarantees: `signs` never raises, whatever the input: what the SDK breaks on was not signed by it.
(facts, Twilio section 3; twilio.request_validator, SDK 9.13)
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from twilio.request_validator import HMAC_SHA1, RequestValidator

from tests.fuzz.ingress.wire import Pair
from tests.ingress.twilio_side import ACCOUNT, BASE, OTHER_ACCOUNT, OTHER_TOKENS, TOKEN

TOKENS = {ACCOUNT: (TOKEN,), OTHER_ACCOUNT: OTHER_TOKENS}
"""What the ingress under test knows (`tests.ingress.serve`)."""

_VALIDATORS = {token: RequestValidator(token) for tokens in TOKENS.values() for token in tokens}


class _Values(dict[str, list[str]]):
    """A form as web frameworks give it to the SDK."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def _values(pairs: Iterable[Pair]) -> _Values:
    found = _Values()
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def signature(target: str, pairs: Iterable[Pair], token: str, algorithm: str = HMAC_SHA1) -> bytes:
    """What Twilio would put into X-Twilio-Signature for the public URL with `target` behind it."""
    validator = _VALIDATORS.get(token) or RequestValidator(token)
    return str(validator.compute_signature(BASE + target, _values(pairs), algorithm)).encode()


def signs(
    account: str, target: str, content: list[Pair] | bytes, given: str, algorithm: str = HMAC_SHA1
) -> bool:
    """Whether one of the account's tokens signed this: the pairs of a form, or the bytes of a JSON body."""
    url = BASE + target
    try:
        if isinstance(content, bytes):
            # The SDK hashes texts only, so that the bytes are compared here, and the URL there.
            hashes = parse_qs(urlsplit(url).query).get("bodySHA256")
            if not hashes or hashes[0] != sha256(content).hexdigest():
                return False
            content = []
        values = _values(content)
        return any(_VALIDATORS[token].validate(url, values, given, algorithm) for token in TOKENS[account])
    except (ValueError, TypeError):  # what the SDK raises on texts that are no URL
        return False
