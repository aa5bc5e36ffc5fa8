"""Alive is who gets on with the work."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest
from faust.types import TP

from streams.probe import Liveness, served
from streams.progress import Progress

HERE, THERE = TP("twilio.status", 3), TP("twilio.status", 4)


def looked(*looks: tuple[float, dict[TP, Progress], float | None]) -> Liveness:
    liveness = Liveness(0.0, patience_s=60.0)
    for look in looks:
        liveness.look(*look)
    return liveness


def test_a_process_with_nothing_to_do_is_alive() -> None:
    assert looked((0, {}, None), (100, {}, None)).trouble(100) is None
    caught_up = {HERE: Progress(7, 7)}
    assert looked((0, caught_up, None), (100, caught_up, None)).trouble(100) is None


def test_a_partition_with_records_that_does_not_advance_is_trouble_after_a_while() -> None:
    behind = {HERE: Progress(7, 9), THERE: Progress(1, 1)}
    assert looked((0, behind, None), (59, behind, None)).trouble(59) is None
    trouble = looked((0, behind, None), (61, behind, None)).trouble(61)
    assert trouble == "twilio.status [3] has records and did not advance for 61 s"


def test_a_partition_that_advances_is_alive_however_far_behind_it_is() -> None:
    looks = [(at, {HERE: Progress(at, 10**6)}, None) for at in range(0, 300, 30)]
    assert looked(*looks).trouble(270) is None


def test_a_partition_is_given_time_again_once_it_had_caught_up() -> None:
    behind, caught_up = {HERE: Progress(7, 8)}, {HERE: Progress(7, 7)}
    assert looked((0, behind, None), (59, caught_up, None), (90, behind, None)).trouble(90) is None


def test_a_partition_that_was_taken_away_is_no_trouble() -> None:
    behind = {HERE: Progress(7, 9)}
    assert looked((0, behind, None), (61, behind, None), (62, {}, None)).trouble(62) is None


def test_a_transaction_that_stays_open_is_trouble() -> None:
    assert looked((100, {}, 39.0)).trouble(100) == "nothing was committed for 61 s"
    assert looked((100, {}, 41.0)).trouble(100) is None


def test_a_loop_that_does_not_turn_is_trouble() -> None:
    assert looked((0, {}, None)).trouble(16) == "the event loop did not turn for 16 s"


def ask(port: int | None, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def test_healthz_says_so_and_nothing_else_does() -> None:
    now = time.monotonic()
    liveness = Liveness(now)
    with served(liveness, "127.0.0.1", 0) as port:
        assert ask(port, "/healthz") == (200, b'{"alive": true, "trouble": null}')
        liveness.look(now, {}, now - 100)
        status, body = ask(port, "/healthz")
        assert (status, json.loads(body)["alive"]) == (503, False)
        assert ask(port, "/")[0] == 404


def test_without_a_port_there_is_no_server() -> None:
    with served(Liveness(0.0), "127.0.0.1", None) as port:
        assert port is None


def test_a_port_in_use_is_an_error() -> None:
    with (
        served(Liveness(0.0), "127.0.0.1", 0) as port,
        pytest.raises(OSError, match="in use"),
        served(Liveness(0.0), "127.0.0.1", port),
    ):
        pass
