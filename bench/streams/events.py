"""What a worker has to do: notifications, and the four statuses that Twilio reports of each message."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice

from confluent_kafka import Producer

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.identity import notification_id
from schemas.records import NotifyRequest, ProviderStatus, Record
from schemas.topics import Topic
from schemas.vocabulary import Channel

STATUSES = ("queued", "sending", "sent", "delivered")
_T0 = 1_790_000_000_000


def requests(number: int) -> Iterator[tuple[str, NotifyRequest]]:
    for each in range(number):
        key = f"order-{each}"
        request = NotifyRequest(
            tenant="acme",
            idempotency_key=key,
            recipient=f"+491512{each:07}",
            body=f"Your order {each} has left our house and will be with you between 9 and 12 tomorrow.",
            metadata={"order": str(each)},
        )
        yield key, request


def statuses(messages: range, seed: int) -> Iterator[tuple[str, ProviderStatus]]:
    """Four of each message, every message's in order, those of some hundreds of messages mixed."""
    chance = random.Random(seed)
    open_: list[list[int]] = []
    coming = iter(messages)
    while True:
        open_ += [[each, 0] for each in islice(coming, 500 - len(open_))]
        if not open_:
            return
        place = chance.randrange(len(open_))
        message, done = open_[place]
        yield _status(message, STATUSES[done])
        if done + 1 == len(STATUSES):
            open_[place] = open_[-1]
            open_.pop()
        else:
            open_[place][1] += 1


def _status(message: int, status: str) -> tuple[str, ProviderStatus]:
    notification = notification_id("acme", f"order-{message}")
    sid = f"SM{message:032x}"
    recipient = f"+491512{message:07}"
    record = ProviderStatus(
        event_id=f"{sid}:{status}",
        provider="twilio",
        account_sid="AC" + "0" * 32,
        message_sid=sid,
        notification_id=notification,
        attempt=1,
        status=status,
        channel=Channel.SMS,
        recipient=recipient,
        sender="+14155550100",
        received_at=_T0 + message,
        source="callback",
        raw_dlr_done_date="2611211630" if status == "delivered" else None,
        parameters={
            "ApiVersion": "2010-04-01",
            "SmsSid": sid,
            "SmsStatus": status,
            "To": recipient,
            "From": "+14155550100",
            "MessagingServiceSid": "MG" + "0" * 32,
        },
    )
    return notification, record


def write(kafka: Kafka, codec: Codec, topic: Topic, events: Iterator[tuple[str, Record]]) -> int:
    """All of them, acknowledged. Returns how many."""
    producer = Producer(kafka.producer("bench", linger_ms=20) | {"log_level": 0})
    written = 0
    for key, record in events:
        while True:
            try:
                producer.produce(topic, codec.encode(topic, record), key.encode())
                break
            except BufferError:
                producer.poll(0.1)
        written += 1
    if producer.flush(120):
        raise SystemExit("the broker did not take the bench's events in 120 s")
    producer.close()
    return written
