"""A message's fate is a pure function; chaos occurs as often as it should."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.carrier.chaos import Chaos, ChaosLevel
from sandbox.carrier.draws import Answer
from sandbox.carrier.errors import SettingError
from sandbox.carrier.fate import Fate, fate
from sandbox.carrier.magic import Magic
from sandbox.carrier.request import Address, Channel, CreateRequest, Status

DEFAULT = ChaosLevel.DEFAULT.chaos
requests = st.builds(
    CreateRequest,
    to=st.builds(
        Address,
        st.sampled_from(Channel),
        st.integers(1_000_000, 9_999_999).map(lambda number: f"+1212{number}"),
    ),
    sender=st.sampled_from(["+15005550006", "+15005550010"]),
    from_service=st.booleans(),
    body=st.text(min_size=1, max_size=20),
)


def request(number: str = "+12125551234", body: str = "hello", *, service: bool = False) -> CreateRequest:
    return CreateRequest(Address(Channel.SMS, number), "+15005550006", service, body)


def many(count: int, chaos: Chaos, seed: int = 1) -> list[Fate]:
    return [fate(seed, request(body=f"message {number}"), 1, chaos) for number in range(count)]


@given(requests, st.integers(0, 2**32), st.integers(1, 5))
def test_the_same_seed_request_and_ordinal_meet_the_same_fate(
    wanted: CreateRequest, seed: int, ordinal: int
) -> None:
    assert fate(seed, wanted, ordinal, DEFAULT) == fate(seed, wanted, ordinal, DEFAULT)


@given(requests, st.integers(0, 2**32), st.integers(1, 5))
def test_another_seed_or_ordinal_gives_another_sid(wanted: CreateRequest, seed: int, ordinal: int) -> None:
    sids = {fate(seed, wanted, ordinal).sid, fate(seed + 1, wanted, ordinal).sid}
    assert len(sids | {fate(seed, wanted, ordinal + 1).sid}) == 3


def test_another_seed_gives_other_ends() -> None:
    first, second = many(500, DEFAULT, seed=1), many(500, DEFAULT, seed=2)
    assert [each.final.status for each in first] != [each.final.status for each in second]


def test_nothing_but_the_combination_decides() -> None:
    bare = request()
    dressed = replace(bare, status_callback="http://127.0.0.1/x", media_urls=())
    assert fate(3, bare, 1, DEFAULT) == fate(3, dressed, 1, DEFAULT)


def test_raising_one_probability_leaves_every_other_decision_alone() -> None:
    before, after = many(300, DEFAULT), many(300, replace(DEFAULT, duplicates=1.0))
    assert [(each.sid, each.answer, each.steps) for each in before] == [
        (each.sid, each.answer, each.steps) for each in after
    ]


@given(requests, st.integers(0, 2**32))
def test_steps_only_go_forward_in_time_and_end_in_the_final_one(wanted: CreateRequest, seed: int) -> None:
    met = fate(seed, wanted, 1, ChaosLevel.WORST.chaos)
    times = [step.at_ms for step in met.steps]
    assert times == sorted(times)
    assert met.final == met.steps[-1]


@given(requests, st.integers(0, 2**32))
def test_a_handset_is_reached_by_every_delivered_message_and_by_no_failed_one(
    wanted: CreateRequest, seed: int
) -> None:
    met = fate(seed, wanted, 1, ChaosLevel.WORST.chaos)
    if met.final.status in (Status.DELIVERED, Status.READ):
        assert met.reached_ms is not None
    if met.final.status.bad_end:
        assert met.reached_ms is None
        assert met.final.error_code is not None


def test_about_half_of_the_silent_messages_reach_their_handset() -> None:
    silent = many(1000, Chaos(silent=1.0))
    reached = sum(each.reached_ms is not None for each in silent)
    assert {each.final.status for each in silent} == {Status.SENT}
    assert 400 < reached < 600


@pytest.mark.parametrize("seed", range(10))
def test_every_kind_of_default_chaos_occurs_in_500_messages(seed: int) -> None:
    met = many(500, DEFAULT, seed)
    assert set(Counter(each.answer for each in met)) == set(Answer)
    assert any(each.in_turn for each in met)
    assert any(len(each.callbacks) > len(each.steps) for each in met)
    assert any(each.final.status is Status.SENT for each in met)


def test_without_chaos_every_request_is_answered_at_once() -> None:
    assert {each.answer for each in many(500, Chaos())} == {Answer.CREATED}


def test_a_magic_number_meets_the_same_fate_in_the_worst_of_chaos() -> None:
    for magic in Magic:
        quiet = fate(1, request(magic.number), 1)
        assert fate(1, request(magic.number), 1, ChaosLevel.WORST.chaos) == quiet


def test_a_once_number_refuses_the_first_and_accepts_the_second() -> None:
    wanted = request(Magic.THROTTLED_ONCE.number)
    assert fate(1, wanted, 1).answer is Answer.THROTTLED
    assert fate(1, wanted, 2).answer is Answer.CREATED


def test_a_message_longer_on_its_way_than_its_validity_fails_with_30036() -> None:
    wanted = replace(request(Magic.DELIVERED.number), validity_s=0)
    assert fate(1, wanted, 1).final.error_code == 30036


def test_an_ordinal_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="counts from 1"):
        fate(1, request(), 0)


@pytest.mark.parametrize("wrong", [{"slow": 1.1}, {"silent": -0.1}, {"slow": 0.6, "throttled": 0.6}])
def test_impossible_probabilities_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        Chaos(**wrong)
