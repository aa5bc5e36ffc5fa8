"""`deadletters list | show | replay` over the embedded broker, with what the processors really bury."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from notifystream.letters import BadLetterId, LetterId, obstacle
from notifystream.replaying import BATCH, batches
from schemas.clients import Kafka
from schemas.records import DeadLetter, NotifyRequest
from schemas.topics import Topic
from streams.processors import MAX_KEPT, MAX_KEPT_KEY, Incoming, Writer
from tests import servers
from tests.console.command_line import Ran, run
from tests.ingress.topic import TopicReader
from tests.waiting import wait_until

NOW = time.time_ns() // 1_000_000
PERSON = "+14155550123"


class Pipeline:
    """A broker, a registry, and the command in a folder of its own.

    All tests share the broker: each buries under a stage of its own, and looks at no other.
    """

    stage = ""

    def __init__(self, bootstrap: str, registry: str, folder: Path, reader: TopicReader) -> None:
        self.bootstrap = bootstrap
        self.env = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "SCHEMA_REGISTRY_URL": registry}
        self.folder = folder
        self.codec = reader.codec
        self.producer = Producer(Kafka(bootstrap_servers=bootstrap).producer("tests", linger_ms=0))
        self.reader = reader

    def bury(self, **changes: Any) -> None:
        values: dict[str, Any] = {
            "stage": self.stage,
            "reason": "not-avro",
            "detail": "no magic byte",
            "topic": "notify.requested",
            "partition": 1,
            "offset": 5,
            "key": b"order-1",
            "value": b"nonsense",
            "at": NOW,
        }
        letter = DeadLetter(**(values | changes))
        key = f"{letter.topic}-{letter.partition}"
        self.producer.produce(Topic.DEAD_LETTERS, self.codec.encode(Topic.DEAD_LETTERS, letter), key)
        assert self.producer.flush(10) == 0

    def request(self, key: str) -> bytes:
        request = NotifyRequest(tenant=self.stage, idempotency_key=key, recipient=PERSON, body="hello")
        return self.codec.encode(Topic.NOTIFY_REQUESTED, request)

    def run(self, *arguments: str) -> Ran:
        return run("deadletters", *arguments, folder=self.folder, env=self.env)

    def listed(self, *arguments: str) -> list[dict[str, Any]]:
        own = () if "--stage" in arguments else ("--stage", self.stage)
        ran = self.run("list", "--json", *own, *arguments)
        assert ran.code == 0, ran.stderr
        found: list[dict[str, Any]] = json.loads(ran.stdout)
        return found

    def id(self, **wanted: object) -> str:
        (one,) = [each for each in self.listed() if all(each[k] == v for k, v in wanted.items())]
        return str(one["id"])

    def replayed(self, *arguments: str, code: int = 0) -> dict[str, str]:
        """Result by id."""
        ran = self.run("replay", "--json", *arguments)
        assert ran.code == code, ran.stderr
        return {row["id"]: row["result"] for row in map(json.loads, ran.stdout.splitlines())}

    def messages(self, key: bytes) -> list[Message]:
        """The two records of this key in notify.requested, the older first."""
        consumer = Consumer(Kafka(bootstrap_servers=self.bootstrap).consumer("tests", "tests-raw"))
        try:
            partitions = consumer.list_topics(Topic.NOTIFY_REQUESTED, timeout=10).topics
            numbers = partitions[Topic.NOTIFY_REQUESTED].partitions
            consumer.assign([TopicPartition(Topic.NOTIFY_REQUESTED, number, 0) for number in numbers])
            found: list[Message] = []

            def both() -> bool:
                found.extend(each for each in consumer.consume(100, 0.2) if each.key() == key)
                return len(found) >= 2

            wait_until(both, 10.0, "two records")
        finally:
            consumer.close()
        return sorted(found, key=lambda message: message.timestamp()[1])

    def requests(self) -> list[NotifyRequest]:
        everything = self.reader.all(Topic.NOTIFY_REQUESTED, NotifyRequest)
        return [record for _, record in everything if record.tenant == self.stage]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("pipeline")
    topics = [option for topic in Topic for option in ("--topic", topic)]
    with (
        servers.running("sandbox.registry", log=folder / "registry.log") as registry,
        servers.running("sandbox.broker", *topics, log=folder / "broker.log") as broker,
        TopicReader(broker.address, registry.address) as reader,
    ):
        made = Pipeline(broker.address, registry.address, folder, reader)
        try:
            yield made
        finally:
            made.producer.close()


@pytest.fixture
def pipeline(shared: Pipeline, request: pytest.FixtureRequest) -> Pipeline:
    shared.stage = str(request.node.name)
    return shared


# -- list ------------------------------------------------------------------------------------------------


def test_letters_are_listed_with_where_they_were_read_and_why(pipeline: Pipeline) -> None:
    pipeline.bury()
    (letter,) = pipeline.listed()
    assert (letter["stage"], letter["reason"]) == (pipeline.stage, "not-avro")
    assert (letter["topic"], letter["partition"], letter["offset"]) == ("notify.requested", 1, 5)
    assert (letter["bytes"], letter["replayed_at"]) == (8, None)


def test_letters_are_filtered_and_counted(pipeline: Pipeline) -> None:
    pipeline.bury()
    pipeline.bury(offset=6)
    pipeline.bury(offset=7, reason="no-identity")
    pipeline.bury(topic="twilio.status", reason="impossible-time")
    pipeline.bury(stage="another")
    assert len(pipeline.listed()) == 4
    assert len(pipeline.listed("--reason", "no-identity")) == 1
    assert len(pipeline.listed("--topic", "twilio.status")) == 1
    assert len(pipeline.listed("--limit", "1")) == 1
    counts = {(row["reason"], row["topic"]): row["letters"] for row in pipeline.listed("--counts")}
    assert counts == {
        ("not-avro", "notify.requested"): 2,
        ("no-identity", "notify.requested"): 1,
        ("impossible-time", "twilio.status"): 1,
    }


def test_since_asks_when_the_broker_got_them(pipeline: Pipeline) -> None:
    pipeline.bury()
    assert len(pipeline.listed("--since", "1h")) == 1
    assert pipeline.listed("--since", "2100-01-01T00:00:00Z") == []


def test_a_table_is_read_by_people_and_hides_numbers(pipeline: Pipeline) -> None:
    pipeline.bury(detail=f"recipient {PERSON} is wrong")
    ran = pipeline.run("list", "--stage", pipeline.stage)
    assert "notify.requested[1]@5" in ran.stdout
    assert "1 dead letters (1 not-avro), 0 replayed" in ran.stderr
    assert PERSON not in pipeline.run("list", "--json", "--stage", pipeline.stage).stdout


def test_nothing_given_up_is_said(pipeline: Pipeline) -> None:
    assert "No dead letters." in pipeline.run("list", "--stage", "nobody").stdout


def test_a_since_that_is_no_time_is_refused_with_examples(pipeline: Pipeline) -> None:
    ran = pipeline.run("list", "--since", "yesterday")
    assert (ran.code, "24h, 30m, 7d" in ran.stderr) == (2, True)


# -- show ------------------------------------------------------------------------------------------------


def test_a_record_that_can_be_decoded_by_now_is_shown_without_its_number(pipeline: Pipeline) -> None:
    pipeline.bury(value=pipeline.request("order-1"), reason="processor-error")
    ran = pipeline.run("show", pipeline.id(), "--json")
    told = json.loads(ran.stdout)
    assert told["record"]["idempotency_key"] == "order-1"
    assert told["record"]["recipient"] == "+1415•••••23"
    assert told["key"] == "order-1"
    shown = pipeline.run("show", pipeline.id(), "--show-numbers")
    assert PERSON in shown.stdout


def test_a_record_that_cannot_be_decoded_is_described_and_not_dumped(pipeline: Pipeline) -> None:
    pipeline.bury(value=b"call " + PERSON.encode())
    told = json.loads(pipeline.run("show", pipeline.id(), "--json").stdout)
    assert told["record"].startswith("cannot be decoded: not-avro")
    assert told["begins_with"] == "63 61 6c 6c 20"
    assert PERSON[1:] not in json.dumps(told)


def test_a_letter_that_is_not_there_is_said(pipeline: Pipeline) -> None:
    ran = pipeline.run("show", "0@77")
    assert (ran.code, "no dead letter 0@77" in ran.stderr) == (1, True)


# -- replay ----------------------------------------------------------------------------------------------


def test_a_letter_goes_back_to_its_topic_with_its_key_and_bytes_and_where_a_producer_would_put_it(
    pipeline: Pipeline,
) -> None:
    value = pipeline.request("one-key")
    pipeline.producer.produce(Topic.NOTIFY_REQUESTED, value, b"one-key")
    assert pipeline.producer.flush(10) == 0
    pipeline.bury(key=b"one-key", value=value, reason="unknown-schema")
    letter = pipeline.id()
    assert pipeline.replayed(letter) == {letter: "replayed"}
    original, copy = pipeline.messages(b"one-key")
    assert (copy.key(), copy.value(), copy.partition()) == (b"one-key", value, original.partition())
    assert copy.headers() == [("notifystream-replay-of", letter.encode())]


def test_what_was_replayed_is_remembered_and_left_out(pipeline: Pipeline) -> None:
    pipeline.bury(value=pipeline.request("order-1"))
    letter = pipeline.id()
    pipeline.replayed(letter)
    assert pipeline.replayed(letter) == {letter: "already replayed"}
    assert len(pipeline.requests()) == 1
    (listed,) = pipeline.listed()
    assert listed["replayed_at"] is not None
    assert pipeline.listed("--pending") == []


def test_what_was_replayed_goes_again_only_when_told_to(pipeline: Pipeline) -> None:
    pipeline.bury(value=pipeline.request("order-1"))
    pipeline.replayed(pipeline.id())
    pipeline.replayed(pipeline.id(), "--again")
    assert len(pipeline.requests()) == 2


def test_a_dry_run_says_what_it_would_do_and_does_nothing(pipeline: Pipeline) -> None:
    pipeline.bury(value=pipeline.request("order-1"))
    letter = pipeline.id()
    assert pipeline.replayed("--stage", pipeline.stage, "--dry-run") == {letter: "would be replayed"}
    assert pipeline.requests() == []
    assert len(pipeline.listed("--pending")) == 1


def test_a_filter_replays_what_it_names_and_nothing_else(pipeline: Pipeline) -> None:
    for number in range(3):
        pipeline.bury(value=pipeline.request(f"k{number}"), offset=number, reason="unknown-schema")
    pipeline.bury(value=pipeline.request("other"), offset=9)
    pipeline.replayed("--stage", pipeline.stage, "--reason", "unknown-schema")
    assert sorted(each.idempotency_key for each in pipeline.requests()) == ["k0", "k1", "k2"]


def test_copies_of_one_letter_are_replayed_once_and_remembered_together(pipeline: Pipeline) -> None:
    for _ in range(2):
        pipeline.bury(value=pipeline.request("order-1"))
    pipeline.replayed("--stage", pipeline.stage)
    assert len(pipeline.requests()) == 1
    assert pipeline.listed("--pending") == []


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (
            {"detail": "x [the first 768000 of 900000 bytes are kept here]"},
            "not whole: only the first 768000",
        ),
        ({"key": b"k" * 32_000}, "32000 bytes of its key"),
        ({"value": None}, "no bytes to write"),
        ({"partition": -1, "topic": "twilio.events"}, "came by a webhook"),
        ({"topic": "notification.outcomes"}, "could replace a newer one"),
        ({"topic": "of.somebody.else"}, "not a topic of this pipeline"),
    ],
)
def test_what_cannot_be_replayed_is_said_and_does_not_stop_the_others(
    pipeline: Pipeline, letter: dict[str, Any], why: str
) -> None:
    pipeline.bury(value=pipeline.request("good"), offset=1)
    pipeline.bury(**({"offset": 2} | letter))
    ran = pipeline.run("replay", "--stage", pipeline.stage, "--since", "1h")
    assert ran.code == 1
    assert why in ran.stdout
    assert "Traceback" not in ran.stderr
    assert [each.idempotency_key for each in pipeline.requests()] == ["good"]


class Recorder:
    """Stands for a codec and outputs: keeps what would be encoded."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    def encode(self, topic: str, record: DeadLetter) -> bytes:
        self.letters.append(record)
        return b""

    def write(self, *write: object) -> None:
        return None


