"""X-Twilio-Signature: does this request come from the account it names?

Guarantees: accepts what `twilio.request_validator.RequestValidator` accepts for form posts and GETs
(SDK 9.13), with several tokens during a rotation; compares in constant time; never raises, whatever the
input. Where the SDK breaks (user:password@ and IPv6 hosts together with a port) this follows Twilio's
documentation: credentials are not signed.
Leaves to others: JSON bodies, which no messaging webhook has, and which token belongs to which account.

The rule (facts, Twilio section 3; usage/webhooks/webhooks-security): base64 of the HMAC-SHA1, keyed with the
auth token, over the URL followed by the name and value of every POST parameter, sorted by name, without
delimiters. Which port the URL had when it was signed is not reliable, so both forms are tried.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import urlsplit

SIGNATURE_HEADER = "x-twilio-signature"
# Names the algorithm when a webhook is signed with a shared key instead of the auth token:
# `key=…,algorithm=HMAC_SHA256` (SDK 9.13, request_validator.SIGNATURE_SETTINGS_HEADER).
SETTINGS_HEADER = "x-twilio-webhooks-signature-settings"

_DEFAULT_ALGORITHM = "HMAC_SHA1"
_HASHES = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
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


def algorithm_of(settings_header: str | None) -> str:
    """The algorithm that the settings header names; HMAC_SHA1 without one."""
    for part in (settings_header or "").split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return _DEFAULT_ALGORITHM


def compute(
    url: str, parameters: Iterable[tuple[str, str]], token: str, algorithm: str = _DEFAULT_ALGORITHM
) -> str:
    """The signature of a request to exactly this URL. Raises KeyError for an unknown algorithm."""
    return _digest(url, _signed_text(parameters), token, _HASHES[algorithm]).decode()


def verify(
    forms: Iterable[str],
    parameters: Iterable[tuple[str, str]],
    signature: str | None,
    tokens: Iterable[str],
    algorithm: str = _DEFAULT_ALGORITHM,
) -> bool:
    """Whether one of the tokens signed one of the forms of the URL with these parameters.

    `parameters` are the decoded, untrimmed pairs of a POST body; none for a GET, whose URL has them.
    False for a missing signature, no token, and an algorithm nobody knows.
    """
    hash_name = _HASHES.get(algorithm)
    if signature is None or hash_name is None:
        return False
    given = signature.encode("utf-8", "replace")
    text = _signed_text(parameters)
    urls = tuple(forms)
    return any(
        hmac.compare_digest(_digest(url, text, token, hash_name), given) for token in tokens for url in urls
    )


def _signed_text(parameters: Iterable[tuple[str, str]]) -> str:
    # Of a repeated name the SDK takes the different values, sorted: that is the sorted set of the pairs.
    return "".join([name + value for name, value in sorted(set(parameters))])


def _digest(url: str, text: str, token: str, hash_name: str) -> bytes:
    # Half a surrogate pair has no bytes; no request holds one, but this must not raise on anything.
    signed = (url + text).encode("utf-8", "replace")
    return b64encode(hmac.digest(token.encode("utf-8", "replace"), signed, hash_name))
