"""What the ingress has to be told, checked as a whole before it starts.

Guarantees: an `IngressConfig` that exists can verify signatures: there is a token for every account, and the
public URL is one that Twilio can call and sign. Secrets do not show in its repr.
Leaves to others: where the values come from.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from ingress.errors import ConfigError
from schemas.clients import Kafka

# Twilio waits at most 15 s for an answer (facts, Twilio section 2, timing): a later one is never heard.
LONGEST_ACK_TIMEOUT_S = 14.0
# The current auth token, and the next one while they are rotated.
TOKENS_PER_ACCOUNT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressConfig:
    """All settings of one ingress process. Raises ConfigError when it may not start with them.

    `public_base_url` is how Twilio reaches this process: scheme, host, port if not the default one, and the
    path prefix if a proxy takes one away. `tokens` holds one or two auth tokens by account SID.
    `sender_tenants` gives the tenant by sender address (or MG… SID); a sender not named is shared.
    `ack_timeout_s` seconds are waited for the broker before a webhook is answered 503. Port 0 is any free
    port. `local` allows a public URL without TLS, on a machine nobody else reaches.
    """

    kafka: Kafka = field(repr=False)
    schema_registry_url: str = field(repr=False)
    public_base_url: str = field(repr=False)
    tokens: dict[str, tuple[str, ...]] = field(repr=False)
    sender_tenants: dict[str, str] = field(default_factory=dict)
    ack_timeout_s: float = 5.0
    host: str = "127.0.0.1"
    port: int = 8080
    local: bool = False

    def __post_init__(self) -> None:
        _check_tokens(self.tokens)
        _check_public_url(self.public_base_url, self.local)
        if not 0 < self.ack_timeout_s <= LONGEST_ACK_TIMEOUT_S:
            raise ConfigError(
                f"The acknowledgement time-out is {self.ack_timeout_s:g} s; set INGRESS_ACK_TIMEOUT_S to "
                f"more than 0 and at most {LONGEST_ACK_TIMEOUT_S:g}, as Twilio waits 15 s at most."
            )


def _check_tokens(tokens: dict[str, tuple[str, ...]]) -> None:
    if not tokens:
        raise ConfigError(
            "There is no auth token, so no webhook could be verified; set TWILIO_ACCOUNT_SID and "
            "TWILIO_AUTH_TOKEN to the account's SID and its primary auth token."
        )
    for account, of_account in tokens.items():
        if not account or not of_account or not all(of_account):
            raise ConfigError(
                f"Account {account or '(empty)'} has an empty auth token, with which anybody could sign; set "
                "TWILIO_AUTH_TOKEN to the account's primary auth token."
            )
        if len(of_account) > TOKENS_PER_ACCOUNT:
            raise ConfigError(
                f"Account {account} has {len(of_account)} auth tokens; a rotation needs two, so remove the "
                "ones that Twilio no longer signs with."
            )


def _check_public_url(url: str, local: bool) -> None:
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"PUBLIC_BASE_URL is {_shown(parts)!r}; set it to the address Twilio calls, with scheme and "
            "host, e.g. https://hooks.example.com."
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            f"PUBLIC_BASE_URL is {_shown(parts)!r}; it may have no query and no fragment, because signatures "
            "are computed over it with the request's path and query behind it."
        )
    if "_" in parts.hostname:
        raise ConfigError(
            f"PUBLIC_BASE_URL names the host {parts.hostname!r}; Twilio calls no host with an underscore, so "
            "use another name."
        )
    if parts.scheme == "http" and not local:
        raise ConfigError(
            f"PUBLIC_BASE_URL is {_shown(parts)!r}, without TLS: what people write would travel in the "
            "clear. Use https://, or set INGRESS_LOCAL=true on a machine nobody else reaches."
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
    except ValueError as broken:
        raise ConfigError(
            f"PUBLIC_BASE_URL is not a URL: {broken}; e.g. https://hooks.example.com."
        ) from broken
    return parts


def _shown(parts: SplitResult) -> str:
    """The URL without the user and password it may carry."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
