"""What the bench lands: whole notifications as the pipeline writes them, in the mix it writes them in.

Per notification one request, one attempt, three statuses with the parameters Twilio sends, and the outcome's
versions that a reader of the topic finds before compaction. Every recipient is a person of its own.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

from confluent_kafka import Producer

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import (
    AttemptEvent,
    AttemptSummary,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    ProviderStatus,
    Record,
    Step,
)
from schemas.topics import Topic
from schemas.vocabulary import Category, Channel, CommandResult, NotificationState, Priority

SENDERS = tuple(f"+1415555{number:04}" for number in range(20))
PREFIXES = ("+1415", "+1212", "+1650", "+49151", "+447700", "+33612", "+5511")
ACCOUNT = "AC" + "ab" * 16
STATUSES = ("sent", "delivered", "read")
STATES = {"sent": NotificationState.SENT, "delivered": NotificationState.DELIVERED}
_NAMESPACE = uuid.UUID(int=7)


def notification(number: int, now: int) -> Iterator[tuple[Topic, Record]]:
    """All records of one notification, in the order they are written."""
    nid = str(uuid.uuid5(_NAMESPACE, str(number)))
    sid = "SM" + uuid.uuid5(_NAMESPACE, f"sid{number}").hex
    recipient = f"{PREFIXES[number % len(PREFIXES)]}{number % 10_000_000:07}"
    sender, tenant = SENDERS[number % len(SENDERS)], f"tenant-{number % 12}"
    at = now - 3_600_000 + number % 3_600_000
    yield (
        Topic.REQUESTS,
        NotificationRequest(
            notification_id=nid,
            tenant=tenant,
            idempotency_key=f"order-{number}",
            content_hash="c" * 64,
            origin=Origin(topic="notify.requested", partition=number % 4, offset=number),
            requested_at=at,
            recipient=recipient,
            country="US",
            carrier="unknown",
            carrier_source="unknown",
            channels=(Channel.SMS,),
            steps=(Step(channel=Channel.SMS, body=f"Your parcel {number} is at the door"),),
            category=Category.TRANSACTIONAL,
            priority=Priority.NORMAL,
            metadata={"campaign": "spring"},
        ),
    )
    yield (
        Topic.ATTEMPTS,
        AttemptEvent(
            notification_id=nid,
            attempt=1,
            command_id=f"{nid}:1",
            tenant=tenant,
            sender=sender,
            result=CommandResult.ACCEPTED,
            sid=sid,
            status="queued",
            request_id=f"RQ{number:032x}",
            latency_ms=40 + number % 200,
            at=at + 200,
        ),
    )
    for step, status in enumerate(STATUSES):
        yield (
            Topic.STATUS,
            ProviderStatus(
                event_id=f"{sid}:{status}",
                provider="twilio",
                account_sid=ACCOUNT,
                message_sid=sid,
                notification_id=nid,
                attempt=1,
                status=status,
                channel=Channel.SMS,
                recipient=recipient,
                sender=sender,
                received_at=at + 1000 * (step + 1),
                source="callback",
                raw_dlr_done_date="2611220006" if status == "delivered" else None,
                parameters={
                    "AccountSid": ACCOUNT,
                    "ApiVersion": "2010-04-01",
                    "From": sender,
                    "MessageSid": sid,
                    "MessageStatus": status,
                    "SmsSid": sid,
                    "SmsStatus": status,
                    "To": recipient,
                },
            ),
        )
        if status not in STATES:
            continue
        yield (
            Topic.OUTCOMES,
            NotificationOutcome(
                notification_id=nid,
                version=step + 2,
                tenant=tenant,
                idempotency_key=f"order-{number}",
                content_hash="c" * 64,
                state=STATES[status],
                final=status == "delivered",
                recipient=recipient,
                country="US",
                carrier="unknown",
                carrier_source="unknown",
                category=Category.TRANSACTIONAL,
                priority=Priority.NORMAL,
                requested_at=at,
                updated_at=at + 1000 * (step + 1),
                attempts=(
                    AttemptSummary(
                        attempt=1,
                        channel=Channel.SMS,
                        sender=sender,
                        sid=sid,
                        status=status,
                        segments=1,
                        commanded_at=at + 100,
                        accepted_at=at + 200,
                        sent_at=at + 1000,
                        delivered_at=at + 2000 if status == "delivered" else None,
                        ended_at=at + 2000 if status == "delivered" else None,
                    ),
                ),
                metadata={"campaign": "spring"},
            ),
        )


def write(kafka: Kafka, codec: Codec, notifications: int, only: Topic | None = None) -> int:
    """Write so many notifications, or the records of one topic of them; returns how many records."""
    now = time.time_ns() // 1_000_000
    producer = Producer(kafka.producer("bench", linger_ms=50))
    written = 0
    for number in range(notifications):
        for topic, record in notification(number, now):
            if only is not None and topic != only:
                continue
            value = codec.encode(topic, record)
            while True:
                try:
                    producer.produce(topic, value, str(number))
                    break
                except BufferError:
                    producer.poll(0.1)
            written += 1
        producer.poll(0)
    assert producer.flush(60) == 0
    return written
