"""Which senders a tenant uses for whom: the section `routes` of the policy file."""

import msgspec

from schemas.vocabulary import SENDABLE_CHANNELS, Category, Channel
from streams.policy.sections import check_countries
from streams.policy.senders import bare_sender


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What matches is sent from one of `senders`, or from the next route's when none of them can deliver it.

    `channels`, `countries` (of the recipient, ISO 3166-1 alpha-2) and `categories` that are left out match
    all. A Messaging Service is a sender that chooses among its own.
    """

    senders: tuple[str, ...]
    channels: frozenset[Channel] | None = None
    countries: frozenset[str] | None = None
    categories: frozenset[Category] | None = None

    def __post_init__(self) -> None:
        bare = tuple(map(bare_sender, self.senders))
        if not bare or not all(bare) or len(set(bare)) < len(bare):
            raise ValueError("senders must name at least one sender, none may be empty and none there twice")
        msgspec.structs.force_setattr(self, "senders", bare)
        for name in ("channels", "countries", "categories"):
            if getattr(self, name) == frozenset():
                raise ValueError(f"{name} must name at least one, or be left out for all")
        check_countries(self.countries or ())
        if unknown := set(self.channels or ()) - set(SENDABLE_CHANNELS):
            raise ValueError(f"channels must be of {', '.join(SENDABLE_CHANNELS)}, not {', '.join(unknown)}")

    def matches(self, channel: Channel, country: str, category: Category) -> bool:
        return (
            (self.channels is None or channel in self.channels)
            and (self.countries is None or country in self.countries)
            and (self.categories is None or category in self.categories)
        )
