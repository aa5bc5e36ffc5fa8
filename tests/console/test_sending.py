"""`senders` and `held` over the embedded broker: what the sink has told, and what people decide about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from notifystream.sending_views import SILENT_MS, holding, sender_fields, senders_table, span
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.identity import event_id
from schemas.records import JournalEntry, LaneState, OutboundControl, PauseState, Record, SenderState
from schemas.topics import Topic
from schemas.vocabulary import Channel, CommandResult, ControlAction, ControlScope, Priority
from tests import servers
from tests.console.command_line import Ran, run
from tests.outbound.examples import command, now_ms

NOW = 1_790_000_000_000
PERSON = "+14155550123"
ME = ("--by", "kim")


class Pipeline:
    """A broker, a registry, and the command in a folder of its own. Each test has senders of its own."""

    def __init__(self, bootstrap: str, registry: str, folder: Path) -> None:
        self.env = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "SCHEMA_REGISTRY_URL": registry}
        self.folder = folder
        self.kafka = Kafka(bootstrap_servers=bootstrap)
        self.codec = Codec(registry)
        self.producer = Producer(self.kafka.producer("tests", linger_ms=0))

    def close(self) -> None:
        self.producer.close()
        self.codec.close()

    def write(self, topic: Topic, key: str, record: Record, partition: int = -1) -> None:
        self.producer.produce(topic, self.codec.encode(topic, record), key.encode(), partition)
        assert self.producer.flush(10) == 0

    def hold(self, command_id: str, partition: int, **changes: Any) -> None:
        self.write(Topic.JOURNAL, command_id, held_entry(command_id, **changes), partition)

    def run(self, *arguments: str, code: int = 0) -> Ran:
        ran = run(*arguments, folder=self.folder, env=self.env)
        assert ran.code == code, ran.stderr
        return ran

    def held(self, *arguments: str) -> dict[str, dict[str, Any]]:
        """What `held list` says, by command."""
        rows = json.loads(self.run("held", "list", "--json", *arguments).stdout)
        return {row["command_id"]: row for row in rows}

    def decisions(self, target: str) -> list[tuple[int, str, OutboundControl]]:
        """(partition, key, decision) of all that was decided about it, in their order."""
        consumer = Consumer(self.kafka.consumer("tests", "tests-raw") | {"enable.partition.eof": True})
        found: list[tuple[int, str, OutboundControl]] = []
        try:
            partitions = consumer.list_topics(Topic.CONTROLS, timeout=10).topics[Topic.CONTROLS].partitions
            consumer.assign([TopicPartition(Topic.CONTROLS, number, 0) for number in partitions])
            left = set(partitions)
            while left:
                message = consumer.poll(10)
                assert message is not None
                if message.error() is not None:
                    left.discard(message.partition() or 0)
                    continue
                control = self.codec.decode(message.value(), OutboundControl)
                key = message.key()
                assert isinstance(key, bytes)
                if control.target == target:
                    found.append((message.partition() or 0, key.decode(), control))
        finally:
            consumer.close()
        return found


def held_entry(command_id: str, **changes: Any) -> JournalEntry:
    return JournalEntry(
        **{
            "command_id": command_id,
            "state": CommandResult.HELD,
            "tenant": "acme",
            "sender": "+14155550100",
            "recipient": PERSON,
            "channel": Channel.SMS,
            "content_digest": "",
            "started_at": NOW,
            "at": NOW + 60_000,
            "detail": "neither found nor proved absent: 2 messages to the same person may be its",
            **changes,
        }
    )


def state(sender: str, **changes: Any) -> SenderState:
    return SenderState(
        **{
            "sender": sender,
            "owner": "outbound-1",
            "at": now_ms(),
            "segments_per_s": 1.0,
            "set_segments_per_s": 1.0,
            "tokens": 1.0,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("pipeline")
    topics = [option for topic in Topic for option in ("--topic", topic)]
    with (
        servers.running("sandbox.registry", log=folder / "registry.log") as registry,
        servers.running("sandbox.broker", *topics, log=folder / "broker.log") as broker,
    ):
        made = Pipeline(broker.address, registry.address, folder)
        try:
            yield made
        finally:
            made.close()


# -- senders ---------------------------------------------------------------------------------------------


def test_senders_tell_their_last_state(pipeline: Pipeline) -> None:
    sender = "+14155550171"
    pipeline.write(Topic.SENDERS, sender, state(sender, held=7))
    lanes = (LaneState(lane=Priority.URGENT, waiting=3, oldest_at=now_ms() - 90_000),)
    pipeline.write(
        Topic.SENDERS, sender, state(sender, held=1, lanes=lanes, spent_today=9, daily_segments=90)
    )
    told = json.loads(pipeline.run("senders", "--sender", sender, "--json").stdout)
    (row,) = told["senders"]
    assert (row["sender"], row["held"], row["spent_today"], row["silent"]) == (sender, 1, 9, False)
    assert 89 < row["lanes"][0]["oldest_age_s"] < 200
    shown = pipeline.run("senders", "--sender", sender)
    assert sender in shown.stdout
    assert "3 urgent, 9" in shown.stdout
    assert "9/90" in shown.stdout
    assert "1 commands are held" in shown.stderr


def test_nothing_is_known_of_a_sender_that_never_told(pipeline: Pipeline) -> None:
    assert "Nothing is known of NOBODY" in pipeline.run("senders", "--sender", "NOBODY").stdout


def test_a_pause_of_a_sender_is_written_where_its_commands_are(pipeline: Pipeline) -> None:
    sender = "+14155550172"
    pipeline.write(Topic.commands(Priority.NORMAL), sender, command(sender=sender))
    ran = pipeline.run("senders", "pause", sender, "--reason", "checking", "--for", "2h", *ME)
    assert ran.stdout.strip() == f"sender {sender} is paused for 2h"
    assert "has told of itself" in ran.stderr
    ((partition, key, control),) = pipeline.decisions(sender)
    assert partition == place_of(pipeline, sender)
    assert key == f"sender:{sender}"
    assert (control.action, control.scope, control.by) == (ControlAction.PAUSE, ControlScope.SENDER, "kim")
    assert (control.reason, (control.until or 0) - control.at) == ("checking", 7_200_000)


def place_of(pipeline: Pipeline, key: str) -> int:
    """The partition on which a producer of ours put this key's record."""
    topic = Topic.commands(Priority.NORMAL)
    consumer = Consumer(pipeline.kafka.consumer("tests", "tests-raw") | {"enable.partition.eof": True})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        while True:
            message = consumer.poll(10)
            assert message is not None
            if message.error() is None and message.key() == key.encode():
                return message.partition() or 0
    finally:
        consumer.close()


