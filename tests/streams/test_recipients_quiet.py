"""Quiet hours: the recipient's clock, several zones, days, and the days on which clocks jump."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import tzdata

from schemas.records import AdmissionVerdict
from schemas.vocabulary import Category, Channel, Verdict
from streams.policy import DEFAULTS, Cap, Policies, QuietHours, TenantPolicy, Weekday
from streams.recipients.quiet import Span, next_allowed, zones_of
from tests.streams.builders import T0
from tests.streams.persons import DAY, HOUR, MINUTE, after, check, judged, policies
from tests.streams.test_consent import inbound

BERLIN, NEW_YORK, SYDNEY = (
    ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Sydney")
)
GERMAN, CALIFORNIAN, TOLL_FREE, RUSSIAN, NOWHERE = (
    "+4915123456789", "+14155550123", "+18005551212", "+79161234567", "+883510012345",
)  # fmt: skip


def ms(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp() * 1000)


def marketing(
    at: int, recipient: str = GERMAN, country: str = "DE", policy: Policies = DEFAULTS
) -> AdmissionVerdict:
    asked = check(asked_at=at, recipient=recipient, country=country, category=Category.MARKETING)
    return judged(after(), asked, policy)[1]


@pytest.mark.parametrize("clock", ["08:00", "12:00", "20:59:59.999"])
def test_marketing_is_admitted_by_day_until_the_evening(clock: str) -> None:
    found = marketing(ms(f"2026-06-10T{clock}"))
    assert (found.verdict, found.not_after) == (Verdict.ADMIT, ms("2026-06-10T21:00"))


@pytest.mark.parametrize(
    ("clock", "until"),
    [("2026-06-10T21:00", "2026-06-11T08:00"), ("2026-06-10T03:00", "2026-06-10T08:00")],
)
def test_marketing_waits_by_night_for_the_morning(clock: str, until: str) -> None:
    found = marketing(ms(clock))
    assert (found.verdict, found.reason, found.until) == (Verdict.DEFER, "quiet-hours", ms(until))


@pytest.mark.parametrize("category", [Category.OTP, Category.TRANSACTIONAL])
def test_other_categories_are_admitted_at_any_hour(category: Category) -> None:
    _, found = judged(after(), check(asked_at=ms("2026-06-10T03:00"), category=category))
    assert (found.verdict, found.not_after) == (Verdict.ADMIT, None)


def test_the_policy_may_give_one_time_passwords_hours_too() -> None:
    strict = policies(quiet_hours={Category.OTP: QuietHours("06:00-24:00")})
    _, found = judged(after(), check(asked_at=ms("2026-06-10T03:00"), category=Category.OTP), strict)
    assert found.until == ms("2026-06-10T06:00")


def test_a_country_may_have_hours_of_its_own() -> None:
    hours = QuietHours(countries={"FR": QuietHours("10:00-20:00"), "DE": QuietHours("00:00-24:00")})
    policy = policies(quiet_hours={Category.MARKETING: hours})
    at = ms("2026-06-10T09:00")
    assert marketing(at, "+33612345678", "FR", policy).until == ms("2026-06-10T10:00")
    free = marketing(ms("2026-06-10T03:00"), GERMAN, "DE", policy)
    assert (free.verdict, free.not_after) == (Verdict.ADMIT, None)


def test_a_tenant_may_have_hours_of_its_own() -> None:
    policy = Policies(tenants={"acme": TenantPolicy(quiet_hours={})})
    assert marketing(ms("2026-06-10T03:00"), policy=policy).verdict is Verdict.ADMIT


def test_a_day_without_hours_is_waited_out() -> None:
    weekdays = tuple(day for day in Weekday if day is not Weekday.SUN)
    policy = policies(quiet_hours={Category.MARKETING: QuietHours("10:00-20:00", days=weekdays)})
    saturday, sunday = ms("2026-06-13T20:00"), ms("2026-06-14T12:00")
    assert marketing(saturday, policy=policy).until == ms("2026-06-15T10:00")
    assert marketing(sunday, policy=policy).until == ms("2026-06-15T10:00")


def test_days_that_touch_are_one_window() -> None:
    weekdays = tuple(day for day in Weekday if day is not Weekday.SUN)
    policy = policies(quiet_hours={Category.MARKETING: QuietHours("00:00-24:00", days=weekdays)})
    friday = marketing(ms("2026-06-12T12:00"), policy=policy)
    assert friday.not_after == ms("2026-06-14T00:00")


def test_an_area_code_tells_the_clock() -> None:
    found = marketing(ms("2026-06-10T07:59", ZoneInfo("America/Los_Angeles")), CALIFORNIAN, "US")
    assert found.until == ms("2026-06-10T08:00", ZoneInfo("America/Los_Angeles"))


def test_a_number_that_may_be_in_many_zones_is_written_to_when_it_is_day_in_all_of_them() -> None:
    assert len(zones_of(TOLL_FREE, TenantPolicy())) > 30
    found = marketing(ms("2026-06-10T12:00", NEW_YORK), TOLL_FREE, "US")
    # Eight in Guam is later than eight in Hawaii, and St John's is the first to have nine in the evening.
    assert found.until == ms("2026-06-11T08:00", ZoneInfo("Pacific/Guam"))
    assert found.until is not None
    opened = marketing(found.until, TOLL_FREE, "US")
    assert (opened.verdict, opened.not_after) == (
        Verdict.ADMIT,
        ms("2026-06-10T21:00", ZoneInfo("America/St_Johns")),
    )


def test_hours_that_the_zones_of_a_number_never_agree_on_suppress() -> None:
    policy = policies(quiet_hours={Category.MARKETING: QuietHours("10:00-12:00")})
    found = marketing(ms("2026-06-10T12:00"), RUSSIAN, "RU", policy)
    assert (found.verdict, found.reason) == (Verdict.SUPPRESS, "no-permitted-hours")


@pytest.mark.parametrize("recipient", [NOWHERE, "+999123"])
def test_a_number_of_no_zone_has_that_of_the_policy(recipient: str) -> None:
    assert zones_of(recipient, TenantPolicy(unknown_zone="Europe/Berlin")) == (BERLIN,)


def test_the_time_to_ask_again_may_be_later_than_the_check_expires() -> None:
    asked = check(
        asked_at=ms("2026-06-10T22:00"), category=Category.MARKETING, expires_at=ms("2026-06-10T23:00")
    )
    assert judged(after(), asked)[1].until == ms("2026-06-11T08:00")


def test_a_cap_that_ends_by_night_is_waited_for_until_the_morning() -> None:
    policy = policies(
        caps={Category.MARKETING: (Cap(1, 12 * HOUR),)}, quiet_hours={Category.MARKETING: QuietHours()}
    )
    row = after(check(asked_at=ms("2026-06-10T10:00"), category=Category.MARKETING), policy=policy)
    asked = check(notification_id="n2", asked_at=ms("2026-06-10T11:00"), category=Category.MARKETING)
    _, found = judged(row, asked, policy)
    assert (found.reason, found.until) == ("frequency-cap", ms("2026-06-11T08:00"))


def test_a_window_of_whatsapp_that_closes_before_the_evening_ends_the_permission() -> None:
    written = inbound("hi", channel=Channel.WHATSAPP, received_at=ms("2026-06-09T15:00"))
    asked = check(asked_at=ms("2026-06-10T14:00"), channel=Channel.WHATSAPP, category=Category.MARKETING)
    assert judged(after(written), asked)[1].not_after == ms("2026-06-10T15:00")


@pytest.mark.parametrize(
    ("day", "length"), [("2026-03-28", 12), ("2026-03-29", 11), ("2026-10-24", 12), ("2026-10-25", 13)]
)
def test_the_night_is_as_long_as_the_clock_makes_it(day: str, length: int) -> None:
    hours = QuietHours("00:00-12:00")
    span = next_allowed((BERLIN,), ms(f"{day}T00:00"), hours)
    assert span is not None
    assert span.closes - span.opens == length * HOUR


def test_an_hour_that_the_clock_jumps_over_begins_after_the_jump() -> None:
    at = ms("2026-03-29T00:00")
    assert next_allowed((BERLIN,), at, QuietHours("02:30-09:00")) == Span(
        ms("2026-03-29T03:30"), ms("2026-03-29T09:00")
    )


def test_an_hour_that_comes_twice_is_read_narrowly() -> None:
    at = ms("2026-10-25T00:00")
    found = next_allowed((BERLIN,), at, QuietHours("02:30-09:00"))
    assert found is not None
    assert found.opens == ms("2026-10-25T02:30", fold=1)
    ends = next_allowed((BERLIN,), at, QuietHours("00:00-02:30"))
    assert ends is not None
    assert ends.closes == ms("2026-10-25T02:30", fold=0)


def test_every_time_zone_of_a_number_is_known_here() -> None:
    named = {zone for zones in tzdata.TIMEZONE_DATA.values() for zone in zones} - {"Etc/Unknown"}
    assert len(named) > 100
    assert named - available_timezones() == set()


zones = st.lists(st.sampled_from([BERLIN, NEW_YORK, SYDNEY]), min_size=1, max_size=3).map(tuple)
quiet = st.builds(
    lambda opens, length, days: QuietHours(
        f"{opens:02}:00-{min(24, opens + length):02}:00", tuple(day for day in Weekday if day in days)
    ),
    st.integers(4, 20),
    st.integers(1, 20),
    st.sets(st.sampled_from(list(Weekday)), min_size=1),
)
moments = st.integers(ms("2026-01-01T00:00"), ms("2026-12-31T00:00"))


def allowed_by_the_clock(zones: tuple[ZoneInfo, ...], at: int, hours: QuietHours) -> bool:
    for zone in zones:
        local = datetime.fromtimestamp(at / 1000, zone)
        inside = hours.hours.opens <= local.hour * 60 + local.minute < hours.hours.closes
        if not inside or list(Weekday)[local.weekday()] not in hours.days:
            return False
    return True


@given(zones, moments, quiet)
def test_what_is_allowed_is_what_every_clock_says(
    zones: tuple[ZoneInfo, ...], at: int, hours: QuietHours
) -> None:
    found = next_allowed(zones, at, hours)
    if allowed_by_the_clock(zones, at, hours):
        assert found is not None
        assert found.opens == at
    if found is None:
        return
    assert found.opens >= at
    assert allowed_by_the_clock(zones, found.opens, hours)
    assert allowed_by_the_clock(zones, found.closes - 1, hours)
    # Nothing between now and then would have done: looked at in steps of a quarter of an hour.
    step = 15 * MINUTE
    between = range(at, min(found.opens, at + 2 * DAY), step)
    assert not any(allowed_by_the_clock(zones, moment, hours) for moment in between)


@given(st.integers(0, 10**12), moments)
def test_any_number_gets_a_verdict(number: int, at: int) -> None:
    recipient = f"+{number}"
    found = marketing(at, recipient)
    assert found.verdict in (Verdict.ADMIT, Verdict.DEFER)
    if found.verdict is Verdict.DEFER:
        assert found.until is not None
        assert marketing(found.until, recipient).verdict is Verdict.ADMIT


def test_the_numbers_of_these_tests_are_where_they_should_be() -> None:
    assert phonenumbers.region_code_for_number(phonenumbers.parse(GERMAN)) == "DE"
    assert zones_of(CALIFORNIAN, TenantPolicy()) == (ZoneInfo("America/Los_Angeles"),)
    assert T0 > 0
