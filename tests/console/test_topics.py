"""Topics and schemas: what is proposed, and what a broker and a registry then have."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AdminClient

from notifystream import topic_apply
from notifystream.topic_plan import Difference, Existing, Wanted, compare, wanted
from schemas.topics import Topic, TopicFile, TopicSpec, load_topics
from tests import servers
from tests.console.command_line import run
from tests.kafka.broker import KafkaHandle

FILE = load_topics()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    with servers.running("sandbox.registry", log=tmp_path / "registry.log") as server:
        yield server.address


def as_existing(topic: Wanted) -> Existing:
    return Existing(topic.partitions, topic.replication, dict(topic.config))


def test_an_empty_cluster_lacks_every_topic() -> None:
    plan = compare(wanted(FILE, brokers=3, partitions=None), {})
    assert {topic.topic for topic in plan.create} == set(Topic)


def test_what_is_as_wanted_is_left_alone() -> None:
    topics = wanted(FILE, brokers=3, partitions=None)
    plan = compare(topics, {topic.topic: as_existing(topic) for topic in topics})
    assert (plan.create, plan.differences) == ((), ())


@pytest.mark.parametrize(
    ("brokers", "copies", "in_sync"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")]
)
def test_a_small_cluster_gets_as_many_copies_as_it_can_hold(brokers: int, copies: int, in_sync: str) -> None:
    for topic in wanted(FILE, brokers=brokers, partitions=None):
        assert (topic.replication, topic.config["min.insync.replicas"]) == (copies, in_sync)


def test_other_partitions_and_settings_are_reported_and_not_changed() -> None:
    topic = wanted(FILE, brokers=1, partitions=6)[0]
    found = Existing(3, 1, {**topic.config, "retention.ms": "1"})
    plan = compare((topic,), {topic.topic: found})
    assert plan.create == ()
    assert set(plan.differences) == {
        Difference(topic.topic, "partitions", "6", "3"),
        Difference(topic.topic, "retention.ms", topic.config["retention.ms"], "1"),
    }


def test_the_order_of_cleanup_policies_does_not_matter() -> None:
    topic = next(t for t in wanted(FILE, brokers=1, partitions=6) if "," in t.config["cleanup.policy"])
    turned = ",".join(reversed(topic.config["cleanup.policy"].split(",")))
    plan = compare((topic,), {topic.topic: Existing(6, 1, {**topic.config, "cleanup.policy": turned})})
    assert plan.differences == ()


def test_apply_makes_every_topic_exist_on_the_embedded_broker(
    embedded_kafka: str, registry: str, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": registry}
    ran = run("topics", "apply", "--json", folder=tmp_path, env=env)
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout)["embedded"] is True
    there = AdminClient({"bootstrap.servers": embedded_kafka}).list_topics(timeout=10).topics
    assert set(Topic) <= set(there)


def test_apply_twice_changes_nothing_the_second_time(
    embedded_kafka: str, registry: str, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": registry}
    run("topics", "apply", folder=tmp_path, env=env)
    again = json.loads(run("topics", "apply", "--json", folder=tmp_path, env=env).stdout)
    assert (again["touched"], len(again["unchanged"])) == ([], len(Topic))


def test_apply_registers_a_schema_for_every_topic_that_others_read(
    embedded_kafka: str, registry: str, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": registry}
    run("topics", "apply", folder=tmp_path, env=env)
    with urllib.request.urlopen(f"{registry}/subjects", timeout=10) as answer:
        subjects = set(json.load(answer))
    carried = {topic for topic, spec in load_topics().topics.items() if spec.record is not None}
    assert {f"{topic}-value" for topic in carried} <= subjects
    assert not any("changelog" in subject for subject in subjects)


def test_a_dry_run_registers_nothing(embedded_kafka: str, registry: str, tmp_path: Path) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": registry}
    ran = run("topics", "apply", "--dry-run", folder=tmp_path, env=env)
    assert ran.code == 0, ran.stderr
    with urllib.request.urlopen(f"{registry}/subjects", timeout=10) as answer:
        assert json.load(answer) == []


def test_a_schema_the_registry_refuses_fails_the_command_and_is_named(
    embedded_kafka: str, registry: str, tmp_path: Path
) -> None:
    other = {"type": "record", "name": "NotifyRequest", "namespace": "notifystream", "fields": [
        {"name": "tenant", "type": "int"}]}  # fmt: skip
    posted = urllib.request.Request(
        f"{registry}/subjects/notify.requested-value/versions",
        json.dumps({"schema": json.dumps(other)}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(posted, timeout=10):
        pass
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": registry}
    ran = run("topics", "apply", folder=tmp_path, env=env)
    assert ran.code == 1
    assert "notify.requested-value" in ran.stdout


def test_a_registry_that_is_away_is_an_error_without_a_traceback(embedded_kafka: str, tmp_path: Path) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": "http://127.0.0.1:9"}
    ran = run("topics", "apply", folder=tmp_path, env=env)
    assert ran.code == 1
    assert "SCHEMA_REGISTRY_URL" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.broker
def test_apply_creates_topics_with_their_settings_on_a_real_broker(
    real_kafka: KafkaHandle, seed: int
) -> None:
    name = f"apply-{seed}-{id(real_kafka)}"
    file = TopicFile(
        partitions=12,
        replication_factor=3,
        min_insync_replicas=2,
        topics={name: TopicSpec("TimerTick", "k", (), (), compact=True, retention="1d")},  # type: ignore[dict-item]
    )
    admin = AdminClient({"bootstrap.servers": real_kafka.bootstrap})
    try:
        applied = topic_apply.apply(admin, None, file, partitions=3)
        assert applied.created == (name,)
        found = topic_apply.existing_topics(admin, [name])[name]
        assert found.partitions == 3
        assert set(found.config["cleanup.policy"].split(",")) == {"compact", "delete"}
        assert found.config["retention.ms"] == "86400000"
        assert topic_apply.apply(admin, None, file, partitions=3).unchanged == (name,)
        differing = topic_apply.apply(admin, None, file, partitions=5)
        assert [difference.setting for difference in differing.differences] == ["partitions"]
        assert not differing.in_order
    finally:
        for done in admin.delete_topics([name]).values():
            done.result()


def test_the_result_is_json_whatever_is_in_it() -> None:
    applied = topic_apply.Applied(
        dry_run=False,
        embedded=False,
        brokers=1,
        created=("a",),
        touched=(),
        unchanged=(),
        differences=(Difference("b", "partitions", "1", "2"),),
        schemas=(topic_apply.SchemaResult("a-value", refused="no"),),
    )
    assert json.loads(msgspec.json.encode(applied))["differences"][0]["setting"] == "partitions"
    assert not applied.in_order


def test_list_tells_each_topic_on_the_embedded_broker(
    embedded_kafka: str, registry: str, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": embedded_kafka, "SCHEMA_REGISTRY_URL": registry}
    run("topics", "apply", folder=tmp_path, env=env)
    ran = run("topics", "list", "--json", folder=tmp_path, env=env)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [row["topic"] for row in rows] == list(FILE.topics)
    assert all(row["on_broker"]["partitions"] == 4 for row in rows)


@pytest.mark.broker
def test_apply_finds_on_a_real_broker_what_it_made_there(
    real_kafka: KafkaHandle, registry: str, tmp_path: Path
) -> None:
    env = {"KAFKA_BOOTSTRAP_SERVERS": real_kafka.bootstrap, "SCHEMA_REGISTRY_URL": registry}
    for _ in range(2):
        ran = run("topics", "apply", "--json", folder=tmp_path, env=env)
        assert ran.code == 0, ran.stdout + ran.stderr
    assert len(json.loads(ran.stdout)["unchanged"]) == len(Topic)
