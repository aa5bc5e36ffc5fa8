"""Deterministic ids: whoever receives a second copy of anything can know it for one (design, section 2)."""

import hashlib
import uuid
from typing import NamedTuple

_NAMESPACE = uuid.UUID("5f0b9a52-7c0e-5d5c-9d0a-6f1d0f6c2b11")


def notification_id(tenant: str, idempotency_key: str) -> str:
    """UUIDv5 of (tenant, idempotency key); the length in front keeps ("a", "bc") and ("ab", "c") apart."""
    return str(uuid.uuid5(_NAMESPACE, f"{len(tenant)}:{tenant}{idempotency_key}"))


def conflict_id(notification: str, content_hash: str) -> str:
    """Id of the outcome that refuses a repeat with other content; the first notification keeps its own."""
    return str(uuid.uuid5(_NAMESPACE, f"conflict:{notification}:{content_hash}"))


def event_id(*parts: str) -> str:
    """Id of an event that is the same whenever its parts are."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


class AttemptRef(NamedTuple):
    notification_id: str
    attempt: int


def command_id(notification: str, attempt: int) -> str:
    return f"{notification}:{attempt}"


def parse_attempt(notification: str, attempt: str) -> AttemptRef | None:
    """The attempt named by a callback URL's parameters, or None when they are not ours."""
    try:
        parsed = AttemptRef(str(uuid.UUID(notification)), int(attempt))
    except ValueError:
        return None
    return parsed if 0 < parsed.attempt < 10_000 else None


def text_digest(body: str | None) -> str:
    """SHA-256 (hex) of a text: recognises a message at the provider without keeping what it says."""
    return hashlib.sha256((body or "").encode()).hexdigest()