@pytest.mark.parametrize(
    ("arguments", "scope", "target"),
    [
        (("--tenant", "globex"), ControlScope.TENANT, "globex"),
        (("--provider", "twilio"), ControlScope.PROVIDER, "twilio"),
        (("--all",), ControlScope.EVERYTHING, ""),
    ],
)
def test_what_concerns_all_senders_is_written_to_every_partition_and_listed_once(
    pipeline: Pipeline, arguments: tuple[str, ...], scope: ControlScope, target: str
) -> None:
    pipeline.run("senders", "pause", *arguments, "--reason", "incident", *ME)
    written = pipeline.decisions(target)
    assert len({partition for partition, _, _ in written}) == len(written) > 1
    assert len({control.control_id for _, _, control in written}) == 1
    pauses = json.loads(pipeline.run("senders", "--json").stdout)["pauses"]
    (mine,) = [pause for pause in pauses if (pause["scope"], pause["target"]) == (scope, target)]
    assert (mine["by"], mine["reason"], mine["until"]) == ("kim", "incident", None)
    assert "incident" in pipeline.run("senders").stdout
    pipeline.run("senders", "resume", *arguments)
    pauses = json.loads(pipeline.run("senders", "--json").stdout)["pauses"]
    assert [pause for pause in pauses if (pause["scope"], pause["target"]) == (scope, target)] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--reason", "why"),
        ("+14155550100", "--tenant", "acme", "--reason", "why"),
        ("--all", "--provider", "twilio", "--reason", "why"),
        ("", "--reason", "why"),
        ("+14155550100", "--reason", " "),
        ("+14155550100", "--reason", "why", "--for", "soon"),
        ("+14155550100", "--reason", "why", "--for", "0m"),
        ("+14155550100",),
    ],
)
def test_a_pause_of_nothing_certain_or_for_no_reason_is_refused(
    pipeline: Pipeline, arguments: tuple[str, ...]
) -> None:
    pipeline.run("senders", "pause", *arguments, *ME, code=2)


def test_numbers_in_what_people_write_are_masked(pipeline: Pipeline) -> None:
    pipeline.run("senders", "pause", "SHORT1", "--reason", f"{PERSON} complained", *ME)
    ((_, _, control),) = pipeline.decisions("SHORT1")
    assert PERSON not in control.reason
    assert "complained" in control.reason


# -- held ------------------------------------------------------------------------------------------------


