"""What makes two requests the same: a repeat has the same fingerprint, another content has another."""

import hashlib

import msgspec

from schemas.records import NotifyRequest
from schemas.vocabulary import Channel

_OURS = ("tenant", "idempotency_key", "metadata")
# Fields younger than the first fingerprints: left out where they say nothing, so that a request written
# again after an upgrade is still the same. A field to come belongs here, too.
_LATER = ("steps", "smart_encoding")


def content_hash(request: NotifyRequest) -> str:
    """SHA-256 (hex) of all that a repeat must have in common with the first: all but key and metadata.

    Stable across versions: a request without newer fields has the fingerprint it always had.
    """
    fields = msgspec.to_builtins(request)
    for name in _OURS:
        del fields[name]
    for name in _LATER:
        if fields[name] in ([], (), None):
            del fields[name]
    if not request.channels and not request.steps:
        fields["channels"] = [Channel.SMS.value]  # what leaving them out meant when the first were made
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()
