"""The sections of the policy file as types, each with the default that holds without it.

Guarantees: a section that exists is one that can be followed; whoever builds one, a file or a test, gets
ValueError for a value that makes no sense. Durations are integers of milliseconds.
Leaves to others: reading the file (`file`), and following the sections.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from schemas.vocabulary import SENDABLE_CHANNELS, Channel
from streams.policy.values import EVERY_DAY, MINUTES_OF_DAY, Duration, Hours, Weekday, hours

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
MOST_REPEATS = 20
MOST_ADMITTED = 1_000
ANY_COUNTRY = "*"
_COUNTRY = re.compile(r"[A-Z]{2}")


def check_countries(countries: Iterable[str]) -> None:
    """Raises ValueError for a name that is no country code."""
    for name in countries:
        if not _COUNTRY.fullmatch(name):
            raise ValueError(f"{name!r} is no country: write its ISO 3166-1 alpha-2 code, such as US")


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When sending is allowed, in every time zone the recipient's number may be in.

    `allowed` is as in the file, `08:00-21:00`; `24:00` ends a day. `days` are those of the recipient.
    `countries` has other hours by ISO 3166-1 alpha-2 code.
    """

    allowed: str = "08:00-21:00"
    days: tuple[Weekday, ...] = EVERY_DAY
    countries: "dict[str, QuietHours]" = {}

    def __post_init__(self) -> None:
        hours(self.allowed)
        if not self.days:
            raise ValueError("days must name at least one day, or be left out for all of them")
        check_countries(self.countries)
        if any(each.countries for each in self.countries.values()):
            raise ValueError("the hours of a country cannot have countries of their own")

    def of(self, country: str) -> "QuietHours":
        return self.countries.get(country, self)

    @property
    def hours(self) -> Hours:
        return hours(self.allowed)

    @property
    def never_quiet(self) -> bool:
        return self.hours == Hours(0, MINUTES_OF_DAY) and set(self.days) == set(EVERY_DAY)


class Cap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `limit` notifications in any time of this length."""

    limit: int
    per_ms: Duration = msgspec.field(name="per")

    def __post_init__(self) -> None:
        if not 0 < self.limit <= MOST_ADMITTED or self.per_ms <= 0:
            raise ValueError(f"limit must be 1 to {MOST_ADMITTED}, and per longer than nothing")


class RepeatedFailures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Codes that say little once and much when they come again: `times` of them `within` a time."""

    codes: frozenset[int] = frozenset({30003, 30005})
    times: int = 3
    within_ms: Duration = msgspec.field(name="within", default=Duration(7 * _DAY))
    forget_after_ms: Duration = msgspec.field(name="forget_after", default=Duration(30 * _DAY))

    def __post_init__(self) -> None:
        if not 0 < self.times <= MOST_REPEATS:
            raise ValueError(f"times must be 1 to {MOST_REPEATS}")


class DeadNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which answers of the provider mean that nobody can be reached at a number, and for how long.

    `codes` are about the number, `channel_codes` about the number on the one channel they came from
    (facts, Twilio section 5, action N). Numbers are given to other people in time: `forget_after`.
    """

    codes: frozenset[int] = frozenset({21211, 21265, 21614, 21635, 30005, 30006})
    channel_codes: frozenset[int] = frozenset({63003, 63024})
    forget_after_ms: Duration = msgspec.field(name="forget_after", default=Duration(90 * _DAY))
    repeated: RepeatedFailures = RepeatedFailures()


class WhatsAppWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long after a message of the recipient a free text may be sent (facts, Twilio section 8)."""

    length_ms: Duration = msgspec.field(name="length", default=Duration(24 * _HOUR))


class ChainStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a chain: a channel, and how long its delivery is waited for before the next step."""

    channel: Channel
    wait_ms: Duration | None = msgspec.field(name="wait", default=None)
    sender: str | None = None
    template: str | None = None

    def __post_init__(self) -> None:
        if self.channel not in SENDABLE_CHANNELS:
            raise ValueError(f"channel must be one of {', '.join(SENDABLE_CHANNELS)}")
        if self.wait_ms is not None and self.wait_ms <= 0:
            raise ValueError("wait must be longer than nothing")


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often a step is sent again, and when: `base` doubling up to `longest`.

    `settle` is how long a bad end waits for news that crossed it on the way, before anything follows from it.
    """

    attempts: int = 3
    base_ms: Duration = msgspec.field(name="base", default=Duration(_MINUTE))
    longest_ms: Duration = msgspec.field(name="longest", default=Duration(_HOUR))
    settle_ms: Duration = msgspec.field(name="settle", default=Duration(2_000))

    def __post_init__(self) -> None:
        if not 0 < self.attempts <= 20:
            raise ValueError("attempts must be 1 to 20")
        if not 0 < self.base_ms <= self.longest_ms or self.settle_ms <= 0:
            raise ValueError("base, longest and settle must be longer than nothing, base at most longest")


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a segment costs, by country and channel; country `*` for all others."""

    currency: str = "USD"
    per_segment: dict[str, dict[Channel, Decimal]] = {}

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError("currency must be an ISO 4217 code such as USD")
        check_countries(name for name in self.per_segment if name != ANY_COUNTRY)
        if any(price < 0 for prices in self.per_segment.values() for price in prices.values()):
            raise ValueError("a price cannot be less than nothing")

    def of(self, country: str, channel: Channel) -> Decimal | None:
        """The price of one segment; None when the file does not say."""
        for name in (country, ANY_COUNTRY):
            if (found := self.per_segment.get(name, {}).get(channel)) is not None:
                return found
        return None
