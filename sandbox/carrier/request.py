"""One create request, as far as the simulated world cares, and the addresses in it. Pure types."""

import enum
from dataclasses import dataclass


class Channel(enum.Enum):
    """Which way a message goes, by the prefix of its address."""

    SMS = ""
    WHATSAPP = "whatsapp:"
    RCS = "rcs:"


class Status(enum.Enum):
    """A message's status (facts, section 1; the OpenAPI enum without its deprecated member)."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    READ = "read"
    CANCELED = "canceled"
    RECEIVED = "received"

    @property
    def bad_end(self) -> bool:
        """Only these two carry an ErrorCode."""
        return self in (Status.UNDELIVERED, Status.FAILED)


@dataclass(frozen=True, slots=True)
class Address:
    """An address split into its channel and the rest: E.164, a short code or an alphanumeric name."""

    channel: Channel
    bare: str

    def __str__(self) -> str:
        return self.channel.value + self.bare


def address_of(text: str) -> Address:
    """Split a channel prefix off; whatever has none is SMS. Judges nothing else."""
    for channel in (Channel.WHATSAPP, Channel.RCS):
        if text.startswith(channel.value):
            return Address(channel, text.removeprefix(channel.value).strip())
    return Address(Channel.SMS, text.strip())


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A create request that passed validation.

    `sender` is the From address or, when `from_service` is set, the Messaging Service's SID.
    `send_at_ms` is Unix time; `validity_s` the ValidityPeriod in seconds.
    """

    to: Address
    sender: str
    from_service: bool
    body: str
    content_sid: str | None = None
    media_urls: tuple[str, ...] = ()
    status_callback: str | None = None
    send_at_ms: int | None = None
    validity_s: int = 36_000
    explicit_from: Address | None = None

    @property
    def combination(self) -> tuple[str, str, str]:
        """What, with an ordinal, names a message: recipient, sender or service, content."""
        return (str(self.to), self.sender, self.content_sid or self.body)
