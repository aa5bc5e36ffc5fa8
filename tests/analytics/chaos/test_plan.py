"""What is written repeats with its seed, and holds everything the run is there for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from schemas.codec import Codec
from schemas.topics import Topic
from tests import servers
from tests.analytics.chaos.plan import Planned, planned
from tests.analytics.chaos.recomputed import Lying, Place, Tables
from tests.analytics.chaos.run import _AT_LEAST, _COUNTED, disturbances
from tests.analytics.chaos.tables import LookedUp
from tests.analytics.chaos.terms import KEY, LANDS, Terms
from tests.analytics.chaos.views import views

EVENTS = 30_000
BASE_MS = 1_795_000_000_000


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Codec]:
    log = tmp_path_factory.mktemp("registry") / "registry.log"
    with servers.running("sandbox.registry", log=log) as registry, closing(Codec(registry.address)) as found:
        yield found


@pytest.fixture(scope="module")
def written(codec: Codec) -> list[Planned]:
    return list(planned(7, EVENTS, BASE_MS, codec))


@pytest.fixture(scope="module")
def looked_up(codec: Codec) -> list[tuple[int, LookedUp]]:
    """What is looked up, each with how many records were written before it."""
    told: list[LookedUp] = []
    found: list[tuple[int, LookedUp]] = []
    for number, _ in enumerate(planned(7, EVENTS, BASE_MS, codec, told.append)):
        found += [(number, each) for each in told]
        told.clear()
    return found + [(EVENTS, each) for each in told]


@pytest.fixture(scope="module")
def read(codec: Codec, written: list[Planned]) -> Tables:
    found = Tables(codec, KEY)
    for offset, record in enumerate(written):
        found.add(Lying(Place(record.topic.value, 0, offset), record.value))
    return found


def test_so_many_records_are_written_as_were_asked_for(written: list[Planned]) -> None:
    assert len(written) == EVENTS


def test_the_same_seed_gives_the_same_records_in_the_same_order(codec: Codec, written: list[Planned]) -> None:
    again = planned(7, EVENTS, BASE_MS, codec)
    assert [next(again) for _ in range(2_000)] == written[:2_000]


def test_exactly_the_poison_is_unreadable(written: list[Planned], read: Tables) -> None:
    poison = {Place(r.topic.value, 0, offset) for offset, r in enumerate(written) if r.poison}
    assert read.unreadable.keys() == poison


def test_there_is_poison_of_every_kind_on_every_topic(written: list[Planned]) -> None:
    assert {r.topic for r in written if r.poison} == set(LANDS)
    assert {r.poison for r in written} == {
        "",
        "unknown schema",
        "truncated",
        "garbage",
        "another record",
        "impossible time",
        "no value",
    }


def test_most_are_statuses_and_every_topic_has_its_share(written: list[Planned]) -> None:
    shares = Counter(record.topic for record in written)
    assert shares[Topic.STATUS] > EVENTS * 0.3
    assert all(shares[topic] > EVENTS * 0.01 for topic in LANDS)


def test_enough_rows_land_for_the_last_moment_to_come(read: Tables) -> None:
    rows = read.rows()
    assert sum(len(list(rows[table]())) for table in _COUNTED) > EVENTS * _AT_LEAST


def test_events_come_late_and_versions_out_of_order(read: Tables) -> None:
    times: dict[str, list[int]] = defaultdict(list)
    for event in read.status_events:
        times[event.message_sid].append(event.received_at)
    assert sum(told != sorted(told) for told in times.values()) > len(times) * 0.1
    versions: dict[str, list[int]] = defaultdict(list)
    for about, version, _ in read.history:
        versions[about].append(version)
    assert any(told != sorted(told) for told in versions.values())


def test_figures_by_the_hour_count_more_than_one(read: Tables) -> None:
    figures: Any = views(read)
    assert any(row.attempts > 1 for row in figures["deliverability"]())
    assert any(row.notifications > 1 for row in figures["notification_states"]())


def test_no_two_prices_of_a_message_are_told_at_one_time(read: Tables) -> None:
    told: dict[tuple[str, int], set[object]] = defaultdict(set)
    for event in read.status_events:
        if event.price is not None:
            told[event.message_sid, event.received_at].add(event.price)
    assert max(map(len, told.values())) == 1
    assert len({sid for sid, _ in told}) < len(told)


def test_some_are_looked_up_before_their_outcomes_are_written_some_meanwhile_and_some_long_after(
    codec: Codec, written: list[Planned], looked_up: list[tuple[int, LookedUp]]
) -> None:
    outcomes: dict[str, list[int]] = defaultdict(list)
    for number, record in enumerate(written):
        if record.topic == Topic.OUTCOMES:
            outcomes[record.key].append(number)
    when = Counter(
        "before" if at <= min(places) else "after" if at > max(places) else "among"
        for at, told in looked_up
        if (places := outcomes.get(told.notification_id))
    )
    assert min(when["before"], when["among"], when["after"]) > 30


def test_some_are_looked_up_twice_and_the_older_answer_comes_last_now_and_then(
    looked_up: list[tuple[int, LookedUp]],
) -> None:
    told: dict[tuple[str, int], list[int]] = defaultdict(list)
    for _, each in looked_up:
        told[each.notification_id, each.requested_at].append(each.valid_from)
    twice = [times for times in told.values() if len(times) == 2]
    assert any(times == sorted(times) for times in twice)
    assert any(times != sorted(times) for times in twice)
    assert (
        {bool(each.carrier) for _, each in looked_up}
        == {bool(e.country) for _, e in looked_up}
        == {True, False}
    )


def test_some_repeats_are_looked_up_too_in_another_hour_than_the_first(
    looked_up: list[tuple[int, LookedUp]],
) -> None:
    hours: dict[str, set[int]] = defaultdict(set)
    for _, each in looked_up:
        hours[each.notification_id].add(each.hour)
    assert sum(len(found) == 2 for found in hours.values()) > 30


def test_the_kills_are_spread_over_all_that_lands() -> None:
    terms = Terms(3, BASE_MS)
    at = [each.landed for each in disturbances(terms) if each.what == "kill"]
    assert len(at) == terms.kills
    parts = {int(landed / (terms.events * _AT_LEAST) * 4) for landed in at}
    assert parts == {0, 1, 2, 3}
