"""Frequency caps: what is counted, once each, and when there is room again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.records import AdmissionVerdict
from schemas.vocabulary import Category, Channel, Verdict
from streams.policy import Cap, Policies
from streams.recipients import Event
from tests.streams.builders import T0
from tests.streams.persons import DAY, HOUR, after, check, evidence, judged, policies
from tests.streams.test_consent import inbound

MARKETING = Category.MARKETING


def capped(*caps: Cap, category: Category = MARKETING) -> Policies:
    return policies(caps={category: caps}, quiet_hours={})


TWO_A_DAY = capped(Cap(2, DAY))


def offer(name: str, at: int, **changes: Any) -> Event:
    values: dict[str, Any] = {"notification_id": name, "asked_at": T0 + at, "category": MARKETING}
    return check(**(values | changes))


def asked(
    *before: Event, policy: Policies = TWO_A_DAY, at: int, name: str = "new", **changes: Any
) -> AdmissionVerdict:
    row = after(*before, policy=policy)
    return judged(row, offer(name, at, **changes), policy)[1]  # type: ignore[arg-type]


def test_up_to_the_cap_notifications_are_admitted() -> None:
    assert asked(offer("a", 0), at=HOUR).verdict is Verdict.ADMIT


def test_beyond_the_cap_they_wait_until_the_oldest_leaves_the_time() -> None:
    found = asked(offer("a", 0), offer("b", HOUR), at=2 * HOUR)
    assert (found.verdict, found.reason, found.until) == (Verdict.DEFER, "frequency-cap", T0 + DAY)


def test_at_that_time_there_is_room() -> None:
    before = [offer("a", 0), offer("b", HOUR)]
    assert asked(*before, at=DAY - 1).verdict is Verdict.DEFER
    assert asked(*before, at=DAY).verdict is Verdict.ADMIT


def test_several_caps_hold_together() -> None:
    policy = capped(Cap(1, HOUR), Cap(2, DAY))
    assert asked(offer("a", 0), policy=policy, at=1).until == T0 + HOUR
    assert asked(offer("a", 0), offer("b", HOUR), policy=policy, at=HOUR + 1).until == T0 + DAY


def test_a_retry_of_the_same_notification_takes_no_second_place() -> None:
    tries = [offer("a", n, attempt=n + 1) for n in range(5)]
    assert asked(*tries, at=HOUR).verdict is Verdict.ADMIT
    assert asked(offer("a", 0), offer("b", 1), name="b", at=2, attempt=2).verdict is Verdict.ADMIT


def test_a_fallback_on_another_channel_takes_no_second_place() -> None:
    tries = [offer("a", 0), offer("a", 1, attempt=2, channel=Channel.RCS)]
    assert asked(*tries, at=HOUR).verdict is Verdict.ADMIT


def test_a_notification_that_is_tried_again_long_after_counts_from_then_on() -> None:
    policy = capped(Cap(1, HOUR), Cap(9, 30 * DAY))
    again = [offer("a", 0), offer("a", DAY, attempt=2)]
    assert asked(*again, policy=policy, at=DAY + 1).until == T0 + DAY + HOUR


def test_what_was_not_admitted_is_not_counted() -> None:
    dead = [offer("a", 0), evidence(30006, at=T0), offer("b", 1), inbound("hi", received_at=T0 + 2)]
    assert asked(*dead, at=3).verdict is Verdict.ADMIT


def test_a_replayed_check_is_not_counted_twice() -> None:
    assert asked(*[offer("a", 0)] * 4, at=HOUR).verdict is Verdict.ADMIT


def test_tenants_and_categories_are_counted_apart() -> None:
    before = [
        offer("a", 0, tenant="other"),
        offer("b", 0, tenant="other"),
        offer("c", 0, category=Category.OTP),
    ]
    assert asked(*before, at=1).verdict is Verdict.ADMIT
    assert asked(*before, at=1, tenant="other").verdict is Verdict.DEFER


def test_a_category_without_caps_is_neither_held_back_nor_remembered() -> None:
    row = after(*[offer(f"n{n}", n, category=Category.OTP) for n in range(9)], policy=TWO_A_DAY)
    assert row.admitted == ()


def test_no_more_is_remembered_than_can_be_counted() -> None:
    policy = capped(Cap(1, HOUR), Cap(2, DAY))
    row = after(*[offer(f"n{n}", n * HOUR) for n in range(200)], policy=policy)
    assert len(row.admitted) == 2


@given(
    st.lists(st.tuples(st.integers(0, 3 * DAY), st.integers(0, 9)), min_size=1, max_size=40),
    st.integers(1, 3),
    st.integers(1, DAY),
)
def test_never_more_notifications_than_the_cap_are_admitted_in_any_time_of_its_length(
    asks: list[tuple[int, int]], limit: int, per_ms: int
) -> None:
    policy = capped(Cap(limit, per_ms))
    row = after()
    admitted: list[tuple[int, int]] = []
    for number, (at, name) in enumerate(sorted(asks)):
        # Each ask is a check of its own.
        row, found = judged(row, offer(f"n{name}", at, check=number + 1), policy)  # type: ignore[arg-type]
        if found.verdict is Verdict.ADMIT:
            admitted.append((at, name))
        else:
            assert found.until is not None
            assert T0 + at < found.until <= T0 + at + per_ms
    for at, _ in admitted:
        first_of = {}
        for when, name in admitted:
            if at - per_ms < when <= at:
                first_of.setdefault(name, when)
        assert len(first_of) <= limit
