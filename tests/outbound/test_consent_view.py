"""The barrier before every call: a STOP that was acknowledged before it is honoured after it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import ConsentChange, InboundMessage
from schemas.topics import Topic
from schemas.vocabulary import Channel, Consent, ConsentGroup
from sinks.outbound.consent_view import ConsentUnknown, ConsentView
from tests import servers
from tests.outbound.world import World, on_the_embedded_broker

pytestmark = pytest.mark.anyio
GROUP = "streams"
SENDER = "+15005550006"


@pytest.fixture(scope="module")
def world(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with on_the_embedded_broker(tmp_path_factory.mktemp("consent"), registry) as running:
        yield running


@pytest.fixture
async def view(world: World) -> AsyncIterator[ConsentView]:
    following = ConsentView(Kafka(bootstrap_servers=world.bootstrap), world.codec, GROUP)
    following.start()
    yield following
    following.close()


def person() -> str:
    return f"+1{uuid.uuid4().int % 10**10:010d}"


def said(recipient: str, body: str, at: int = 1_000) -> InboundMessage:
    return InboundMessage(
        provider="twilio",
        account_sid="AC1",
        message_sid=f"SM{uuid.uuid4().hex}",
        tenant="*",
        recipient=recipient,
        sender=SENDER,
        channel=Channel.SMS,
        body=body,
        received_at=at,
    )


def change(recipient: str, state: Consent, at: int = 1_000, tenant: str = "*") -> ConsentChange:
    return ConsentChange(
        change_id=uuid.uuid4().hex,
        tenant=tenant,
        recipient=recipient,
        channel_group=ConsentGroup.SMS,
        sender="",
        state=state,
        source="test",
        at=at,
    )


async def test_nobody_has_opted_out_who_said_nothing(view: ConsentView) -> None:
    await view.catch_up()
    assert not view.forbids("acme", person(), Channel.SMS, SENDER)


async def test_every_stop_acknowledged_before_the_barrier_counts_after_it(
    world: World, view: ConsentView
) -> None:
    """Again and again, as nothing else would show that the barrier waits: the recipients never ran."""
    for _ in range(30):
        recipient = person()
        world.write(Topic.INBOUND, recipient, said(recipient, " Stop "))
        await view.catch_up()
        assert view.forbids("acme", recipient, Channel.SMS, SENDER)
        assert view.forbids("acme", recipient, Channel.MMS, SENDER)
        assert not view.forbids("acme", recipient, Channel.WHATSAPP, SENDER)


async def test_every_opt_out_in_the_ledger_counts_after_the_barrier(world: World, view: ConsentView) -> None:
    for _ in range(30):
        recipient = person()
        world.write(Topic.CONSENT_CHANGES, recipient, change(recipient, Consent.OPTED_OUT, tenant="acme"))
        await view.catch_up()
        assert view.forbids("acme", recipient, Channel.SMS, SENDER)
        assert not view.forbids("other", recipient, Channel.SMS, SENDER)


async def test_a_stop_from_before_the_start_counts(world: World) -> None:
    by_inbound, by_ledger = person(), person()
    world.write(Topic.INBOUND, by_inbound, said(by_inbound, "UNSUBSCRIBE"))
    world.write(Topic.CONSENT_CHANGES, by_ledger, change(by_ledger, Consent.OPTED_OUT))
    late = ConsentView(Kafka(bootstrap_servers=world.bootstrap), world.codec, GROUP)
    late.start()
    try:
        await late.catch_up()
        assert late.forbids("acme", by_inbound, Channel.SMS, SENDER)
        assert late.forbids("acme", by_ledger, Channel.SMS, SENDER)
    finally:
        late.close()


async def test_start_renews_and_an_older_stop_that_comes_later_does_not_end_it(
    world: World, view: ConsentView
) -> None:
    recipient = person()
    world.write(Topic.INBOUND, recipient, said(recipient, "STOP", at=1_000))
    world.write(Topic.INBOUND, recipient, said(recipient, "start", at=2_000))
    world.write(Topic.CONSENT_CHANGES, recipient, change(recipient, Consent.OPTED_OUT, at=1_000))
    await view.catch_up()
    assert not view.forbids("acme", recipient, Channel.SMS, SENDER)


async def test_what_cannot_be_read_is_passed_over_and_the_next_counts(
    world: World, view: ConsentView
) -> None:
    recipient = person()
    world.write(Topic.INBOUND, recipient, b"no Avro at all")
    world.write(Topic.CONSENT_CHANGES, recipient, b"\x00\x00\x00\x00\x63")
    world.write(Topic.INBOUND, recipient, said(recipient, "STOP"))
    await view.catch_up()
    assert view.forbids("acme", recipient, Channel.SMS, SENDER)


async def test_an_ordinary_message_changes_nothing(world: World, view: ConsentView) -> None:
    recipient = person()
    world.write(Topic.INBOUND, recipient, said(recipient, "please stop calling me"))
    await view.catch_up()
    assert not view.forbids("acme", recipient, Channel.SMS, SENDER)


async def test_it_reads_on_from_where_the_recipients_processor_stands(
    registry: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What that processor has committed is in the ledger, so the inbound topic is not read twice."""
    before, after = person(), person()
    with on_the_embedded_broker(tmp_path_factory.mktemp("stands"), registry) as world:
        kafka = Kafka(bootstrap_servers=world.bootstrap)
        for number in range(8):
            world.write(Topic.INBOUND, f"{before}{number}", said(before, "STOP"))
        processor = Consumer(kafka.consumer("processor", GROUP))
        ends = [
            TopicPartition(
                Topic.INBOUND,
                number,
                processor.get_watermark_offsets(TopicPartition(Topic.INBOUND, number), timeout=10)[1],
            )
            for number in range(4)
        ]
        processor.commit(offsets=ends, asynchronous=False)
        processor.close()
        world.write(Topic.INBOUND, after, said(after, "STOP"))
        view = ConsentView(kafka, world.codec, GROUP)
        view.start()
        try:
            await view.catch_up()
            assert view.forbids("acme", after, Channel.SMS, SENDER)
            assert not view.forbids("acme", before, Channel.SMS, SENDER)
        finally:
            view.close()


async def test_without_a_broker_nothing_is_known(registry: str, tmp_path: Path) -> None:
    with on_the_embedded_broker(tmp_path, registry) as world:
        view = ConsentView(Kafka(bootstrap_servers=world.bootstrap), world.codec, GROUP)
        view.start()
        await view.catch_up()
    try:
        with pytest.raises(ConsentUnknown):
            await view.catch_up(2.0)
    finally:
        view.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_when_following_failed_nothing_is_known(world: World, tmp_path: Path) -> None:
    """A schema that nobody can be asked about may be a STOP."""
    recipient = person()
    with servers.running("sandbox.registry", log=tmp_path / "registry") as registry:
        codec = Codec(registry.address, timeout_s=1.0)
    view = ConsentView(Kafka(bootstrap_servers=world.bootstrap), codec, GROUP)
    view.start()
    try:
        world.write(Topic.INBOUND, recipient, said(recipient, "STOP"))
        with pytest.raises(ConsentUnknown) as unknown:
            await view.catch_up(20.0)
        assert "failed" in str(unknown.value)
    finally:
        view.close()
        codec.close()
