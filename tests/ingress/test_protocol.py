"""What clients do to a connection that Twilio never does, and what becomes of it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from starlette.types import Message, Receive, Scope, Send

from ingress.exchanges import Endpoint, Exchange
from ingress.guarding import Fault, Guard, Limits
from ingress.protocol import guarded
from ingress.responses import Response
from ingress.server import Server, listening, server_config
from tests.waiting import wait_until

LIMITS = Limits(timeout_s=0.4, sweep_s=0.05, last_call_s=0.3)
PATIENT = Limits(timeout_s=30.0)
TIMEOUT_S = 20.0
GET = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n"


class App:
    """Answers 200 with the path and the size of the body, once `let` is set; 403 below /refused, unread
    below /unread."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.begun: list[str] = []
        self.disconnected: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        path = scope["path"]
        self.begun.append(path)
        size, more = 0, not path.startswith("/unread")
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.append(path)
                break
            size += len(message["body"])
            more = message["more_body"]
        while not self.let.is_set():  # noqa: ASYNC110 # set by the test's thread
            await asyncio.sleep(0.002)
        body = f"{path} {size}".encode()
        if path.startswith("/large"):
            body *= 100_000
        status = 403 if path.startswith("/refused") else 200
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": body})


class Direct(dict[str, Endpoint]):
    """The same for every path without a task: each request is taken when it is whole."""

    largest = 1_000_000

    def __init__(self, app: App) -> None:
        super().__init__()
        self._app = app
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, path: str, default: object = None) -> Endpoint:  # type: ignore[override]
        return self

    def take(self, exchange: Exchange) -> None:
        self._app.begun.append(exchange.scope["path"])
        task = asyncio.get_running_loop().create_task(self._answer(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def too_large(self) -> Response:
        return Response(413, b"content-length: 0\r\n", closes=True)

    async def _answer(self, exchange: Exchange) -> None:
        while not self._app.let.is_set():  # noqa: ASYNC110 # set by the test's thread
            await asyncio.sleep(0.002)
        path = exchange.scope["path"]
        body = f"{path} {len(exchange.body)}".encode()
        if path.startswith("/large"):
            body *= 100_000
        status = 403 if path.startswith("/refused") else 200
        exchange.answer(Response(status, b"content-length: %d\r\n" % len(body), body))


async def _lifespan(receive: Receive, send: Send) -> None:
    for answer in ("startup", "shutdown"):
        message: Message = await receive()
        assert message["type"] == f"lifespan.{answer}"
        await send({"type": f"lifespan.{answer}.complete"})


class Running:
    """A guarded server in a thread of this process."""

    def __init__(self, app: App, limits: Limits, way: str) -> None:
        self.app = app
        self.faults: Counter[Fault] = Counter()
        self._listener = listening("127.0.0.1", 0, "the port")
        self.address = self._listener.getsockname()
        guard = Guard(limits, self._count)
        self.ready = threading.Event()
        self.server = Server(
            server_config(app, guarded(guard, Direct(app) if way == "direct" else {}), 5),
            lambda address: self.ready.set(),
        )
        self.thread = threading.Thread(target=self.server.run, args=([self._listener],))

    def _count(self, fault: Fault) -> None:
        self.faults[fault] += 1

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=TIMEOUT_S)

    def end(self) -> None:
        self.server.should_exit = True


@contextmanager
def serving(limits: Limits, way: str) -> Iterator[Running]:
    running = Running(App(), limits, way)
    running.thread.start()
    try:
        assert running.ready.wait(TIMEOUT_S)
        yield running
    finally:
        running.app.let.set()
        running.end()
        running.thread.join(TIMEOUT_S)
        running._listener.close()


@pytest.fixture(scope="module", params=["asgi", "direct"])
def way(request: pytest.FixtureRequest) -> str:
    """How requests get to what answers them: nothing that a client does may tell."""
    return str(request.param)


@pytest.fixture(scope="module")
def hasty_server(way: str) -> Iterator[Running]:
    with serving(LIMITS, way) as running:
        yield running


@pytest.fixture(scope="module")
def patient_server(way: str) -> Iterator[Running]:
    """Whose clients never run out of time in a test, however slow the machine."""
    with serving(PATIENT, way) as running:
        yield running


@pytest.fixture
def hasty(hasty_server: Running) -> Running:
    hasty_server.faults.clear()
    hasty_server.app.disconnected.clear()
    hasty_server.app.begun.clear()
    return hasty_server


@pytest.fixture
def patient(patient_server: Running) -> Running:
    patient_server.faults.clear()
    patient_server.app.begun.clear()
    return patient_server


def until_closed(connection: socket.socket) -> bytes:
    """All that is answered until the server closes its side; a reset fails the test."""
    read = b""
    while part := connection.recv(65536):
        read += part
    return read


def statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def answer(connection: socket.socket) -> bytes:
    """The next answer, complete."""
    read = b""
    while b"\r\n\r\n" not in read:
        part = connection.recv(1)
        assert part, f"closed after {read!r}"
        read += part
    length = next(int(line[15:]) for line in read.split(b"\r\n") if line.startswith(b"content-length:"))
    while length:
        part = connection.recv(length)
        assert part
        read += part
        length -= len(part)
    return read


def post(path: str, body: bytes, *headers: bytes) -> bytes:
    head = [f"POST {path} HTTP/1.1".encode(), b"host: h", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*head, b"", body])