@pytest.mark.parametrize(
    ("key", "value", "whole"),
    [
        (b"k" * (MAX_KEPT_KEY - 1), bytes(MAX_KEPT), True),
        (b"k", bytes(MAX_KEPT + 1), False),
        (b"k" * (MAX_KEPT_KEY + 1), b"v", False),
    ],
    ids=["whole", "value-cut", "key-cut"],
)
def test_what_the_processors_cut_is_known_as_not_whole(key: bytes, value: bytes, whole: bool) -> None:
    kept = Recorder()
    incoming = Incoming(Topic.NOTIFY_REQUESTED, 0, 1, key, value, NOW)
    Writer(kept, kept).bury("streams.intake", incoming, "not-avro", "no magic byte")  # type: ignore[arg-type]
    (letter,) = kept.letters
    found = obstacle(letter)
    assert found is None if whole else found is not None and found.startswith("it is not whole")


def test_an_unknown_id_replays_nothing(pipeline: Pipeline) -> None:
    pipeline.bury(value=pipeline.request("good"))
    ran = pipeline.run("replay", pipeline.id(), "3@999")
    assert (ran.code, "no dead letter 3@999" in ran.stderr) == (1, True)
    assert pipeline.requests() == []


def test_neither_ids_nor_a_filter_is_refused(tmp_path: Path) -> None:
    ran = run("deadletters", "replay", folder=tmp_path)
    assert (ran.code, "say which" in ran.stderr) == (2, True)


@pytest.mark.parametrize("text", ["", "3", "3@", "@4", "-1@4", "3@4@5"])
def test_what_is_no_id_is_refused_with_how_they_look(text: str) -> None:
    with pytest.raises(BadLetterId, match="3@17"):
        LetterId.parse(text)


# -- writing back ----------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0, 10, 1_000_000]), max_size=250))
def test_letters_are_replayed_in_batches_of_bounded_size_and_keep_their_order(sizes: list[int]) -> None:
    values = {size: bytes(size) for size in sizes}
    numbered = [
        (LetterId(0, n), DeadLetter(stage="s", reason="r", detail="d", topic="t", partition=0, offset=0,
                                    at=0, value=values[size]))
        for n, size in enumerate(sizes)
    ]  # fmt: skip
    made = list(batches(numbered))
    assert [each for batch in made for each in batch] == numbered
    for batch in made:
        assert 0 < len(batch) <= BATCH
        assert sum(len(letter.value or b"") for _, letter in batch) <= 5_000_000
