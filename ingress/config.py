"""What the ingress has to be told, checked as a whole before it starts.

Guarantees: an `IngressConfig` that exists can verify signatures: there is a token for every account, and the
public URL is one that Twilio can call and sign. Secrets do not show in its repr.
Leaves to others: where the values come from.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ingress.errors import ConfigError
from ingress.forwarded import TrustedProxies
from schemas.clients import Kafka

# Twilio waits at most 15 s for an answer and all its tries (facts, Twilio section 2, timing). The callback
# URL tells it to wait 6 s for one answer (`callback_url.CONNECTION_OVERRIDES`, rt), so the answer must be
# decided before: a later one is never heard, and the webhook comes again although it was kept.
LONGEST_ACK_TIMEOUT_S = 5.0
# The current auth token, and the next one while they are rotated.
TOKENS_PER_ACCOUNT = 2
MOST_WORKERS = 64

_ACCOUNT_SID = re.compile(r"AC[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressConfig:
    """All settings of one ingress process. Raises ConfigError when it may not start with them.

    `public_base_url` is how Twilio reaches this process: scheme, host, port if not the default one, and the
    path prefix if a proxy takes one away. `tokens` holds one or two auth tokens by account SID;
    `accounts_file` names more accounts, which `ingress.accounts` reads and checks. `trusted_proxies` are the
    peers whose forwarded headers count. `sender_tenants` gives the tenant by sender address (or MG… SID); a
    sender not named has the tenant of its account, or is shared.
    `ack_timeout_s` seconds are waited for the broker before a webhook goes to the journal in `journal_dir`,
    which holds at most `journal_max_mb` megabytes (of 1,048,576 bytes). `workers` processes serve. Port 0 is
    any free port. Prometheus metrics are served on `metrics_host` and `metrics_port`, if there is a port.
    `local` allows a public URL without TLS, on a machine nobody else reaches.
    """

    kafka: Kafka = field(repr=False)
    schema_registry_url: str = field(repr=False)
    public_base_url: str = field(repr=False)
    tokens: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    accounts_file: Path | None = None
    trusted_proxies: TrustedProxies = field(default_factory=TrustedProxies)
    sender_tenants: dict[str, str] = field(default_factory=dict)
    answers_file: Path | None = None
    ack_timeout_s: float = 2.0
    journal_dir: Path = Path(".notifystream/ingress")
    journal_max_mb: int = 1024
    workers: int = 1
    host: str = "127.0.0.1"
    port: int = 8080
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    local: bool = False

    def __post_init__(self) -> None:
        if not self.tokens and self.accounts_file is None:
            raise ConfigError(
                "There is no auth token, so no webhook could be verified; set TWILIO_ACCOUNT_SID and "
                "TWILIO_AUTH_TOKEN to the account's SID and its primary auth token, or name a "
                "TWILIO_ACCOUNTS_FILE."
            )
        for account, tokens in self.tokens.items():
            check_account(account, tokens, "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
        check_public_url("PUBLIC_BASE_URL", self.public_base_url, self.local)
        if not 0 < self.ack_timeout_s <= LONGEST_ACK_TIMEOUT_S:
            raise ConfigError(
                f"The acknowledgement time-out is {self.ack_timeout_s:g} s; set INGRESS_ACK_TIMEOUT_S to "
                f"more than 0 and at most {LONGEST_ACK_TIMEOUT_S:g}, as Twilio is told to wait 6 s for an "
                "answer."
            )
        if self.journal_max_mb < 1:
            raise ConfigError(
                f"The journal may hold {self.journal_max_mb} MB; set INGRESS_JOURNAL_MAX_MB to at least 1."
            )
        if not 1 <= self.workers <= MOST_WORKERS:
            raise ConfigError(
                f"There are to be {self.workers} workers; set INGRESS_WORKERS to 1 to {MOST_WORKERS}."
            )


def check_account(sid: str, tokens: tuple[str, ...], sid_name: str, token_name: str) -> None:
    """Raises ConfigError when nobody, or anybody, could sign for this account; the names are for the error.

    The error holds no token.
    """
    if _ACCOUNT_SID.fullmatch(sid) is None:
        raise ConfigError(
            f"{sid_name} is no account's SID; set it to AC and 32 hexadecimal digits, and {token_name} to "
            "that account's primary auth token."
        )
    if not tokens or not all(tokens):
        raise ConfigError(
            f"{token_name} of account {sid} is empty, and with an empty token anybody could sign; set it to "
            "the account's primary auth token."
        )
    if any(token != token.strip() or not token.isprintable() for token in tokens):
        raise ConfigError(
            f"{token_name} of account {sid} has white space around it or a character that cannot be printed, "
            "so nothing would verify; copy the token again."
        )
    if len(tokens) > TOKENS_PER_ACCOUNT:
        raise ConfigError(
            f"Account {sid} has {len(tokens)} auth tokens; a rotation needs two, so remove the ones that "
            "Twilio no longer signs with."
        )


def check_public_url(name: str, url: str, local: bool) -> None:
    """Raises ConfigError when Twilio cannot call this URL or it is unsafe; `name` says whose it is.

    The error holds no user and password.
    """
    parts = _split(name, url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{name} is {_shown(parts)!r}; set it to the address Twilio calls, with scheme and host, e.g. "
            "https://hooks.example.com."
        )
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ConfigError(
            f"{name} has a character that no URL has; copy it again, with the host's name in punycode and "
            "the path percent-encoded."
        )
    if "?" in url or "#" in url:
        raise ConfigError(
            f"{name} is {_shown(parts)!r}; it may have no query and no fragment, because signatures are "
            "computed over it with the request's path and query behind it."
        )
    if "_" in parts.hostname:
        raise ConfigError(
            f"{name} has the host {parts.hostname!r}; Twilio calls no host with an underscore, so use "
            "another name."
        )
    if parts.scheme == "http" and not local:
        raise ConfigError(
            f"{name} is {_shown(parts)!r}, without TLS: what people write would travel in the clear. Use "
            "https://, or set INGRESS_LOCAL=true on a machine nobody else reaches."
        )


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no number
    except ValueError:
        # Without the cause: it quotes what it could not read, which may be a part of a password.
        raise ConfigError(
            f"{name} is not a URL (its host or port cannot be read); e.g. https://hooks.example.com."
        ) from None
    return parts


def _shown(parts: SplitResult) -> str:
    """The URL without the user and password it may carry."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
