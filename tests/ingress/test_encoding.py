"""Records get ids of the registry, remembered ones while it is away, and never one against its refusal."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.schema_registry.error import SchemaRegistryError
from structlog.testing import capture_logs

import schemas
from ingress.encoding import Encoder
from ingress.errors import NotKept
from schemas.codec import Codec
from schemas.errors import RegistryUnavailable
from schemas.records import DeadLetter
from schemas.topics import Topic
from tests.waiting import wait_until

URL = "http://registry.example.com"
AWAY = RegistryUnavailable("nobody answers")
REFUSED = SchemaRegistryError(409, 409, "incompatible with version 1")
LONGEST_S = 10.0
LETTER = msgspec.json.decode(
    (Path(schemas.__file__).parent / "examples" / "dead_letter.json").read_bytes(), type=DeadLetter
)


class Scripted(Codec):
    """A codec whose registry answers with these, and then the last one again and again."""

    def __init__(self, *answers: int | Exception) -> None:
        super().__init__(URL)
        self._answers = deque(answers)
        self.asked = 0
        self.closed = threading.Event()

    def then(self, answer: int) -> None:
        self._answers.append(answer)

    def register(self, topic: str, record_type: type[msgspec.Struct]) -> int:
        self.asked += 1
        answer = self._answers[0]
        if isinstance(answer, Exception):
            if len(self._answers) > 1:
                self._answers.popleft()
            raise answer
        self.adopt(topic, record_type, answer)
        return answer

    def close(self) -> None:
        super().close()
        self.closed.set()


@contextmanager
def encoding(codec: Codec, memory: Path, url: str = URL) -> Iterator[Encoder]:
    encoder = Encoder(codec, url, memory)
    encoder.start()
    try:
        yield encoder
    finally:
        encoder.close()
        if isinstance(codec, Scripted):
            assert codec.closed.wait(LONGEST_S)


def known(encoder: Encoder) -> None:
    wait_until(lambda: encoder.why_not is None, LONGEST_S, "the ids to be known")


def asked(codec: Scripted, times: int) -> None:
    wait_until(lambda: codec.asked >= times, LONGEST_S, f"the registry to be asked {times} times")


def id_used(encoder: Encoder) -> int:
    """Of the schema, as it stands in an encoded record."""
    encoded = encoder.encode(Topic.DEAD_LETTERS, LETTER)
    return int(struct.unpack(">bI", encoded[:5])[1])


def remember(memory: Path, schema_id: int, url: str = URL) -> None:
    with encoding(Scripted(schema_id), memory, url) as encoder:
        wait_until(memory.exists, LONGEST_S, "the ids to be remembered")
        known(encoder)


def test_nothing_is_encoded_before_the_registry_gave_its_ids(tmp_path: Path) -> None:
    codec = Scripted(AWAY)
    with encoding(codec, tmp_path / "ids") as encoder:
        asked(codec, 2)
        with pytest.raises(NotKept, match="nobody answers"):
            encoder.encode(Topic.DEAD_LETTERS, LETTER)
        assert encoder.why_not == encoder.registry_trouble == "RegistryUnavailable: nobody answers"
        codec.then(7)
        known(encoder)
        assert (id_used(encoder), encoder.registry_trouble) == (7, None)


def test_while_the_registry_is_away_the_ids_it_gave_before_are_used(tmp_path: Path) -> None:
    remember(tmp_path / "ids", 7)
    with encoding(Scripted(AWAY), tmp_path / "ids") as encoder:
        known(encoder)
        assert (id_used(encoder), encoder.registry_trouble) == (7, "RegistryUnavailable: nobody answers")


def test_a_registry_that_comes_back_with_other_ids_is_believed(tmp_path: Path) -> None:
    remember(tmp_path / "ids", 7)
    with encoding(Scripted(AWAY, 8), tmp_path / "ids") as encoder:
        wait_until(lambda: encoder.registry_trouble is None, LONGEST_S, "the registry to confirm")
        assert id_used(encoder) == 8
    with encoding(Scripted(AWAY), tmp_path / "ids") as encoder:
        known(encoder)
        assert id_used(encoder) == 8


def test_against_a_registry_that_refuses_no_remembered_id_is_used(tmp_path: Path) -> None:
    remember(tmp_path / "ids", 7)
    codec = Scripted(REFUSED)
    with encoding(codec, tmp_path / "ids") as encoder:
        asked(codec, 3)
        with pytest.raises(NotKept, match="incompatible with version 1"):
            encoder.encode(Topic.DEAD_LETTERS, LETTER)
        assert "incompatible with version 1" in str(encoder.registry_trouble)
        codec.then(9)
        known(encoder)
        assert id_used(encoder) == 9


def test_a_refusal_is_one_error_in_the_log_however_often_it_comes(tmp_path: Path) -> None:
    codec = Scripted(REFUSED)
    with capture_logs() as lines, encoding(codec, tmp_path / "ids"):
        asked(codec, 3)
    assert [(line["event"], line["log_level"]) for line in lines] == [("registry.refused", "error")]


def test_ids_of_another_registry_are_not_used(tmp_path: Path) -> None:
    remember(tmp_path / "ids", 7, "http://staging.example.com")
    codec = Scripted(AWAY)
    with encoding(codec, tmp_path / "ids") as encoder:
        asked(codec, 2)
        assert encoder.why_not is not None


def test_the_url_of_the_registry_and_its_password_are_not_remembered(tmp_path: Path) -> None:
    remember(tmp_path / "ids", 7, "http://user:secret@registry.example.com")
    written = (tmp_path / "ids").read_text()
    assert "secret" not in written
    assert "registry.example.com" not in written


def test_ids_of_schemas_that_have_changed_since_are_not_used(tmp_path: Path) -> None:
    remember(tmp_path / "ids", 7)
    remembered = (tmp_path / "ids").read_text()
    topic = f"{Topic.STATUS}:"
    assert topic in remembered
    (tmp_path / "ids").write_text(remembered.replace(topic, f"{topic}0"))
    codec = Scripted(AWAY)
    with encoding(codec, tmp_path / "ids") as encoder:
        asked(codec, 2)
        assert encoder.why_not is not None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_memory_that_cannot_be_read_is_told_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ids").write_bytes(content)
    with capture_logs() as lines, encoding(Scripted(AWAY, 7), tmp_path / "ids") as encoder:
        known(encoder)
        assert id_used(encoder) == 7
    assert "registry.memory_unreadable" in [line["event"] for line in lines]


def test_a_memory_that_cannot_be_written_is_told_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with capture_logs() as lines, encoding(Scripted(7), tmp_path / "file" / "ids") as encoder:
        known(encoder)
        assert id_used(encoder) == 7
    assert "registry.memory_not_written" in [line["event"] for line in lines]


class _Answers(BaseHTTPRequestHandler):
    """Every question with 200 and the same content."""

    content = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:
        """Not on the terminal."""


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    handler = type("Answers", (_Answers,), {"content": content})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Real(Scripted):
    """Asks the registry at `url` first, again and again, until it is told what to answer."""

    def __init__(self, url: str) -> None:
        super().__init__()
        Codec.__init__(self, url, timeout_s=2.0)

    def register(self, topic: str, record_type: type[msgspec.Struct]) -> int:
        if self._answers:
            return super().register(topic, record_type)
        self.asked += 1
        return Codec.register(self, topic, record_type)


@pytest.mark.parametrize("content", [b"<html>Sign in", b"{}", b"[]", b"null", b'{"id": "seven"}'])
def test_whatever_answers_instead_of_a_registry_is_named_and_asked_again(
    tmp_path: Path, content: bytes
) -> None:
    with answering(content) as url:
        codec = Real(url)
        with encoding(codec, tmp_path / "ids", url) as encoder:
            asked(codec, 2)
            assert "SCHEMA_REGISTRY_URL is no schema registry" in str(encoder.why_not)
            codec.then(7)
            known(encoder)
            assert id_used(encoder) == 7
