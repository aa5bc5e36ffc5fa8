"""What a tenant asks of the provider for each of its messages: the section `sending` of the policy file."""

from enum import StrEnum

import msgspec

from streams.policy.values import Duration

_SHORTEST_MS, _LONGEST_MS = 1_000, 36_000_000


class ContentRetention(StrEnum):
    """Whether the provider keeps the text of a message; in Twilio's words."""

    RETAIN = "retain"
    DISCARD = "discard"


class AddressRetention(StrEnum):
    """Whether the provider keeps the recipient's number; in Twilio's words."""

    RETAIN = "retain"
    OBFUSCATE = "obfuscate"


class Sending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None leaves each to the provider's default. `validity` is how long the provider may keep trying, cut to
    what is left until a notification expires (facts, Twilio section 4: 1 s to 36,000 s)."""

    risk_check: bool | None = None
    content_retention: ContentRetention | None = None
    address_retention: AddressRetention | None = None
    validity_ms: Duration | None = msgspec.field(name="validity", default=None)

    def __post_init__(self) -> None:
        if self.validity_ms is not None and not _SHORTEST_MS <= self.validity_ms <= _LONGEST_MS:
            raise ValueError("validity must be 1s to 10h")

    @property
    def validity_s(self) -> int | None:
        """In whole seconds, as Twilio takes it."""
        return None if self.validity_ms is None else self.validity_ms // 1_000
