"""The end of the ingress under load: who was let in is answered, and what was acknowledged is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from ingress.errors import ConfigError
from ingress.server import PartsEnded, listening, serve_app
from schemas.records import ProviderStatus
from schemas.topics import Topic
from tests import servers
from tests.ingress import command
from tests.ingress.command import TIMEOUT_S, Ingress, ended, environment, stopped
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import FORM, new_sid, sign, status_form
from tests.waiting import wait_until

CONNECTIONS = 16


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with command.broker(tmp_path_factory.mktemp("broker") / "log") as server:
        yield server


class Load:
    """Some connections, each with the next callback as soon as the last one is answered, until told to go."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), name="load")
        self.kept: list[str] = []
        self.statuses: set[int] = set()
        self.answers = [0] * CONNECTIONS
        self.unanswered: list[str] = []
        self._thread.start()

    def join(self) -> None:
        """Return when every connection was told to go, or broke."""
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "somebody still waits for an answer"

    async def _all(self) -> None:
        await asyncio.gather(*(self._connection(number) for number in range(CONNECTIONS)))

    async def _connection(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            head = b""
            while b"connection: close" not in head:
                sid = new_sid()
                writer.write(_request(sid))
                try:
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                except (OSError, asyncio.IncompleteReadError):
                    self.unanswered.append(sid)
                    return
                status = int(head[9:12])
                self.statuses.add(status)
                self.answers[number] += 1
                if status == 204:
                    self.kept.append(sid)
        finally:
            writer.close()


def _request(sid: str) -> bytes:
    form = status_form(sid)
    body = urlencode(form).encode()
    return (
        f"POST /twilio/status HTTP/1.1\r\nhost: hooks.example.com\r\ncontent-type: {FORM}\r\n"
        f"x-twilio-signature: {sign('/twilio/status', form)}\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def end_under_load(ingress: Ingress) -> Load:
    load = Load(ingress.port)
    wait_until(lambda: min(load.answers) >= 3, TIMEOUT_S, "an answer on every connection")
    os.kill(ingress.pid, signal.SIGTERM)
    load.join()
    wait_until(lambda: ended(ingress.pid), TIMEOUT_S, "the process to end")
    return load


def in_topic(broker: servers.Server, registry: str) -> set[str]:
    with TopicReader(broker.address, registry) as reader:
        return {key for key, _ in reader.all(Topic.STATUS, ProviderStatus)}


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_leaves_no_request_without_an_answer_and_loses_nothing(
    broker: servers.Server, registry: str, tmp_path: Path, workers: int
) -> None:
    settings = environment(broker.address, registry, tmp_path / "journal")
    with command.running(settings, tmp_path / "log", workers=workers) as ingress:
        load = end_under_load(ingress)
    assert (load.unanswered, load.statuses) == ([], {204})
    assert set(load.kept) <= in_topic(broker, registry)


def test_sigterm_under_load_with_the_broker_away_leaves_everything_acknowledged_in_the_journal(
    broker: servers.Server, registry: str, tmp_path: Path
) -> None:
    settings = environment(broker.address, registry, tmp_path / "journal")
    with command.running(settings, tmp_path / "log") as ingress, stopped(broker.pid):
        load = end_under_load(ingress)
    assert (load.unanswered, load.statuses) == ([], {204})
    with command.running(settings, tmp_path / "again") as ingress:
        wait_until(lambda: ingress.metric("ingress_journal_entries") == 0, TIMEOUT_S, "the journal to drain")
    assert set(load.kept) <= in_topic(broker, registry)


def test_a_part_that_cannot_start_ends_the_server_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    def broken(app: Starlette) -> None:
        raise RuntimeError("this part cannot start")

    with pytest.raises(PartsEnded):
        serve_app(Starlette(lifespan=broken), "127.0.0.1", 0, on_ready=pytest.fail)
    assert "this part cannot start" in caplog.text


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b"])
def test_a_host_that_is_none_is_refused_with_the_setting_that_names_it(host: str) -> None:
    with pytest.raises(ConfigError, match="INGRESS_HOST"):
        listening(host, 0, "INGRESS_HOST")


def test_who_connects_before_it_serves_waits_instead_of_being_refused() -> None:
    with listening("127.0.0.1", 0, "the port") as listener:
        socket.create_connection(listener.getsockname(), timeout=TIMEOUT_S).close()
