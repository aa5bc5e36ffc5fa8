"""What a deployment's senders are, may do, and are registered for: the section `senders` of the policy file.

Guarantees: a profile that exists makes sense, else ValueError. What it leaves out about a registration is not
there: a sender that needs one and names none has none. What it leaves out about its rate is the deployment's
(SENDER_RATE, SENDER_BURST and OUTBOUND_CONCURRENCY).
Leaves to others: choosing among senders (`streams.routes`) and keeping their rates (`sinks.outbound`).
"""

import re
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from schemas.vocabulary import SENDABLE_CHANNELS, Category, Channel
from streams.policy.sections import check_countries
from streams.policy.senders import SenderType

_TEXTS = frozenset({Channel.SMS, Channel.MMS})
_CHANNELS = {
    SenderType.LONG_CODE: _TEXTS,
    SenderType.TOLL_FREE: _TEXTS,
    SenderType.SHORT_CODE: _TEXTS,
    SenderType.ALPHANUMERIC: frozenset({Channel.SMS}),
    SenderType.MESSAGING_SERVICE: frozenset(SENDABLE_CHANNELS),
    SenderType.WHATSAPP: frozenset({Channel.WHATSAPP}),
    SenderType.RCS: frozenset({Channel.RCS}),
}
_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class CampaignState(StrEnum):
    """Where a 10DLC campaign stands; only a registered one delivers (Twilio 30034; suspended: 30033)."""

    REGISTERED = "registered"
    PENDING = "pending"
    UNREGISTERED = "unregistered"
    SUSPENDED = "suspended"


class Verification(StrEnum):
    """Where a toll-free number stands; only a verified one delivers (Twilio 30032)."""

    VERIFIED = "verified"
    PENDING = "pending"
    UNVERIFIED = "unverified"


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sender's 10DLC campaign; `categories` are those it was registered for, left out for all."""

    state: CampaignState
    categories: frozenset[Category] | None = None

    def __post_init__(self) -> None:
        _not_empty(categories=self.categories)


class SenderProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sender. What limits it is None where it has no limit of its own.

    `segments_per_s` and `burst` are counted in segments, `daily_segments` in those of one day in `day_zone`;
    `concurrency` is how many calls may be under way at once. `channels` are those of its type, unless it says
    others: a number that sends texts and WhatsApp messages is one sender, with one rate.
    `countries` are the recipients' (ISO 3166-1 alpha-2); `tenants` those that may use it.
    """

    type: SenderType
    provider: str = "twilio"
    segments_per_s: float | None = None
    burst: float | None = None
    daily_segments: int | None = None
    day_zone: str | None = None
    concurrency: int | None = None
    channels: frozenset[Channel] | None = None
    countries: frozenset[str] | None = None
    categories: frozenset[Category] | None = None
    tenants: frozenset[str] | None = None
    campaign: Campaign | None = None
    verification: Verification | None = None

    def __post_init__(self) -> None:
        _not_empty(
            channels=self.channels, countries=self.countries, categories=self.categories, tenants=self.tenants
        )
        check_countries(self.countries or ())
        if not _PROVIDER.fullmatch(self.provider):
            raise ValueError(
                f"{self.provider!r} is no provider: write the name of an adapter, such as twilio"
            )
        if unknown := set(self.channels or ()) - set(SENDABLE_CHANNELS):
            raise ValueError(f"channels must be of {', '.join(SENDABLE_CHANNELS)}, not {', '.join(unknown)}")
        self._check_rate()
        self._check_registration()

    def _check_rate(self) -> None:
        if self.segments_per_s is not None and not self.segments_per_s > 0:
            raise ValueError("segments_per_s must be more than nothing")
        for name in ("burst", "daily_segments", "concurrency"):
            if (value := getattr(self, name)) is not None and not value >= 1:
                raise ValueError(f"{name} must be 1 at least")
        if self.day_zone is not None:
            try:
                ZoneInfo(self.day_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
                raise ValueError(f"there is no time zone {self.day_zone!r}") from unknown

    def _check_registration(self) -> None:
        if self.campaign is not None and self.type not in (
            SenderType.LONG_CODE,
            SenderType.MESSAGING_SERVICE,
        ):
            raise ValueError(f"{_a(self.type)} has no campaign; a long_code or messaging_service has one")
        if self.verification is not None and self.type is not SenderType.TOLL_FREE:
            raise ValueError(f"{_a(self.type)} has no verification; a toll_free has one")
        if self.type is SenderType.SHORT_CODE and self.countries is None:
            raise ValueError("a short_code reaches people in its own country only: name it in countries")

    def carries(self, channel: Channel) -> bool:
        """Whether the sender can be used by this channel."""
        return channel in (self.channels if self.channels is not None else _CHANNELS[self.type])


class SenderRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the carriers of a country ask of a sender, where it is not the same everywhere.

    `campaign` are the countries that a +1 long code reaches only with a registered 10DLC campaign (facts,
    Twilio section 5: 30034), `verification` those that a toll-free number reaches only verified, for which
    pending is too little (twilio.com/docs/api/errors/30460), `no_alphanumeric` those where a name can be no
    sender (twilio.com/guidelines/us/sms; developers.telnyx.com, alphanumeric sender id). `needs_reply` are
    the categories whose recipients must be able to answer, which nobody can to a name; a sender whose own
    categories name one of them has been thought about and is let through.
    """

    campaign: frozenset[str] = frozenset({"US"})
    verification: frozenset[str] = frozenset({"US", "CA"})
    no_alphanumeric: frozenset[str] = frozenset({"US", "CA", "PR"})
    needs_reply: frozenset[Category] = frozenset({Category.MARKETING})

    def __post_init__(self) -> None:
        for countries in (self.campaign, self.verification, self.no_alphanumeric):
            check_countries(countries)


def _not_empty(**named: "frozenset[Channel] | frozenset[Category] | frozenset[str] | None") -> None:
    for name, values in named.items():
        if values is not None and not values:
            raise ValueError(f"{name} must name at least one, or be left out for all")


def _a(kind: SenderType) -> str:
    return f"an {kind}" if kind is SenderType.ALPHANUMERIC else f"a {kind}"
