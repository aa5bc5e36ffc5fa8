"""`send` and `tail` from one terminal to another, over the embedded broker."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer

from notifystream.positions import BadPosition, Edge, Offset, Since, parse
from schemas.identity import notification_id
from tests import servers
from tests.console.command_line import run


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """A broker with its topics and a registry."""
    with (
        servers.running("sandbox.broker", log=tmp_path / "broker.log") as broker,
        servers.running("sandbox.registry", log=tmp_path / "registry.log") as registry,
    ):
        found = {"KAFKA_BOOTSTRAP_SERVERS": broker.address, "SCHEMA_REGISTRY_URL": registry.address}
        assert run("topics", "apply", folder=tmp_path, env=found).code == 0
        yield found


def tail(env: Mapping[str, str], folder: Path, *options: str) -> list[dict[str, object]]:
    ran = run("tail", "notify.requested", "--no-follow", "--json", *options, folder=folder, env=env)
    assert ran.code == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_what_send_writes_tail_reads(env: Mapping[str, str], tmp_path: Path) -> None:
    sent = run(
        "send", "--tenant", "acme", "--key", "k1", "--to", "+14155550123", "--template", "welcome",
        "--var", "name=Ann", folder=tmp_path, env=env,
    )  # fmt: skip
    assert sent.code == 0, sent.stderr
    assert sent.stdout.strip() == notification_id("acme", "k1")
    [record] = tail(env, tmp_path, "--from", "beginning")
    assert record["key"] == "k1"
    value = record["value"]
    assert isinstance(value, dict)
    assert value["template"] == {"name": "welcome", "variables": {"name": "Ann"}, "locale": "en"}
    assert value["recipient"] == "+1415•••••23"


def test_steps_are_sent_with_the_time_each_is_waited_for(env: Mapping[str, str], tmp_path: Path) -> None:
    sent = run(
        "send", "--tenant", "acme", "--to", "+14155550123", "--body", "Code 4711", "--smart-encoding",
        "--step", "whatsapp:90s", "--step", "sms", folder=tmp_path, env=env,
    )  # fmt: skip
    assert sent.code == 0, sent.stderr
    [record] = tail(env, tmp_path, "--from", "beginning")
    value = record["value"]
    assert isinstance(value, dict)
    assert [(step["channel"], step["wait_ms"]) for step in value["steps"]] == [
        ("whatsapp", 90_000),
        ("sms", None),
    ]
    assert (value["channels"], value["smart_encoding"]) == ([], True)


def test_numbers_are_shown_only_when_asked_for(env: Mapping[str, str], tmp_path: Path) -> None:
    run("send", "--tenant", "t", "--to", "+14155550123", "--body", "x", folder=tmp_path, env=env)
    [record] = tail(env, tmp_path, "--from", "beginning", "--show-numbers")
    assert isinstance(record["value"], dict)
    assert record["value"]["recipient"] == "+14155550123"


def test_a_file_with_bad_lines_sends_the_good_ones_and_fails(env: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text("key,to,body\na,+14155550123,one\n,+14155550124,two\nc,+14155550125,three\n")
    ran = run("send", "--file", str(file), "--tenant", "acme", "--json", folder=tmp_path, env=env)
    assert ran.code == 1
    assert {json.loads(line)["key"] for line in ran.stdout.splitlines()} == {"a", "c"}
    assert "line 3: key is missing or empty" in ran.stderr
    assert {record["key"] for record in tail(env, tmp_path, "--from", "beginning")} == {"a", "c"}


def test_bytes_that_are_no_event_are_shown_as_such(env: Mapping[str, str], tmp_path: Path) -> None:
    producer = Producer({"bootstrap.servers": env["KAFKA_BOOTSTRAP_SERVERS"]})
    producer.produce("notify.requested", b"nonsense", b"k")
    assert producer.flush(10) == 0
    [record] = tail(env, tmp_path, "--from", "beginning")
    assert str(record["undecodable"]).startswith("not-avro")
    assert record["bytes"] == 8


def test_only_records_with_the_key_are_shown(env: Mapping[str, str], tmp_path: Path) -> None:
    for key in ("one", "two"):
        run(
            "send",
            "--tenant",
            "t",
            "--key",
            key,
            "--to",
            "+14155550123",
            "--body",
            "x",
            folder=tmp_path,
            env=env,
        )
    assert [r["key"] for r in tail(env, tmp_path, "--from", "-5m", "--key", "two")] == ["two"]


def test_max_ends_the_reading_that_would_follow(env: Mapping[str, str], tmp_path: Path) -> None:
    for key in ("one", "two"):
        run(
            "send",
            "--tenant",
            "t",
            "--key",
            key,
            "--to",
            "+14155550123",
            "--body",
            "x",
            folder=tmp_path,
            env=env,
        )
    ran = run("tail", "notify.requested", "--from", "beginning", "--max", "1", folder=tmp_path, env=env)
    assert ran.code == 0
    assert len(ran.stdout.splitlines()) == 1


def test_an_unknown_topic_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    ran = run("tail", "notify.request", folder=tmp_path)
    assert ran.code == 2
    assert "notify.requested" in ran.stderr


def test_a_wrong_option_of_send_is_explained_before_anything_is_connected(tmp_path: Path) -> None:
    ran = run(
        "send",
        "--tenant",
        "t",
        "--to",
        "+1",
        "--body",
        "x",
        "--var",
        "oops",
        "--template",
        "t",
        folder=tmp_path,
    )
    assert ran.code == 2
    assert "'oops' is not of the form NAME=VALUE" in ran.stderr


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("beginning", Edge(beginning=True)),
        ("end", Edge(beginning=False)),
        ("-10m", Since(1_000_000_000 - 600_000)),
        ("-2h", Since(1_000_000_000 - 7_200_000)),
        ("offset 12", Offset(12)),
        ("2026-11-21T09:30:00Z", Since(1795253400000)),
    ],
)
def test_a_position_is_read(text: str, position: object) -> None:
    assert parse(text, 1_000_000_000) == position


@pytest.mark.parametrize("text", ["", "start", "-10", "offset", "offset -1", "10m"])
def test_what_is_no_position_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(BadPosition, match="beginning, end"):
        parse(text, 0)
