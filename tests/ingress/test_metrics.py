"""What is counted, and where it can be read."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ingress.exposing import Exposition
from ingress.guarding import Fault
from ingress.journal import Entry
from ingress.metrics import Metrics, Webhook
from ingress.refusals import Reason
from tests.ingress import command
from tests.ingress.command import TIMEOUT_S, Ingress, environment
from tests.ingress.journal.entries import crash, journal_in, segments
from tests.ingress.twilio_side import ACCOUNT, TOKEN, new_sid, post, status_form
from tests.waiting import wait_until

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture(scope="module")
def ingress(kafka: str, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    """One with a port for metrics, an accounts file, and a journal that was damaged before."""
    folder = tmp_path_factory.mktemp("metrics")
    asyncio.run(damaged_journal(folder / "journal" / "worker-0"))
    file = {
        "TWILIO_ACCOUNTS_FILE": str(folder / "accounts"),
        "TWILIO_ACCOUNT_SID": "",
        "TWILIO_AUTH_TOKEN": "",
    }
    settings = environment(kafka, registry, folder / "journal", **file)
    write(folder / "accounts", f"- account_sid: {ACCOUNT}\n  auth_token: {TOKEN}\n")
    with command.running(settings, folder / "log") as running:
        yield running


async def damaged_journal(directory: Path) -> None:
    """Of two entries that a killed process left, the first has another byte."""
    async with journal_in(directory) as journal:
        for number in range(2):
            await journal.append(Entry("metrics.tests", f"key-{number}", b"v" * 100, 1_790_000_000_000))
        crash(journal)
        (segment,) = segments(directory)
        content = bytearray(segment.read_bytes())
        content[content.index(b"v" * 100)] ^= 1
    segment.write_bytes(content)


def write(path: Path, content: str) -> None:
    """As an operator should: nobody reads half of it."""
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(content)
    beside.replace(path)


def deliver(ingress: Ingress) -> int:
    with httpx2.Client(base_url=ingress.address, timeout=TIMEOUT_S) as client:
        return post(client, "/twilio/status", status_form(new_sid())).status_code


def test_metrics_are_on_their_own_port_and_not_where_the_world_calls(ingress: Ingress) -> None:
    assert "ingress_requests_total" in (ingress.metrics() or "")
    assert httpx2.get(f"{ingress.address}/metrics", timeout=TIMEOUT_S).status_code == 404


def test_a_webhook_is_counted_by_route_and_result_with_the_time_the_broker_took(ingress: Ingress) -> None:
    counted = 'ingress_requests_total{result="acknowledged",route="status"}'
    timed = 'ingress_acknowledgement_seconds_count{route="status"}'
    before = ingress.metric(counted)
    assert before is not None
    assert deliver(ingress) == 204
    assert ingress.metric(counted) == ingress.metric(timed) == before + 1


def test_a_damaged_stretch_of_the_journal_is_counted(ingress: Ingress) -> None:
    assert ingress.metric("ingress_journal_damaged_total") == 1


def test_an_accounts_file_that_is_not_taken_is_counted_and_refuses_nobody(ingress: Ingress) -> None:
    refused = "ingress_accounts_refused_total"
    assert ingress.metric(refused) == 0
    accounts = ingress.log.with_name("accounts")
    write(accounts, "- account_sid: nobody\n")
    wait_until(lambda: ingress.metric(refused) == 1, TIMEOUT_S, "the file to be refused")
    assert deliver(ingress) == 204


def test_every_metric_that_the_readme_names_is_there(ingress: Ingress) -> None:
    named = set(re.findall(r"`(ingress_[a-z_]+)`", README.read_text()))
    shown = set(re.findall(r"^(ingress_[a-z_]+)", ingress.metrics() or "", re.MULTILINE))
    assert len(named) >= 3
    assert named - shown == set()


def test_every_metric_has_a_help_and_a_value_before_anything_happened() -> None:
    text = Metrics().exposition().decode()
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert names
    for name in names:
        assert re.search(rf"^# HELP {name} \S", text, re.MULTILINE)
    assert all(float(value) == 0 for value in re.findall(r"^ingress_\S+ (\S+)$", text, re.MULTILINE))


def test_every_reason_and_fault_is_a_label_from_the_start() -> None:
    text = Metrics().exposition().decode()
    for reason in Reason:
        assert f'ingress_refusals_total{{reason="{reason}"}} 0.0' in text
    for fault in Fault:
        assert f'ingress_connections_ended_total{{fault="{fault}"}} 0.0' in text


def test_the_buckets_of_the_acknowledgement_are_cumulative_and_end_with_all() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.03, 60.0):
        metrics.acknowledged(Webhook.STATUS, seconds)
    text = metrics.exposition().decode()
    bucket = 'ingress_acknowledgement_seconds_bucket{{le="{}",route="status"}}'
    for bound, count in (("0.001", 2), ("0.02", 2), ("0.05", 3), ("15.0", 3), ("+Inf", 4)):
        assert f"{bucket.format(bound)} {count}.0" in text


def test_two_instances_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.ended(Fault.SLOW)
    assert first.exposition() != second.exposition()


@pytest.mark.anyio
async def test_values_are_collected_on_the_event_loop() -> None:
    metrics = Metrics()
    exposition = Exposition(metrics)
    exposition.on_loop()
    registry = CollectorRegistry()
    registry.register(exposition)
    scraped: list[bytes] = []
    scraper = threading.Thread(target=lambda: scraped.append(generate_latest(registry)))
    scraper.start()
    scraper.join(0.1)
    assert scraped == []  # the loop is not free
    metrics.ended(Fault.SLOW)
    await asyncio.to_thread(scraper.join)
    assert b'ingress_connections_ended_total{fault="slow"} 1.0' in scraped[0]


def test_what_was_counted_can_still_be_read_after_the_loop_has_ended() -> None:
    exposition = Exposition(Metrics())

    async def serve() -> None:
        exposition.on_loop()

    asyncio.run(serve())
    assert exposition.collect()
