"""What the sink asks of a provider: one small protocol, typed answers.

Every way a call can end is one of the four answers of `send`; only `Ambiguous` leaves open whether a message
exists. Adapters never raise for what the network or the provider does.
"""

from typing import NamedTuple, Protocol

from schemas.records import OutboundCommand, ProviderStatus


class Accepted(NamedTuple):
    sid: str
    status: str
    request_id: str | None


class Rejected(NamedTuple):
    """The provider refused it: nothing was sent. `code` is the provider's."""

    code: int | None
    detail: str
    request_id: str | None


class NotSent(NamedTuple):
    """Nothing reached the provider, or it said that it did not process it."""

    detail: str
    throttled: bool = False
    retry_after_s: float | None = None


class Ambiguous(NamedTuple):
    """It may have been sent."""

    detail: str
    request_id: str | None = None


SendAnswer = Accepted | Rejected | NotSent | Ambiguous


class FoundMessage(NamedTuple):
    """A message at the provider. `content_digest` is schemas.identity.text_digest of its text."""

    sid: str
    content_digest: str
    created_at: int


class LookupFailed(Exception):
    """The provider could not be asked: nothing is known, nothing is proved."""


class Provider(Protocol):
    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        """Create the message, unless time.monotonic() has passed `begin_before` when the wire is reached."""

    async def find(self, sender: str, recipient: str, channel: str, since: int) -> tuple[FoundMessage, ...]:
        """Messages from sender to recipient created since then (ms). Raises LookupFailed."""

    async def fetch(self, command: OutboundCommand) -> ProviderStatus | None:
        """The message's status now, None when the provider does not know it. Raises LookupFailed."""

    async def close(self) -> None: ...
