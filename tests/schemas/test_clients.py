"""The broker's settings that everybody shares."""

from schemas.clients import Kafka


def test_a_password_does_not_show_when_the_settings_are_printed() -> None:
    kafka = Kafka(
        bootstrap_servers="kafka:9092",
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="pipeline",
        sasl_password="open sesame",
    )
    assert "open sesame" not in f"{kafka} {kafka!r} {[kafka]}"
    assert kafka.client("test")["sasl.password"] == "open sesame"


def test_every_producer_puts_a_key_where_faust_and_java_look_for_it() -> None:
    assert Kafka(bootstrap_servers="kafka:9092").producer("test")["partitioner"] == "murmur2_random"


def test_every_consumer_sees_committed_records_only() -> None:
    consumer = Kafka(bootstrap_servers="kafka:9092").consumer("test", "group")
    assert consumer["isolation.level"] == "read_committed"
    assert consumer["enable.auto.commit"] is False
