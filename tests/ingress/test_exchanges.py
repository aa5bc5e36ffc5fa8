"""Requests that go to their endpoint without a task; what clients may not do is in test_protocol.py."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.ingress.test_protocol import (
    PATIENT,
    TIMEOUT_S,
    Running,
    answer,
    post,
    serving,
    statuses,
    until_closed,
)
from tests.waiting import wait_until


@pytest.fixture
def running() -> Iterator[Running]:
    with serving(PATIENT, "direct") as server:
        yield server


def test_pipelined_requests_are_answered_in_their_order_each_once(running: Running) -> None:
    running.app.let.clear()
    asked = [post(f"/{number}", b"x" * number) for number in range(50)]
    with running.connect() as connection:
        connection.sendall(b"".join(asked))
        wait_until(lambda: running.app.begun == ["/0"], TIMEOUT_S, "the first to begin, and no other")
        running.app.let.set()
        answers = [answer(connection) for _ in asked]
    assert [said.rpartition(b"\r\n")[2] for said in answers] == [b"/%d %d" % (at, at) for at in range(50)]


def test_thousands_of_pipelined_requests_do_not_nest(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(post("/a", b"") * 3_000 + b"GET /end HTTP/1.1\r\nconnection: close\r\n\r\n")
        assert statuses(until_closed(connection)) == [200] * 3_001


def test_a_body_above_what_uvicorn_holds_back_arrives_whole(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(post("/a", b"x" * 900_000))
        assert answer(connection).endswith(b"/a 900000")


def test_such_a_body_of_a_request_that_waited_its_turn_arrives_whole_too(running: Running) -> None:
    running.app.let.clear()
    with running.connect() as connection:
        connection.sendall(post("/a", b"1"))
        wait_until(lambda: running.app.begun == ["/a"], TIMEOUT_S, "the first to begin")
        sending = post("/b", b"x" * 300_000)
        connection.sendall(sending[:100_000])
        running.app.let.set()
        assert answer(connection).endswith(b"/a 1")
        connection.sendall(sending[100_000:])
        assert answer(connection).endswith(b"/b 300000")


def test_a_body_that_is_too_large_is_answered_before_its_end_and_taken_by_nobody(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(post("/a", b"x" * 1_000_001))
        assert statuses(until_closed(connection)) == [413]
    assert running.app.begun == []


def test_a_client_that_asks_whether_to_send_its_body_is_told_to_go_on(running: Running) -> None:
    asked = post("/a", b"123", b"expect: 100-continue")
    with running.connect() as connection:
        connection.sendall(asked[:-3])
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(asked[-3:])
        assert answer(connection).endswith(b"/a 3")


def test_a_head_is_answered_without_a_body(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nconnection: close\r\n\r\n")
        first, _, rest = until_closed(connection).partition(b"\r\n\r\n")
    assert b"content-length: 4" in first
    assert rest.startswith(b"HTTP/1.1 200")


def test_a_client_of_http_1_0_is_told_that_the_connection_ends(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        assert b"\r\nconnection: close\r\n" in until_closed(connection)


def test_an_answer_that_nobody_waits_for_any_more_hurts_nobody(running: Running) -> None:
    running.app.let.clear()
    gone = running.connect()
    gone.sendall(post("/gone", b"1"))
    wait_until(lambda: running.app.begun == ["/gone"], TIMEOUT_S, "the request to begin")
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()  # by a reset: after an orderly one it would be answered
    wait_until(lambda: not running.server.server_state.connections, TIMEOUT_S, "the connection to be lost")
    running.app.let.set()
    with running.connect() as connection:
        connection.sendall(post("/a", b"1"))
        assert answer(connection).endswith(b"/a 1")


def test_a_client_that_does_not_read_gets_nothing_more_until_it_does(running: Running) -> None:
    asked = post("/large", b"") * 4
    with running.connect() as connection:
        connection.sendall(asked)
        wait_until(lambda: len(running.app.begun) > 1, TIMEOUT_S, "the first answer to be under way")
        answers = [answer(connection) for _ in range(4)]
    assert [len(said) for said in answers] == [len(answers[0])] * 4