# What is slow


def test_a_connection_that_says_nothing_is_closed_without_a_word(hasty: Running) -> None:
    with hasty.connect() as connection:
        assert until_closed(connection) == b""
    assert hasty.faults == {Fault.SILENT: 1}


@pytest.mark.parametrize(
    "begun",
    [b"G", b"GET /a HTTP/1.1\r\n", b"GET /a HTTP/1.1\r\nhost: h\r\nx: 1\r\n\r", post("/a", b"")[:-2]],
)
def test_a_head_that_does_not_end_is_answered_408(hasty: Running, begun: bytes) -> None:
    with hasty.connect() as connection:
        connection.sendall(begun)
        answered = until_closed(connection)
    assert (statuses(answered), b"connection: close" in answered) == ([408], True)
    assert hasty.faults == {Fault.SLOW: 1}


def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_another(hasty: Running) -> None:
    done = threading.Event()
    with hasty.connect() as connection:

        def drip() -> None:
            connection.sendall(b"GET /a HTTP/1.1\r\nx: ")
            while not done.wait(0.02):
                try:
                    connection.send(b"a")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            answered = connection.recv(1000)
        except ConnectionResetError:  # the next byte came after the close
            answered = b""
        done.set()
        dripping.join()
    assert statuses(answered) in ([408], [])
    assert hasty.faults == {Fault.SLOW: 1}


@pytest.mark.parametrize("head", [b"content-length: 10", b"transfer-encoding: chunked"])
def test_a_body_that_does_not_end_is_answered_408_and_the_route_gives_up(
    hasty: Running, way: str, head: bytes
) -> None:
    with hasty.connect() as connection:
        connection.sendall(b"POST /slow-body HTTP/1.1\r\nhost: h\r\n" + head + b"\r\n\r\n5\r\n12")
        answered = until_closed(connection)
    assert statuses(answered) == [408]
    told = ["/slow-body"] if way == "asgi" else []  # the other way nobody has heard of it yet
    wait_until(lambda: hasty.app.disconnected == told, TIMEOUT_S, "the route to be told")
    assert hasty.app.begun.count("/slow-body") == len(told)
    assert hasty.faults == {Fault.SLOW: 1}


