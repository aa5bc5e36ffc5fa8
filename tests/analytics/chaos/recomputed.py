"""What the tables must hold, worked out from the records of the topics, one after the other, in plain Python.

Guarantees: uses nothing of the sink but the hash that stands for a person. Which copy stands is said here in
the words of the design: an event is where it lies in Kafka, a state is its highest version, a dead letter is
the record that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import (
    AttemptEvent,
    ConsentChange,
    DeadLetter,
    InboundMessage,
    NotificationOutcome,
    NotificationRequest,
    ProviderStatus,
    Record,
)
from schemas.topics import Topic
from sinks.analytics.privacy import Privacy
from tests.analytics.chaos import tables as t
from tests.analytics.chaos.masks import without_number_of, without_numbers
from tests.analytics.chaos.sip import sip_hash
from tests.analytics.chaos.terms import STAGE

_RECORDS: dict[str, type[Record]] = {
    Topic.STATUS: ProviderStatus,
    Topic.ATTEMPTS: AttemptEvent,
    Topic.OUTCOMES: NotificationOutcome,
    Topic.REQUESTS: NotificationRequest,
    Topic.INBOUND: InboundMessage,
    Topic.CONSENT_CHANGES: ConsentChange,
    Topic.DEAD_LETTERS: DeadLetter,
}
_YEAR_2000_MS, _YEAR_2100_MS = 946_684_800_000, 4_102_444_800_000
_WITH_A_CARRIER = frozenset({"sent", "delivered", "read", "undelivered", "unconfirmed"})
_A_NOTIFICATION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


class Lying(NamedTuple):
    """A record as it lies in Kafka."""

    place: Place
    value: bytes | None


class Refused(NamedTuple):
    """A record of which nothing lands, and why."""

    why: str
    value: bytes | None


class _Unreadable(Exception):
    """A time that cannot be."""


class Tables:
    """Filled record by record; `rows` is what must stand then."""

    def __init__(self, codec: Codec, key: bytes) -> None:
        self.status_events: list[t.StatusEvent] = []
        self.attempts: list[t.Attempt] = []
        self.requests: list[t.Request] = []
        self.inbound: list[t.Inbound] = []
        self.consent: list[t.Consent] = []
        self.letters: dict[tuple[str, str, int, int], t.Letter] = {}
        self.messages: dict[tuple[str, int], t.Message] = {}
        self.notifications: dict[str, t.Notification] = {}
        self.history: dict[tuple[str, int, int], t.History] = {}
        self.sends: dict[str, t.Send] = {}
        """Every notification that a carrier has ever had, whatever became of it."""
        self.looked_up: dict[tuple[str, int], t.LookedUp] = {}
        """What stands for each request's number, of what look-ups told, by notification and time."""
        self.unreadable: dict[Place, Refused] = {}
        """Where nothing lands of a record."""
        self.given_up: dict[Place, list[DeadLetter]] = {}
        """The dead letters that the sink wrote, by the record they are about."""
        self.read = 0
        self._codec = codec
        self._hash = Privacy(key).recipient_hash

    def add(self, lying: Lying) -> None:
        """Raises RegistryUnavailable."""
        self.read += 1
        place = lying.place
        try:
            record = self._codec.decode(lying.value, _RECORDS[place.topic])
            self._add(record, place)
        except WireError as unreadable:
            self.unreadable[place] = Refused(unreadable.reason, lying.value)
        except _Unreadable:
            self.unreadable[place] = Refused("impossible-time", lying.value)

    def look_up(self, told: t.LookedUp) -> None:
        """The later one stands, whichever came first. These are in no topic: the run knows what it told."""
        request = told.notification_id, told.requested_at
        known = self.looked_up.get(request)
        if known is None or known.valid_from < told.valid_from:
            self.looked_up[request] = told

    def rows(self) -> dict[str, Callable[[], Iterable[t.Row]]]:
        """By table."""
        return {
            "status_events": lambda: self.status_events,
            "attempts": lambda: self.attempts,
            "requests": lambda: self.requests,
            "inbound": lambda: self.inbound,
            "consent_changes": lambda: self.consent,
            "dead_letters": self.letters.values,
            "messages": self.messages.values,
            "notifications": self.notifications.values,
            "outcome_history": self.history.values,
            "notification_carriers": self.looked_up.values,
        }

    def _add(self, record: Record, place: Place) -> None:
        match record:
            case ProviderStatus():
                self.status_events.append(self._status(record, place))
            case AttemptEvent():
                self.attempts.append(self._attempt(record, place))
            case NotificationOutcome():
                self._outcome(record)
            case NotificationRequest():
                self.requests.append(self._request(record, place))
            case InboundMessage():
                self.inbound.append(self._inbound(record, place))
            case ConsentChange():
                self.consent.append(self._consent(record, place))
            case DeadLetter():
                self._letter(record, place)

    def _status(self, r: ProviderStatus, place: Place) -> t.StatusEvent:
        return t.StatusEvent(
            notification_id=r.notification_id or "",
            attempt=r.attempt or 0,
            message_sid=r.message_sid,
            event_id=r.event_id,
            provider=r.provider,
            account_sid=r.account_sid,
            status=r.status,
            error_code=r.error_code or 0,
            channel=r.channel.value,
            sender=r.sender or "",
            recipient_hash=self._hash(r.recipient) if r.recipient else "",
            recipient_last2=_last2(r.recipient),
            country=_country(r.recipient),
            source=r.source,
            carrier_done_at=r.raw_dlr_done_date or "",
            segments=r.segments or 0,
            price=_amount(r.price),
            price_unit=r.price_unit or "",
            received_at=_possible(r.received_at),
            kafka_topic=place.topic,
            kafka_partition=place.partition,
            kafka_offset=place.offset,
        )

    def _attempt(self, r: AttemptEvent, place: Place) -> t.Attempt:
        return t.Attempt(
            notification_id=r.notification_id,
            attempt=r.attempt,
            command_id=r.command_id,
            tenant=r.tenant,
            sender=r.sender,
            result=r.result.value,
            message_sid=r.sid or "",
            status=r.status or "",
            error_code=r.error_code or 0,
            error_class=r.error_class.value if r.error_class else "",
            detail=without_numbers(r.detail or ""),
            request_id=r.request_id or "",
            latency_ms=r.latency_ms,
            at=_possible(r.at),
            kafka_topic=place.topic,
            kafka_partition=place.partition,
            kafka_offset=place.offset,
        )

    def _request(self, r: NotificationRequest, place: Place) -> t.Request:
        return t.Request(
            notification_id=r.notification_id,
            tenant=r.tenant,
            idempotency_key=without_number_of(r.idempotency_key, r.recipient),
            recipient_hash=self._hash(r.recipient) if r.recipient else "",
            recipient_last2=_last2(r.recipient),
            country=r.country,
            carrier=r.carrier,
            carrier_source=r.carrier_source,
            channels=tuple(channel.value for channel in r.channels),
            body_chars=len(r.steps[0].body or "") if r.steps else 0,
            content_sid=next((step.content_sid for step in r.steps if step.content_sid), ""),
            media_count=len(r.steps[0].media_urls) if r.steps else 0,
            category=r.category.value,
            priority=r.priority.value,
            send_at=_possible(r.send_at) if r.send_at is not None else None,
            expires_at=_possible(r.expires_at) if r.expires_at is not None else None,
            sender=(r.steps[0].sender or "") if r.steps else "",
            metadata=_labels(r.metadata, r.recipient),
            refusal=r.refusal or "",
            refusal_detail=without_numbers(r.refusal_detail or ""),
            requested_at=_possible(r.requested_at),
            origin_topic=r.origin.topic,
            origin_partition=r.origin.partition,
            origin_offset=r.origin.offset,
            kafka_topic=place.topic,
            kafka_partition=place.partition,
            kafka_offset=place.offset,
        )

    def _inbound(self, r: InboundMessage, place: Place) -> t.Inbound:
        return t.Inbound(
            tenant=r.tenant,
            message_sid=r.message_sid,
            provider=r.provider,
            account_sid=r.account_sid,
            channel=r.channel.value,
            sender=r.sender,
            recipient_hash=self._hash(r.recipient) if r.recipient else "",
            recipient_last2=_last2(r.recipient),
            country=_country(r.recipient),
            body_chars=len(r.body),
            media_count=len(r.media),
            opt_out_type=r.opt_out_type or "",
            received_at=_possible(r.received_at),
            kafka_topic=place.topic,
            kafka_partition=place.partition,
            kafka_offset=place.offset,
        )

    def _consent(self, r: ConsentChange, place: Place) -> t.Consent:
        return t.Consent(
            recipient_hash=self._hash(r.recipient) if r.recipient else "",
            tenant=r.tenant,
            channel_group=r.channel_group.value,
            change_id=r.change_id,
            recipient_last2=_last2(r.recipient),
            country=_country(r.recipient),
            sender=r.sender,
            state=r.state.value,
            source=r.source,
            evidence=without_number_of(r.evidence or "", r.recipient),
            at=_possible(r.at),
            kafka_topic=place.topic,
            kafka_partition=place.partition,
            kafka_offset=place.offset,
        )

    def _letter(self, r: DeadLetter, place: Place) -> None:
        key = (r.key or b"").decode(errors="replace")
        found = t.Letter(
            stage=r.stage,
            topic=r.topic,
            partition=r.partition,
            offset=r.offset,
            reason=r.reason,
            detail=without_numbers(r.detail),
            notification_id=key if _A_NOTIFICATION.fullmatch(key) else "",
            key_bytes=len(r.key or b""),
            value_bytes=len(r.value or b""),
            at=_possible(r.at),
            kafka_topic=place.topic,
            kafka_partition=place.partition,
            kafka_offset=place.offset,
        )
        about = (r.stage, r.topic, r.partition, r.offset)
        known = self.letters.get(about)
        if known is None or known.kafka_offset < found.kafka_offset:
            self.letters[about] = found
        if r.stage == STAGE:
            self.given_up.setdefault(Place(r.topic, r.partition, r.offset), []).append(r)

    def _outcome(self, r: NotificationOutcome) -> None:
        # First all of it: an outcome with one time that cannot be lands nowhere.
        messages = [
            t.Message(
                notification_id=r.notification_id,
                attempt=a.attempt,
                version=r.version,
                tenant=r.tenant,
                channel=a.channel.value,
                sender=a.sender,
                message_sid=a.sid or "",
                status=a.status,
                error_code=a.error_code or 0,
                error_class=a.error_class.value if a.error_class else "",
                segments=a.segments,
                recipient_hash=self._hash(r.recipient) if r.recipient else "",
                recipient_last2=_last2(r.recipient),
                country=r.country,
                carrier=r.carrier,
                carrier_source=r.carrier_source,
                category=r.category,
                priority=r.priority,
                requested_at=_possible(r.requested_at),
                commanded_at=_possible(a.commanded_at),
                accepted_at=_possible(a.accepted_at) if a.accepted_at is not None else None,
                sent_at=_possible(a.sent_at) if a.sent_at is not None else None,
                delivered_at=_possible(a.delivered_at) if a.delivered_at is not None else None,
                ended_at=_possible(a.ended_at) if a.ended_at is not None else None,
                updated_at=_possible(r.updated_at),
            )
            for a in r.attempts
        ]
        notification = t.Notification(
            notification_id=r.notification_id,
            version=r.version,
            tenant=r.tenant,
            idempotency_key=without_number_of(r.idempotency_key, r.recipient),
            state=r.state.value,
            final=r.final,
            reason=r.reason or "",
            detail=without_numbers(r.detail or ""),
            recipient_hash=self._hash(r.recipient) if r.recipient else "",
            recipient_last2=_last2(r.recipient),
            country=r.country,
            carrier=r.carrier,
            carrier_source=r.carrier_source,
            category=r.category,
            priority=r.priority,
            attempts=len(r.attempts),
            segments=sum(a.segments for a in r.attempts),
            duplicates=r.duplicates,
            conflicts_with=r.conflicts_with or "",
            metadata=_labels(r.metadata, r.recipient),
            requested_at=_possible(r.requested_at),
            updated_at=_possible(r.updated_at),
        )
        for message in messages:
            standing = self.messages.get((message.notification_id, message.attempt))
            if standing is None or standing.version < message.version:
                self.messages[message.notification_id, message.attempt] = message
        known = self.notifications.get(r.notification_id)
        if known is None or known.version < r.version:
            self.notifications[r.notification_id] = notification
        if r.state.value in _WITH_A_CARRIER and r.recipient:
            self.sends[r.notification_id] = t.Send(
                person=sip_hash(notification.recipient_hash.encode()),
                notification_id=r.notification_id,
                tenant=r.tenant,
                requested_at=r.requested_at,
                campaign=notification.metadata.get("campaign", ""),
                category=r.category,
                country=r.country,
            )
        self.history[r.notification_id, r.version, r.updated_at] = t.History(
            notification_id=r.notification_id,
            version=r.version,
            state=r.state.value,
            final=r.final,
            reason=r.reason or "",
            detail=without_numbers(r.detail or ""),
            updated_at=r.updated_at,
        )


def _possible(at: int) -> int:
    if not _YEAR_2000_MS <= at < _YEAR_2100_MS:
        raise _Unreadable
    return at


def _last2(number: str | None) -> str:
    return number[-2:] if number else ""


@lru_cache(100_000)
def _country(number: str | None) -> str:
    if not number:
        return "ZZ"
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return "ZZ"
    return region if region and region != "001" else "ZZ"


def _amount(told: str | None) -> Decimal | None:
    try:
        amount = Decimal(told) if told is not None else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() and abs(amount) < 10**12 else None


def _labels(metadata: dict[str, str], recipient: str) -> dict[str, str]:
    return {without_number_of(k, recipient): without_number_of(v, recipient) for k, v in metadata.items()}
