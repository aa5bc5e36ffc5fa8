"""What a running process tells of itself."""

from __future__ import annotations

import socket
import urllib.request
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.topics import Topic
from streams.metrics import HELP, Name
from tests.streams import world
from tests.streams.test_worker import accept, new_number, report, say
from tests.streams.world import World
from tests.waiting import wait_until

WAIT_S = 30.0


class Watched(NamedTuple):
    world: World
    metrics_port: int
    health_port: int

    def value(self, name: str, **labels: str) -> float:
        """Of the sample with these labels among its own; 0 when there is none."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(get(self.metrics_port, "/metrics"))
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        text: bytes = answer.read()
    return text.decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    directory = tmp_path_factory.mktemp("metrics")
    ports = free_port(), free_port()
    options = ("--metrics-port", str(ports[0]), "--health-port", str(ports[1]))
    with world.on_the_embedded_broker(directory) as around, world.streams(around, directory, "0", *options):
        yield Watched(around, *ports)


def test_every_metric_is_there_with_its_help(watched: Watched) -> None:
    text = get(watched.metrics_port, "/metrics")
    families = {family.name: family.documentation for family in text_string_to_metric_families(text)}
    assert {name.value: HELP[name] for name in Name}.items() <= families.items()


def test_a_process_at_work_is_alive(watched: Watched) -> None:
    assert '"alive": true' in get(watched.health_port, "/healthz")
    assert watched.value(Name.STUCK) == 0


def test_events_rows_and_deadlines_are_counted_and_lag_goes_back_to_nothing(watched: Watched) -> None:
    around = watched.world
    notification = around.ask(uuid.uuid4().hex, recipient=new_number())
    around.await_command(notification)
    wait_until(lambda: watched.value("streams_events_total", topic=Topic.REQUESTS) >= 1, WAIT_S, "an event")
    assert watched.value(Name.ROWS, changelog=Topic.NOTIFICATIONS_CHANGELOG) >= 1
    assert watched.value(Name.TIMERS, changelog=Topic.NOTIFICATIONS_CHANGELOG) >= 1
    assert watched.value("streams_transactions_total") >= 1
    assert watched.value(Name.PARTITIONS) == world.PARTITIONS
    wait_until(lambda: watched.value(Name.LAG) == 0, WAIT_S, "everything to be handled")


def test_verdicts_are_counted_by_their_reason(watched: Watched) -> None:
    around, number = watched.world, new_number()
    say(around, number, "STOP")
    around.ask(uuid.uuid4().hex, recipient=number)
    wait_until(
        lambda: watched.value("streams_verdicts_total", verdict="suppress") >= 1, WAIT_S, "a suppression"
    )


def test_records_put_aside_are_counted_by_their_reason(watched: Watched) -> None:
    watched.world.write(Topic.STATUS, "k", b"\xff garbage")
    labels = {"stage": "streams.delivery", "reason": "not-avro"}
    wait_until(lambda: watched.value("streams_dead_letters_total", **labels) == 1, WAIT_S, "a dead letter")


def test_statuses_that_contradict_each_other_are_counted(watched: Watched) -> None:
    around = watched.world
    notification = around.ask(uuid.uuid4().hex, recipient=new_number())
    around.await_command(notification)
    sid = accept(around, notification)
    before = watched.value("streams_fold_conflicts_total")
    report(around, notification, sid, "delivered")
    report(around, notification, sid, "undelivered")
    wait_until(lambda: watched.value("streams_fold_conflicts_total") > before, WAIT_S, "a conflict")