def test_line_ends_do_not_keep_a_connection_open(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(GET)
        assert statuses(answer(connection)) == [200]
        connection.sendall(b"\r\n")
        assert until_closed(connection) == b""
    assert hasty.faults == {Fault.SILENT: 1}


def test_a_connection_that_waits_for_its_answer_is_not_overdue(hasty: Running) -> None:
    hasty.app.let.clear()
    with hasty.connect() as connection, hasty.connect() as silent:
        connection.sendall(post("/a", b"12345"))
        assert until_closed(silent) == b""  # so that much time has passed
        hasty.app.let.set()
        assert answer(connection).endswith(b"/a 5")
    assert hasty.faults == {Fault.SILENT: 1}


def test_a_connection_between_requests_is_not_overdue(hasty: Running) -> None:
    with hasty.connect() as connection, hasty.connect() as silent:
        connection.sendall(GET)
        answer(connection)
        assert until_closed(silent) == b""
        connection.sendall(GET)
        assert statuses(answer(connection)) == [200]


def test_the_time_of_a_request_begins_with_its_own_first_byte(hasty: Running) -> None:
    with hasty.connect() as connection, hasty.connect() as silent:
        connection.sendall(GET)
        answer(connection)
        assert until_closed(silent) == b""
        connection.sendall(GET[:5])
        connection.sendall(GET[5:])
        assert statuses(answer(connection)) == [200]
    assert hasty.faults == {Fault.SILENT: 1}


def test_a_client_that_does_not_read_its_answers_is_cut_off(hasty: Running) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(TIMEOUT_S)
        connection.connect(hasty.address)
        connection.sendall(GET.replace(b"/a", b"/large") * 20)
        wait_until(lambda: hasty.faults == {Fault.UNREAD: 1}, TIMEOUT_S, "the connection to be cut")


# What is too much


@pytest.mark.parametrize(
    ("request_head", "status", "fault"),
    [
        (b"GET /" + b"a" * 9000, 414, Fault.URL_TOO_LONG),
        (b"GET /a HTTP/1.1\r\nx: " + b"a" * 20_000 + b"\r\n\r\n", 431, Fault.HEAD_TOO_LARGE),
        (b"GET /a HTTP/1.1\r\nx: " + b"a" * 17_000, 431, Fault.HEAD_TOO_LARGE),
        (b"GET /a HTTP/1.1\r\n" + b"a: b\r\n" * 3_000 + b"\r\n", 431, Fault.HEAD_TOO_LARGE),
        (b"GET /a HTTP/1.1\r\n" + b"a" * 17_000, 431, Fault.HEAD_TOO_LARGE),
    ],
)
@pytest.mark.parametrize("step", [100_000, 1_000])
def test_a_head_beyond_its_limit_is_refused(
    patient: Running, request_head: bytes, status: int, fault: Fault, step: int
) -> None:
    with patient.connect() as connection:
        for start in range(0, len(request_head), step):
            connection.sendall(request_head[start : start + step])
        answered = until_closed(connection)
    assert (statuses(answered), b"connection: close" in answered) == ([status], True)
    assert patient.faults == {fault: 1}
    assert patient.app.begun == []


@pytest.mark.parametrize("step", [100_000, 1_000])
def test_a_head_within_its_limits_is_served(patient: Running, step: int) -> None:
    head = b"POST /" + b"a" * 8_000 + b" HTTP/1.1\r\nhost: h\r\ncontent-length: 60000\r\nx: "
    sent = head + b"x" * (Limits().head - len(head) - 5) + b"\r\n\r\n" + b"b" * 60_000
    with patient.connect() as connection:
        for start in range(0, len(sent), step):
            connection.sendall(sent[start : start + step])
        assert answer(connection).endswith(b"a 60000")
    assert patient.faults == {}


def test_after_a_large_body_the_next_head_may_be_as_large_as_any(patient: Running) -> None:
    large_head = post("/b", b"", b"x: " + b"x" * 12_000)
    with patient.connect() as connection:
        for _ in range(3):
            connection.sendall(post("/a", b"1" * 50_000) + large_head)
            assert answer(connection).endswith(b"/a 50000")
            assert answer(connection).endswith(b"/b 0")
    assert patient.faults == {}


def test_a_request_without_end_is_refused(patient: Running) -> None:
    with patient.connect() as connection:
        connection.sendall(b"POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        for _ in range(Limits().request // 65_536 + 2):  # trailers, one after the other
            connection.sendall(b"t: " + b"x" * 65_531 + b"\r\n")
        assert statuses(until_closed(connection)) == [413]
    assert patient.faults == {Fault.REQUEST_TOO_LARGE: 1}


# What is broken


@pytest.mark.parametrize(
    "broken",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"CONNECT h:443 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /a HTTP/1.1\r\nx: \0\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /a HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_answered_400(patient: Running, broken: bytes) -> None:
    with patient.connect() as connection:
        connection.sendall(broken)
        answered = until_closed(connection)
    assert (statuses(answered), b"connection: close" in answered) == ([400], True)
    assert patient.faults == {Fault.MALFORMED: 1}


def test_an_upgrade_is_not_followed_and_the_request_is_answered(patient: Running) -> None:
    with patient.connect() as connection:
        connection.sendall(b"GET /a HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n" + GET)
        assert statuses(until_closed(connection)) == [200]


# What is unusual and right


def test_pipelined_requests_are_answered_in_order(patient: Running) -> None:
    with patient.connect() as connection:
        connection.sendall(b"".join(post(f"/{number}", b"x" * number) for number in range(50)))
        for number in range(50):
            assert answer(connection).endswith(b"/%d %d" % (number, number))
    assert patient.faults == {}


@pytest.mark.parametrize(("behind", "status"), [(b"garbage\r\n\r\n", 400), (b"GET /" + b"a" * 20_000, 414)])
def test_garbage_behind_requests_does_not_cost_them_their_answers(
    patient: Running, behind: bytes, status: int
) -> None:
    patient.app.let.clear()
    with patient.connect() as connection:
        connection.sendall(post("/a", b"1") + post("/b", b"22") + behind)
        wait_until(lambda: patient.faults.total() == 1, TIMEOUT_S, "the garbage to be seen")
        patient.app.let.set()
        answered = until_closed(connection)
    assert statuses(answered) == [200, 200, status]
    assert b"/a 1" in answered
    assert b"/b 2" in answered


def test_an_unfinished_request_behind_another_is_answered_after_it(hasty: Running) -> None:
    with hasty.connect() as connection:
        connection.sendall(GET + post("/b", b"12345")[:-1])
        assert statuses(until_closed(connection)) == [200, 408]


def test_a_connection_serves_on_after_a_refusal_of_the_application(patient: Running) -> None:
    with patient.connect() as connection:
        for path, status in (("/refused", 403), ("/a", 200), ("/refused", 403)):
            connection.sendall(post(path, b"12345"))
            assert statuses(answer(connection)) == [status]


def test_a_connection_serves_on_when_a_body_was_answered_unread() -> None:
    sent = post("/unread", b"1" * 40_000)
    with serving(PATIENT, "asgi") as patient, patient.connect() as connection:
        connection.sendall(sent[:1000])
        assert answer(connection).endswith(b"/unread 0")
        connection.sendall(sent[1000:] + post("/a", b"123"))
        assert answer(connection).endswith(b"/a 3")
    assert patient.faults == {}


def test_a_client_that_has_closed_its_side_gets_its_answers(patient: Running) -> None:
    patient.app.let.clear()
    with patient.connect() as connection:
        connection.sendall(post("/a", b"1") + post("/b", b"22"))
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: patient.app.begun == ["/a"], TIMEOUT_S, "the request to begin")
        patient.app.let.set()
        answered = until_closed(connection)
    assert statuses(answered) == [200, 200]
    assert b"connection: close" in answered


def test_a_client_that_closes_its_side_amid_a_request_is_let_go(patient: Running) -> None:
    with patient.connect() as connection:
        connection.sendall(post("/a", b"12345")[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert until_closed(connection) == b""


# The end


def test_at_the_end_each_client_hears_with_its_last_answer_that_it_is_the_last(way: str) -> None:
    with serving(LIMITS, way) as running, running.connect() as busy, running.connect() as idle:
        idle.sendall(GET)
        answer(idle)
        running.app.let.clear()
        busy.sendall(post("/busy", b"1"))
        wait_until(lambda: "/busy" in running.app.begun, TIMEOUT_S, "the request to begin")
        running.end()
        wait_until(lambda: _refuses(running), TIMEOUT_S, "the server to take no more connections")
        idle.sendall(post("/in-time", b"1"))  # before it is closed for idleness
        wait_until(lambda: "/in-time" in running.app.begun, TIMEOUT_S, "the late request to begin")
        running.app.let.set()
        for connection in (busy, idle):
            answered = until_closed(connection)
            assert (statuses(answered), b"connection: close" in answered) == ([200], True)


def _refuses(running: Running) -> bool:
    try:
        running.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_at_the_end_nobody_can_hold_the_server_up(way: str) -> None:
    with serving(Limits(timeout_s=30.0, last_call_s=0.05), way) as running:
        connections = [running.connect() for _ in range(3)]
        connections[1].sendall(GET[:-1])
        connections[2].sendall(GET)
        answer(connections[2])
        running.end()
        assert [until_closed(connection) for connection in connections] == [b""] * 3
        for connection in connections:
            connection.close()


# The books


def test_one_timer_watches_all_and_tells_only_those_that_are_overdue() -> None:
    told: list[str] = []

    class Fake:
        def __init__(self, name: str) -> None:
            self.name = name

        def overdue(self) -> None:
            told.append(self.name)

    async def scenario() -> None:
        guard = Guard(Limits(timeout_s=0.03, sweep_s=0.01), lambda fault: None)
        first, second, third = Fake("first"), Fake("second"), Fake("third")
        for each in (first, second, third):
            guard.watch(each)
        guard.forget(second)
        await _until(lambda: len(told) == 2)
        guard.watch(second)
        await _until(lambda: len(told) == 3)

    asyncio.run(scenario())
    assert told == ["first", "third", "second"]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 # the condition is a plain value
            await asyncio.sleep(0.005)
