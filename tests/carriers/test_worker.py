"""The carriers process: asks once, within the budget, beside everything else, and never shows a number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.carrier.lookups import fetch_lookups, port_number
from schemas.topics import Topic
from sinks.analytics.clickhouse import connect
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import Place, outcome_rows
from sinks.carriers import metrics
from tests.analytics import examples
from tests.analytics.by_hand import put
from tests.analytics.world import KEY, World, world
from tests.carriers.carrying import carrying, config, wait_until_passed
from tests.ingress.closed_port import closed_port
from tests.outbound.simulator import Simulator, account_at, simulating
from tests.waiting import wait_until

DAY = 86_400_000
NUMBER = "+4917012345678"
OLD_KEY = bytes(range(32, 64))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulating(tmp_path_factory.mktemp("carrier") / "log") as running:
        yield running


@pytest.fixture
def around(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as servers:
        migrate(servers.clickhouse.url)
        yield servers


def hashed(number: str, key: bytes = KEY) -> str:
    return Privacy(key).recipient_hash(number)


def asked(simulator: Simulator, number: str) -> int:
    return fetch_lookups(simulator.url).numbers.count(number)


def write(around: World, key: str, number: str, at: int = examples.NOW, tenant: str = "acme") -> None:
    request = examples.request(key, recipient=number, requested_at=at, tenant=tenant)
    around.write(Topic.REQUESTS, request, key=key)


def land_outcome(around: World, key: str, number: str, at: int) -> None:
    """A message, as the sink lands it."""
    client = connect(around.clickhouse.url)
    try:
        outcome = examples.outcome(key, recipient=number, requested_at=at, carrier="Range holder")
        put(client, outcome_rows(outcome, Place("t", 0, 0), Privacy(KEY)))
    finally:
        client.close()


def test_a_number_that_moves_keeps_what_stood_and_later_messages_get_the_new_carrier(
    around: World, simulator: Simulator
) -> None:
    now = examples.NOW
    chosen = config(around, simulator.account())
    write(around, "first", NUMBER, now - 100 * DAY)
    write(around, "again", NUMBER, now - 100 * DAY + 1)
    with carrying(chosen, lambda: now - 100 * DAY + 1000):
        wait_until_passed(around, 2)
    assert asked(simulator, NUMBER) == 1

    port_number(simulator.url, NUMBER, "Vodafone")
    write(around, "young", NUMBER, now - 20 * DAY)
    with carrying(chosen, lambda: now - 20 * DAY):
        wait_until_passed(around, 3)
    assert asked(simulator, NUMBER) == 1, "80 days are not the 90 after which it is asked again"
    write(around, "later", NUMBER, now)
    with carrying(chosen, lambda: now + 1000):
        wait_until_passed(around, 4)
    assert asked(simulator, NUMBER) == 2

    for key, at in (("first", now - 100 * DAY), ("young", now - 20 * DAY), ("later", now)):
        land_outcome(around, key, NUMBER, at)
    land_outcome(around, "stranger", "+4917099999999", now)
    found = around.clickhouse.query(
        "SELECT notification_id, carrier, carrier_source, mcc, mnc, line_type FROM attributed_messages"
    )
    assert {row[0]: row[1:] for row in found} == {
        examples.nid("first"): ("T-Mobile", "lookup", "262", "01", "mobile"),
        examples.nid("young"): ("T-Mobile", "lookup", "262", "01", "mobile"),
        examples.nid("later"): ("Vodafone", "lookup", "262", "02", "mobile"),
        examples.nid("stranger"): ("Range holder", "prefix", "", "", ""),
    }


def test_the_budget_holds_over_restarts_and_what_it_does_not_cover_is_passed(
    around: World, simulator: Simulator
) -> None:
    numbers = [f"+491701111{each:04}" for each in range(6)]
    for count, number in enumerate(numbers, 1):
        write(around, f"k{count}", number)
        with carrying(config(around, simulator.account(), lookups_per_month=4)):
            wait_until_passed(around, count)
    assert sum(asked(simulator, number) for number in numbers) == 4
    assert around.count("recipient_carriers") == 4


def test_a_change_of_keys_links_the_hashes_and_asks_nobody_again(around: World, simulator: Simulator) -> None:
    number = "+4917022222222"
    write(around, "before", number)
    with carrying(config(around, simulator.account(), pii_hash_key=OLD_KEY)):
        wait_until_passed(around, 1)
    write(around, "after", number, examples.NOW + 1)
    with carrying(config(around, simulator.account(), pii_hash_key_previous=OLD_KEY)):
        wait_until_passed(around, 2)
    assert asked(simulator, number) == 1
    assert around.clickhouse.query("SELECT recipient_hash, person FROM recipient_people") == [
        (hashed(number, OLD_KEY), hashed(number))
    ]
    assert around.clickhouse.query(
        f"SELECT carrier FROM recipient_carriers FINAL WHERE recipient_hash = '{hashed(number)}'"  # noqa: S608
    ) == [("T-Mobile",)]


def test_after_two_changes_of_keys_every_old_hash_points_at_the_newest(around: World) -> None:
    number, oldest = "+4917033333333", bytes(range(64, 96))
    write(around, "k1", number)
    with carrying(config(around, pii_hash_key=OLD_KEY, pii_hash_key_previous=oldest)):
        wait_until_passed(around, 1)
    write(around, "k2", number)
    with carrying(config(around, pii_hash_key_previous=OLD_KEY)):
        wait_until_passed(around, 2)
    people = dict(around.clickhouse.query("SELECT recipient_hash, person FROM recipient_people"))
    assert people == {hashed(number, oldest): hashed(number), hashed(number, OLD_KEY): hashed(number)}


def test_only_tenants_that_opted_in_have_numbers_and_only_in_their_table(around: World) -> None:
    write(around, "open", NUMBER, tenant="open")
    write(around, "closed", "+4917044444444", tenant="closed")
    with carrying(config(around, number_tenants=frozenset({"open"}))):
        wait_until_passed(around, 2)
    assert around.clickhouse.query("SELECT tenant, recipient_hash, number FROM recipient_numbers FINAL") == [
        ("open", hashed(NUMBER), NUMBER)
    ]


def test_no_number_is_in_what_is_kept_of_look_ups(around: World, simulator: Simulator) -> None:
    number = "+4917055555555"
    write(around, "k", number)
    with carrying(config(around, simulator.account(), pii_hash_key_previous=OLD_KEY)):
        wait_until_passed(around, 1)
    for table in ("recipient_carriers", "lookup_reservations", "recipient_links", "recipient_numbers"):
        rows = around.clickhouse.query(f"SELECT * FROM {table}")  # noqa: S608
        assert rows or table == "recipient_numbers"
        assert number[3:] not in repr(rows)


def test_requests_that_are_unreadable_or_refused_are_passed(around: World, simulator: Simulator) -> None:
    around.write(
        Topic.REQUESTS, b"no avro at all", examples.request("r", refusal="invalid-number", recipient="")
    )
    write(around, "good", "+4917066666666")
    with carrying(config(around, simulator.account())):
        wait_until_passed(around, 3)
    assert around.count("recipient_carriers") == 1


def test_a_provider_that_is_away_loses_nothing_and_costs_no_budget(
    around: World, simulator: Simulator
) -> None:
    number = "+4917077777777"
    write(around, "k", number)
    waits = metrics.WAITS.labels("provider")
    before = waits._value.get()
    with carrying(config(around, account_at(f"http://{closed_port()}"), lookups_per_month=2)):
        wait_until(lambda: waits._value.get() > before + 1, 20, "two tries at a provider that is away")
    # One unit was reserved by the process that ended; none was used up by its tries.
    with carrying(config(around, simulator.account(), lookups_per_month=2)):
        wait_until_passed(around, 1)
    assert asked(simulator, number) == 1


def test_a_process_with_nothing_to_do_does_not_start(around: World) -> None:
    with pytest.raises(ValueError, match="nothing to do"):
        config(around)
