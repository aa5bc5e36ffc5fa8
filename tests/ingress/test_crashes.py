"""2xx means kept: through outages of the broker, kills of the ingress and full disks, under load.

Each test prints its seed and what it counted. The long ones are marked `chaos`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest

from tests.ingress import small_disk
from tests.ingress.callers import Callers
from tests.ingress.ledger import judge
from tests.ingress.outages import ACK_TIMEOUT_S
from tests.ingress.scene import RATE, Scene, described, scene, stay, wait_for_load
from tests.kafka.broker import KafkaHandle
from tests.waiting import wait_until

# On a shared machine an answer can be this much later than its deadline.
SLACK_S = 3.0
# Once the broker is known to be away nobody waits for it.
KNOWN_S = ACK_TIMEOUT_S + 1.0

on_kafka = [pytest.mark.broker, pytest.mark.timeout(240)]


def check(played: Scene, callers: Callers, what: str, seed: int) -> None:
    verdict = played.verdict(callers)
    print(f"{what}, seed {seed}: {verdict}; answers {dict(callers.answers)}; {described(callers.posted)}")
    assert (verdict.lost, verdict.disordered) == ((), ())
    assert verdict.acknowledged == callers.kept
    assert set(callers.answers) <= {0, 204, 503}
    assert callers.unpromised == 0


def check_answers(callers: Callers, away: float, back: float) -> None:
    """Nobody waited longer than the deadline, and nobody at all once the broker was known to be away."""
    at_first, known = callers.between(away, away + KNOWN_S), callers.between(away + KNOWN_S, back)
    print(f"at first: {described(at_first)}; known to be away: {described(known)}")
    assert {one.status for one in at_first + known} == {204}
    assert max(one.seconds for one in at_first) < ACK_TIMEOUT_S + 1 + SLACK_S
    assert median(one.seconds for one in known) < ACK_TIMEOUT_S / 10


def pause_for(played: Scene, callers: Callers, seconds: float) -> None:
    """The broker stands still and comes back; the ingress is to be ready all the time."""
    played.broker.pause()
    away = time.monotonic()
    ready: list[int] = []
    while time.monotonic() < away + seconds:
        stay(min(1.0, seconds))
        ready.append(played.readiness())
    back = time.monotonic()
    played.broker.resume()
    assert set(ready) == {200}
    played.settle(callers)
    check_answers(callers, away, back)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(5, marks=on_kafka),
        pytest.param(20, marks=[*on_kafka, pytest.mark.chaos]),
    ],
)
def test_a_broker_that_stands_still_loses_nothing_and_holds_nobody_up(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int, seconds: float
) -> None:
    with scene(real_kafka, registry, tmp_path / "journal") as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            pause_for(played, callers, seconds)
        assert set(callers.answers) == {204}
        check(played, callers, f"broker stopped for {seconds} s", seed)


@pytest.mark.broker
@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int
) -> None:
    with scene(real_kafka, registry, tmp_path / "journal") as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            played.broker.kill()
            away = time.monotonic()
            stay(KNOWN_S + 1)
            assert played.readiness() == 200
            back = time.monotonic()
            played.broker.restart()
            played.settle(callers)
            check_answers(callers, away, back)
        check(played, callers, "broker killed", seed)


@pytest.mark.broker
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kills", [2, pytest.param(6, marks=pytest.mark.chaos)])
def test_an_ingress_that_is_killed_at_any_moment_loses_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int, kills: int
) -> None:
    """Every second time the broker is away."""
    moments = random.Random(seed)
    with scene(real_kafka, registry, tmp_path / "journal") as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            for kill in range(kills):
                if kill % 2:
                    played.broker.pause()
                stay(moments.uniform(0.0, 3.0))
                played.kill_ingress()
                played.start_ingress()
                wait_for_load(callers, 100)
                if kill % 2:
                    stay(moments.uniform(0.0, 1.0))
                    played.broker.resume()
                    stay(moments.uniform(0.0, 0.3))  # so that some kills meet the drain
            played.settle(callers)
        check(played, callers, f"ingress killed {kills} times", seed)


@pytest.mark.broker
@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_an_ingress_that_is_killed_again_and_again_while_it_drains_loses_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    with scene(real_kafka, registry, tmp_path / "journal") as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            played.broker.pause()
            wait_until(lambda: played.metric("ingress_journal_entries") > 4000, 60, "a journal of some size")
            played.broker.resume()
            for _ in range(5):
                stay(moments.uniform(0.0, 0.3))
                played.kill_ingress()
                played.start_ingress()
            played.settle(callers)
        check(played, callers, "ingress killed while it drained", seed)


@pytest.mark.broker
@pytest.mark.chaos
@pytest.mark.timeout(240)
@pytest.mark.parametrize("first", ["ingress", "broker"])
def test_both_going_away_together_and_coming_back_in_either_order_lose_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int, first: str
) -> None:
    with scene(real_kafka, registry, tmp_path / "journal") as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            played.broker.pause()
            stay(random.Random(seed).uniform(0.0, 3.0))
            played.kill_ingress()
            if first == "ingress":
                played.start_ingress()
                wait_for_load(callers)
                played.broker.resume()
            else:
                played.broker.resume()
                played.start_ingress()
            played.settle(callers)
        check(played, callers, f"both away, the {first} back first", seed)


@pytest.mark.broker
@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_two_outages_one_after_the_other_lose_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int
) -> None:
    with scene(real_kafka, registry, tmp_path / "journal") as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            played.broker.pause()
            stay(5)
            played.broker.resume()
            # The second begins while the first is being drained.
            played.broker.kill()
            stay(3)
            played.broker.restart()
            played.settle(callers)
            pause_for(played, callers, 5)
        check(played, callers, "two outages", seed)


def wait_for_refusals(played: Scene, callers: Callers) -> None:
    """Until so many more webhooks were put off, and the reason is shown."""
    enough = callers.answers[503] + 200
    wait_until(lambda: callers.answers[503] > enough, 60, "webhooks to be put off")
    # A small entry may fit once more in between.
    wait_until(lambda: played.metric("ingress_journal_trouble"), 10, "the journal's trouble to be shown")


def goes_on(played: Scene, callers: Callers) -> bool:
    """Ready, and under load nothing more is put off."""
    put_off = callers.answers[503]
    wait_for_load(callers)
    return played.readiness() == 200 and callers.answers[503] == put_off


def fill_and_drain(played: Scene, callers: Callers, what: str, seed: int) -> None:
    with callers:
        wait_for_load(callers)
        played.broker.pause()
        wait_for_refusals(played, callers)
        wait_until(lambda: played.readiness() == 503, 10, "the ingress to say so")
        played.broker.resume()
        played.settle(callers)
        # Once for good, not at the first look: a broker may be slow again right after it came back.
        wait_until(lambda: goes_on(played, callers), 60, "all webhooks to be kept again")
    check(played, callers, what, seed)


@contextmanager
def scene_on_a_small_disk(real_kafka: KafkaHandle, registry: str, tmp_path: Path) -> Iterator[Scene]:
    reason = small_disk.why_not(tmp_path)
    if reason is not None:
        pytest.skip(f"no disk of one's own to fill here: {reason}")
    journal = tmp_path / "disk"
    with small_disk.small_disk(journal, kilobytes=1024) as disk_of:
        within = ("--disk-of", str(disk_of))
        with scene(real_kafka, registry, journal, *within, module="tests.ingress.small_disk") as played:
            yield played


@pytest.mark.broker
@pytest.mark.timeout(240)
def test_a_full_disk_puts_webhooks_off_and_loses_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int
) -> None:
    with scene_on_a_small_disk(real_kafka, registry, tmp_path) as played:
        fill_and_drain(played, Callers(played.port, rate=RATE, seed=seed), "full disk", seed)


@pytest.mark.broker
@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_an_ingress_that_is_killed_while_its_disk_is_full_starts_on_it_and_loses_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int
) -> None:
    moments = random.Random(seed)
    with scene_on_a_small_disk(real_kafka, registry, tmp_path) as played:
        with Callers(played.port, rate=RATE, seed=seed) as callers:
            wait_for_load(callers)
            played.broker.pause()
            for _ in range(2):
                wait_for_refusals(played, callers)
                stay(moments.uniform(0.0, 1.0))
                played.kill_ingress()
                played.start_ingress()
            played.broker.resume()
            stay(moments.uniform(0.0, 0.3))  # into the drain, perhaps
            played.kill_ingress()
            played.start_ingress()
            played.settle(callers)
        check(played, callers, "ingress killed on a full disk", seed)


@pytest.mark.broker
@pytest.mark.chaos
@pytest.mark.timeout(240)
def test_a_journal_at_its_bound_puts_webhooks_off_and_loses_nothing(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path, seed: int
) -> None:
    with scene(real_kafka, registry, tmp_path / "journal", "--journal-mb", "1") as played:
        fill_and_drain(played, Callers(played.port, rate=RATE, seed=seed), "full journal", seed)


def test_the_verdict_sees_what_is_lost_repeated_and_out_of_order() -> None:
    told = {"a": 3, "b": 2, "c": 0}
    fine = [("a", 0), ("b", 0), ("a", 1), ("a", 0), ("b", 1), ("a", 2), ("a", 3), ("a", 2)]
    found = judge(told, fine)
    assert (found.acknowledged, found.copies, found.repeats) == (5, 8, 2)
    assert (found.lost, found.disordered) == ((), ())
    found = judge(told, [("a", 0), ("a", 2), ("a", 1), ("b", 1)])
    assert found.lost == ("b: step 0 of 2",)
    assert found.disordered == ("a: [0, 2, 1]",)
