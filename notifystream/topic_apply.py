"""Make a broker's topics and a registry's schemas what `schemas/` says, and report what is not.

Guarantees: creates only what is missing, changes and deletes nothing; running it twice is running it once.
The embedded broker cannot create topics: there each is touched, which makes it appear with the broker's own
four partitions, and nothing is compared. Leaves to `topic_plan` what is wanted, to the command how it is
shown.
"""

import re
from collections.abc import Mapping
from importlib import resources

import httpx2
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from notifystream import topic_plan
from notifystream.connections import embedded
from notifystream.topic_plan import Difference, Existing, Plan
from schemas.topics import Topic, TopicFile

# Creating a dozen topics takes a broker well under a second; a cluster in the middle of an election, longer.
TIMEOUT_S = 30.0


class SchemaResult(msgspec.Struct, frozen=True):
    """One subject: its id in the registry, or the reason it was refused."""

    subject: str
    schema_id: int | None = None
    refused: str | None = None


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` did (or, in a dry run, would do)."""

    dry_run: bool
    embedded: bool
    brokers: int
    created: tuple[str, ...]
    touched: tuple[str, ...]
    unchanged: tuple[str, ...]
    differences: tuple[Difference, ...]
    schemas: tuple[SchemaResult, ...]

    @property
    def in_order(self) -> bool:
        """Nothing differs and no schema was refused."""
        return not self.differences and not any(schema.refused for schema in self.schemas)


class ApplyFailed(Exception):
    """The broker or the registry did not do what it was asked; the message says what."""


def apply(
    admin: AdminClient,
    registry_url: str | None,
    file: TopicFile,
    *,
    partitions: int | None = None,
    dry_run: bool = False,
) -> Applied:
    """Create the missing topics and register the schemas (none without a registry); see the module.

    Raises ApplyFailed when the broker or the registry cannot be reached or refuses to create a topic.
    """
    try:
        cluster = admin.list_topics(timeout=TIMEOUT_S)
    except KafkaException as error:
        raise ApplyFailed(f"the broker did not answer: {error.args[0].str()}") from error
    brokers = len(cluster.brokers)
    wanted = topic_plan.wanted(file, brokers=brokers, partitions=partitions)
    is_embedded = embedded(cluster.cluster_id)
    if is_embedded:
        missing = tuple(topic.topic for topic in wanted if topic.topic not in cluster.topics)
        present = tuple(topic.topic for topic in wanted if topic.topic in cluster.topics)
        plan = Plan((), present, ())
        if not dry_run:
            _touch(admin, missing)
    else:
        missing = ()
        plan = topic_plan.compare(wanted, existing_topics(admin, [str(topic.topic) for topic in wanted]))
        if not dry_run:
            _create(admin, plan)
    return Applied(
        dry_run=dry_run,
        embedded=is_embedded,
        brokers=brokers,
        created=tuple(topic.topic for topic in plan.create),
        touched=missing,
        unchanged=plan.unchanged,
        differences=plan.differences,
        schemas=_register(registry_url, file, dry_run=dry_run) if registry_url else (),
    )


def existing_topics(admin: AdminClient, names: list[str]) -> Mapping[str, Existing]:
    """Those of the topics that are there, with their settings; the embedded broker tells none of those.

    Raises ApplyFailed.
    """
    try:
        metadata = admin.list_topics(timeout=TIMEOUT_S)
        cluster = metadata.topics
        there = [name for name in names if name in cluster and cluster[name].error is None]
        configs = {}
        if there and not embedded(metadata.cluster_id):
            resources = [ConfigResource(ResourceType.TOPIC, name) for name in there]
            asked = admin.describe_configs(resources, request_timeout=TIMEOUT_S)
            configs = {resource.name: answer.result() for resource, answer in asked.items()}
    except KafkaException as error:
        raise ApplyFailed(f"the broker did not describe its topics: {error.args[0].str()}") from error
    return {
        name: Existing(
            partitions=len(cluster[name].partitions),
            replication=min((len(p.replicas) for p in cluster[name].partitions.values()), default=0),
            config={entry.name: str(entry.value) for entry in configs.get(name, {}).values()},
        )
        for name in there
    }


def _create(admin: AdminClient, plan: Plan) -> None:
    if not plan.create:
        return
    answers = admin.create_topics(
        [NewTopic(t.topic, t.partitions, t.replication, config=dict(t.config)) for t in plan.create],
        request_timeout=TIMEOUT_S,
    )
    refused = []
    for topic, answer in answers.items():
        try:
            answer.result()
        except KafkaException as error:
            # Two `apply` at once: the other one was quicker.
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                refused.append(f"{topic}: {error.args[0].str()}")
    if refused:
        raise ApplyFailed("the broker refused to create topics:\n" + "\n".join(refused))


def _touch(admin: AdminClient, missing: tuple[str, ...]) -> None:
    for name in missing:
        topic = admin.list_topics(name, timeout=TIMEOUT_S).topics[name]
        if topic.error is not None:
            raise ApplyFailed(f"the embedded broker did not make the topic {name}: {topic.error}")


def _register(url: str, file: TopicFile, *, dry_run: bool) -> tuple[SchemaResult, ...]:
    with SchemaRegistryClient({"url": url, "timeout": TIMEOUT_S, "max.retries": 2}) as registry:
        return tuple(
            _registered(registry, topic, spec.record, dry_run=dry_run)
            for topic, spec in file.topics.items()
            if spec.record is not None
        )


def _registered(registry: SchemaRegistryClient, topic: Topic, record: str, *, dry_run: bool) -> SchemaResult:
    subject = f"{topic}-value"
    schema = Schema(_avro_file(record), "AVRO")
    try:
        if dry_run:
            fits = registry.test_compatibility(subject, schema)
            return SchemaResult(subject, refused=None if fits else "not compatible with the latest version")
        return SchemaResult(subject, schema_id=registry.register_schema(subject, schema))
    except SchemaRegistryError as error:
        if dry_run and error.http_status_code == 404:
            return SchemaResult(subject)  # nothing there yet to be incompatible with
        if error.http_status_code in (409, 422):
            return SchemaResult(subject, refused=error.error_message)
        raise ApplyFailed(f"the registry did not take {subject}: {error}") from error
    except (httpx2.TransportError, OSError) as error:
        raise ApplyFailed(f"the registry did not answer: {error}; is SCHEMA_REGISTRY_URL right?") from error


def _avro_file(record: str) -> str:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", record).lower()
    return resources.files("schemas").joinpath(f"{name}.avsc").read_text()