def test_held_commands_are_listed_with_who_since_when_and_why(pipeline: Pipeline) -> None:
    pipeline.hold("n1:1", 2)
    row = pipeline.held()["n1:1"]
    assert (row["notification_id"], row["tenant"], row["channel"]) == ("n1", "acme", "sms")
    assert row["recipient"] == "+1415•••••23"
    assert "2 messages to the same person" in row["why"]
    assert row["decided"] is None
    shown = pipeline.run("held", "list").stdout
    assert "n1:1" in shown
    assert PERSON not in shown


def test_what_was_settled_since_is_not_listed(pipeline: Pipeline) -> None:
    pipeline.hold("n2:1", 1)
    pipeline.hold("n2:1", 1, state=CommandResult.ACCEPTED)
    assert "n2:1" not in pipeline.held()


def test_held_commands_are_listed_by_sender_and_tenant(pipeline: Pipeline) -> None:
    pipeline.hold("n3:1", 0, sender="+14155550199", tenant="initech")
    assert list(pipeline.held("--tenant", "initech")) == ["n3:1"]
    assert list(pipeline.held("--sender", "+14155550199")) == ["n3:1"]
    assert "n3:1" not in pipeline.held("--tenant", "umbrella")


@pytest.mark.parametrize("action", ["release", "drop"])
def test_a_decision_is_written_where_the_journal_has_the_command(pipeline: Pipeline, action: str) -> None:
    command_id = f"{action}:1"
    pipeline.hold(command_id, 3)
    pipeline.run("held", action, command_id, "--reason", "looked at Twilio", *ME)
    ((partition, key, control),) = pipeline.decisions(command_id)
    assert (partition, key) == (3, f"command:{command_id}")
    assert (control.action, control.scope, control.by) == (action, ControlScope.COMMAND, "kim")
    assert control.control_id == event_id("control", action, "command", command_id, "")
    assert pipeline.held()[command_id]["decided"].startswith(f"{action} by kim")


def test_a_command_that_was_decided_about_is_not_decided_about_again(pipeline: Pipeline) -> None:
    pipeline.hold("n4:1", 0)
    pipeline.run("held", "drop", "n4:1", "--reason", "over", *ME)
    ran = pipeline.run("held", "release", "n4:1", "--reason", "on second thought", *ME, code=1)
    assert "decided already" in ran.stderr
    assert len(pipeline.decisions("n4:1")) == 1


def test_nothing_is_decided_when_one_of_them_is_not_held(pipeline: Pipeline) -> None:
    pipeline.hold("n5:1", 0)
    ran = pipeline.run("held", "release", "n5:1", "nobody:1", "--reason", "looked", *ME, code=1)
    assert "nobody:1" in ran.stderr
    assert pipeline.decisions("n5:1") == []


def test_several_are_decided_about_at_once_and_told_as_json(pipeline: Pipeline) -> None:
    for number in (1, 2):
        pipeline.hold(f"n6:{number}", number)
    ran = pipeline.run("held", "drop", "n6:1", "n6:2", "n6:1", "--reason", "over", "--json", *ME)
    assert [row["command_id"] for row in json.loads(ran.stdout)] == ["n6:1", "n6:2"]


def test_the_help_of_release_says_that_it_can_send_twice(pipeline: Pipeline) -> None:
    assert "can send twice" in pipeline.run("held", "release", "--help").stdout


# -- for people ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ms", "told"),
    [
        (None, "–"),
        (-5, "0s"),
        (999, "0s"),
        (119_000, "119s"),
        (120_000, "2m"),
        (7_200_000, "2h"),
        (2e8, "2d"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_whole_unit(ms: int | None, told: str) -> None:
    assert span(None if ms is None else int(ms)) == told


def test_a_sender_waits_for_its_pauses_and_for_the_provider_while_they_last() -> None:
    pauses = (
        PauseState(
            scope=ControlScope.TENANT, target="acme", reason=f"{PERSON} complained", until=NOW + 60_000
        ),
        PauseState(scope=ControlScope.SENDER, target="S", reason="over", until=NOW),
        PauseState(scope=ControlScope.EVERYTHING, target="", reason="incident (kim)"),
    )
    held_up = state("S", pauses=pauses, nothing_before=NOW + 5_000)
    assert holding(held_up, NOW) == [
        "tenant acme paused: +1415•••••23 complained, for 60s",
        "everything paused: incident (kim)",
        "the provider asks to wait, for 5s",
    ]
    assert holding(held_up, NOW + 60_000) == ["everything paused: incident (kim)"]


def test_an_owner_that_was_not_heard_of_for_long_is_called_silent() -> None:
    gone = state("S", at=NOW)
    assert sender_fields(gone, NOW + SILENT_MS + 1)["silent"]
    assert not sender_fields(gone, NOW + SILENT_MS)["silent"]
    assert senders_table((gone,), NOW + SILENT_MS + 1).row_count == 1
