"""What a broker's topics should be, compared with what they are. Pure: brokers are asked in `topic_apply`.

Guarantees: nothing about an existing topic is ever proposed to be changed: partitions cannot be, without
moving keys, and retention is an operator's decision. It is reported, and stays.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.topics import Topic, TopicFile


@dataclass(frozen=True, slots=True)
class Wanted:
    """One topic as it is to be created."""

    topic: Topic
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Existing:
    """One topic as the broker has it; `config` may hold more names than anybody asked for."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of an existing topic that is not what `topics.yaml` says."""

    topic: str
    setting: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.found}, topics.yaml says {self.wanted}"


@dataclass(frozen=True, slots=True)
class Plan:
    create: tuple[Wanted, ...]
    unchanged: tuple[str, ...]
    differences: tuple[Difference, ...]


def wanted(file: TopicFile, *, brokers: int, partitions: int | None) -> tuple[Wanted, ...]:
    """Every topic as this cluster can hold it.

    A cluster with fewer brokers than `topics.yaml` wants copies gets as many copies as it has brokers, and
    requires one fewer of them in sync (at least one), so that losing a broker does not stop the writes.
    """
    replication = max(1, min(file.replication_factor, brokers))
    in_sync = min(file.min_insync_replicas, max(1, replication - 1))
    return tuple(
        Wanted(topic, partitions or file.partitions, replication, spec.broker_config(in_sync))
        for topic, spec in file.topics.items()
    )


def compare(wanted_topics: tuple[Wanted, ...], existing: Mapping[str, Existing]) -> Plan:
    """What is missing, what is right, and what differs. What the broker does not tell is not compared."""
    create: list[Wanted] = []
    unchanged: list[str] = []
    differences: list[Difference] = []
    for topic in wanted_topics:
        found = existing.get(topic.topic)
        if found is None:
            create.append(topic)
            continue
        wrong = _differences(topic, found)
        differences += wrong
        if not wrong:
            unchanged.append(topic.topic)
    return Plan(tuple(create), tuple(unchanged), tuple(differences))


def _differences(topic: Wanted, found: Existing) -> list[Difference]:
    pairs = [
        ("partitions", str(topic.partitions), str(found.partitions)),
        ("replication", str(topic.replication), str(found.replication)),
        *((name, value, found.config.get(name, value)) for name, value in topic.config.items()),
    ]
    return [
        Difference(topic.topic, setting, want, have)
        for setting, want, have in pairs
        if _normal(setting, want) != _normal(setting, have)
    ]


def _normal(setting: str, value: str) -> str:
    # `compact,delete` and `delete,compact` are the same policy.
    return ",".join(sorted(value.split(","))) if setting == "cleanup.policy" else value
