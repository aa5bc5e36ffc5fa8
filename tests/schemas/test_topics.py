"""`topics.yaml`: every topic there is, carrying a record there is, kept for long enough."""

from __future__ import annotations

import msgspec
import pytest

from notifystream.settings import Settings
from notifystream.topic_plan import wanted
from schemas.topics import Topic, TopicFile, TopicSpec, load_topics
from schemas.vocabulary import Priority
from tests.schemas.contracts import CLASSES

FILE = load_topics()
DAY_S = 86_400
by_topic = pytest.mark.parametrize("topic", list(Topic))


def days(topic: Topic) -> float:
    retention = FILE.topics[topic].retention
    return float(retention.removesuffix("d")) if retention else float("inf")


def longest_command_life_s() -> float:
    """What the settings allow for COMMAND_TTL_S at most."""
    limits = Settings.model_fields["command_ttl_s"].metadata
    return float(next(limit.le for limit in limits if hasattr(limit, "le")))


def test_the_file_and_the_list_of_topics_name_the_same_topics() -> None:
    assert list(FILE.topics) == list(Topic)


@by_topic
def test_a_topic_carries_a_record_that_exists(topic: Topic) -> None:
    internal = {None} if topic.endswith("-changelog") else set()
    assert FILE.topics[topic].record in {cls.__name__ for cls in CLASSES.values()} | internal


def test_every_record_travels_on_some_topic() -> None:
    carried = {spec.record for spec in FILE.topics.values() if spec.record is not None}
    assert {cls.__name__ for cls in CLASSES.values()} - carried == set()


@by_topic
def test_a_topic_says_its_key_its_writers_and_its_readers(topic: Topic) -> None:
    spec = FILE.topics[topic]
    assert spec.key
    assert spec.written_by
    assert spec.read_by


def test_all_topics_are_made_with_the_same_number_of_partitions() -> None:
    assert {topic.partitions for topic in wanted(FILE, brokers=3, partitions=None)} == {FILE.partitions}
    assert {topic.partitions for topic in wanted(FILE, brokers=1, partitions=5)} == {5}


def test_a_topic_cannot_be_given_partitions_of_its_own() -> None:
    with pytest.raises(msgspec.ValidationError, match="partitions"):
        msgspec.convert(
            {"record": "TimerTick", "key": "k", "written_by": ["a"], "read_by": ["b"], "partitions": 3},
            TopicSpec,
        )


def test_a_topic_nobody_knows_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"notify\.demanded"):
        msgspec.convert(
            {
                "partitions": 1,
                "replication_factor": 1,
                "min_insync_replicas": 1,
                "topics": {"notify.demanded": {}},
            },
            TopicFile,
        )


def test_the_journal_remembers_a_command_for_longer_than_any_command_may_live() -> None:
    assert days(Topic.JOURNAL) * DAY_S > longest_command_life_s()


@pytest.mark.parametrize("lane", list(Priority))
def test_a_command_outlives_its_own_expiry_in_its_topic(lane: Priority) -> None:
    # Or one could vanish unseen: neither sent nor reported as expired.
    assert days(Topic.commands(lane)) * DAY_S >= longest_command_life_s()


def test_each_lane_has_its_own_topic() -> None:
    assert len({Topic.commands(lane) for lane in Priority}) == len(Priority)


@pytest.mark.parametrize(
    "topic", [Topic.NOTIFICATIONS_CHANGELOG, Topic.RECIPIENTS_CHANGELOG, Topic.CONSENT_CHANGES]
)
def test_what_state_is_rebuilt_from_is_never_deleted_only_compacted(topic: Topic) -> None:
    config = FILE.topics[topic].broker_config(2)
    assert config["cleanup.policy"] == "compact"
    assert config["retention.ms"] == "-1"


def test_retention_and_compaction_reach_the_broker_under_its_own_names() -> None:
    assert FILE.topics[Topic.JOURNAL].broker_config(2) == {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(7 * DAY_S * 1000),
        "min.insync.replicas": "2",
        "compression.type": "producer",
    }
