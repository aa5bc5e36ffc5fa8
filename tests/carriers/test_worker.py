"""The carriers process: asks once, within the budget, beside everything else, and never shows a number."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.carrier.lookups import fetch_lookups, port_number
from schemas.topics import Topic
from sinks.analytics.clickhouse import connect
from sinks.analytics.migrate import migrate
from sinks.analytics.privacy import Privacy
from sinks.analytics.rows import Place, outcome_rows
from sinks.carriers.config import CarriersConfig
from tests import servers
from tests.analytics import examples
from tests.analytics.by_hand import put
from tests.analytics.world import KEY, World, world
from tests.carriers.carrying import begin_at_end, carrying, config, wait_until_passed
from tests.outbound.simulator import ACCOUNT, TOKEN, Simulator, simulating

DAY = 86_400_000
OLD_KEY = bytes(range(32, 64))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with simulating(tmp_path_factory.mktemp("carrier") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as servers:
        migrate(servers.clickhouse.url)
        yield servers


@pytest.fixture
def group(around: World) -> str:
    """A group that reads what this test writes."""
    name = f"carriers-{uuid.uuid4().hex}"
    begin_at_end(around, name)
    return name


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
    around: World, simulator: Simulator, group: str
) -> None:
    number, now = "+4917012345678", examples.NOW
    times = {"first": now - 100 * DAY, "again": now - 100 * DAY + 1, "young": now - 20 * DAY, "later": now}
    clock = [now - 100 * DAY + 1000]
    with carrying(config(around, group, simulator.account()), lambda: clock[0]):
        write(around, "first", number, times["first"])
        write(around, "again", number, times["again"])
        wait_until_passed(around, group)
        assert asked(simulator, number) == 1

        port_number(simulator.url, number, "Vodafone")
        clock[0] = times["young"]
        write(around, "young", number, times["young"])
        wait_until_passed(around, group)
        assert asked(simulator, number) == 1, "80 days are not the 90 after which it is asked again"

        clock[0] = now + 1000
        write(around, "later", number, times["later"])
        wait_until_passed(around, group)
        assert asked(simulator, number) == 2

    for key, at in times.items():
        land_outcome(around, key, number, at)
    land_outcome(around, "stranger", "+4917099999999", now)
    found = around.clickhouse.query(
        "SELECT notification_id, carrier, carrier_source, mcc, mnc, line_type FROM attributed_messages"
    )
    before = ("T-Mobile", "lookup", "262", "01", "mobile")
    assert {row[0]: row[1:] for row in found} == {
        examples.nid("first"): before,
        examples.nid("again"): before,
        examples.nid("young"): before,
        examples.nid("later"): ("Vodafone", "lookup", "262", "02", "mobile"),
        examples.nid("stranger"): ("Range holder", "prefix", "", "", ""),
    }


def test_the_budget_holds_when_another_process_reads_everything_again(
    around: World, simulator: Simulator, group: str
) -> None:
    numbers = [f"+491701111{each:04}" for each in range(6)]
    another_month = examples.NOW - 40 * DAY
    second = group + "-second"
    begin_at_end(around, second)
    for number in numbers:
        write(around, number, number)
    for reader in (group, second):
        chosen = config(around, reader, simulator.account(), lookups_per_month=4)
        with carrying(chosen, lambda: another_month):
            wait_until_passed(around, reader)
        assert sorted(asked(simulator, number) for number in numbers) == [0, 0, 1, 1, 1, 1]


def test_a_change_of_keys_links_the_hashes_asks_nobody_again_and_keeps_no_number(
    around: World, simulator: Simulator, group: str
) -> None:
    number, after = "+4917022222222", group + "-after"
    begin_at_end(around, after)
    write(around, "changing", number)
    with carrying(config(around, group, simulator.account(), pii_hash_key=OLD_KEY)):
        wait_until_passed(around, group)
    with carrying(config(around, after, simulator.account(), pii_hash_key_previous=OLD_KEY)):
        wait_until_passed(around, after)
    assert asked(simulator, number) == 1
    people = dict(around.clickhouse.query("SELECT recipient_hash, person FROM recipient_people"))
    assert people[hashed(number, OLD_KEY)] == hashed(number)
    assert around.clickhouse.query(
        f"SELECT carrier FROM recipient_carriers FINAL WHERE recipient_hash = '{hashed(number)}'"  # noqa: S608
    ) == [("T-Mobile",)]
    for table in ("recipient_carriers", "lookup_reservations", "recipient_links"):
        rows = around.clickhouse.query(f"SELECT * FROM {table}")  # noqa: S608
        assert rows
        assert number[3:] not in repr(rows)


def test_only_tenants_that_opted_in_have_numbers_and_only_in_their_table(around: World, group: str) -> None:
    open_one, closed_one = "+4917033333333", "+4917044444444"
    write(around, "open", open_one, tenant="open")
    write(around, "closed", closed_one, tenant="closed")
    with carrying(config(around, group, number_tenants=frozenset({"open"}))):
        wait_until_passed(around, group)
    assert around.clickhouse.query("SELECT tenant, recipient_hash, number FROM recipient_numbers FINAL") == [
        ("open", hashed(open_one), open_one)
    ]


def test_requests_that_are_unreadable_or_refused_are_passed(
    around: World, simulator: Simulator, group: str
) -> None:
    refused = examples.request("r", refusal="invalid-number", recipient="")
    around.write(Topic.REQUESTS, b"no avro at all", refused)
    write(around, "good", "+4917066666666")
    with carrying(config(around, group, simulator.account())):
        wait_until_passed(around, group)
    assert asked(simulator, "+4917066666666") == 1


def test_the_command_is_the_same_process(
    around: World, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, group = "+4917088888888", CarriersConfig.__dataclass_fields__["group"].default
    begin_at_end(around, group)
    write(around, "by-command", number)
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": around.kafka.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": around.registry_url,
        "CLICKHOUSE_URL": around.clickhouse.url,
        "PII_HASH_KEY": "0123456789abcdef0123456789abcdef",
        "TWILIO_API_URL": simulator.url,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "CARRIER_LOOKUPS_PER_MONTH": "1000",
        "LOG_LEVEL": "DEBUG",
    }
    log = tmp_path / "carriers.log"
    with servers.running("notifystream", "carriers", log=log, env=env):
        wait_until_passed(around, group)
    assert asked(simulator, number) == 1
    assert number[3:] not in log.read_text()


def test_a_process_with_nothing_to_do_does_not_start(around: World) -> None:
    with pytest.raises(ValueError, match="nothing to do"):
        config(around, "nobody")
