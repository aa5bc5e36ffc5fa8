"""What is written, from a seed: whole stories of notifications, and all that comes besides them, mixed.

Guarantees: the same seed and base give the same records in the same order, whatever reads them. A story's
events come late, twice and out of order; two prices of one message are never told at one time, and the same
version of an outcome is the same outcome, as the pipeline guarantees.
"""

from __future__ import annotations

import heapq
import math
import random
import uuid
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import NamedTuple

import msgspec

from schemas.codec import Codec
from schemas.identity import command_id
from schemas.records import (
    AttemptEvent,
    AttemptSummary,
    ConsentChange,
    DeadLetter,
    InboundMessage,
    Media,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    ProviderStatus,
    Record,
    Step,
)
from schemas.topics import Topic
from schemas.vocabulary import (
    Category,
    Channel,
    CommandResult,
    Consent,
    ConsentGroup,
    ErrorClass,
    NotificationState,
    Priority,
)
from tests.analytics.chaos.lookups import LookUps
from tests.analytics.chaos.poison import poisoned
from tests.analytics.chaos.tables import LookedUp
from tests.analytics.chaos.terms import SPREAD_DAYS

S = NotificationState
_TENANTS = ("acme", "beta", "gamma")
_SENDERS = (*(f"+141555501{number:02}" for number in range(3)), "MG" + "5e" * 16)
_ACCOUNT = "AC" + "ab" * 16
# The start of a number, how many digits follow, its country as intake tells it, and carriers there.
_COUNTRIES = (
    ("+4915", 9, "DE", ("Telekom", "Vodafone", "unknown")),
    ("+1415555", 4, "US", ("T-Mobile", "Verizon", "AT&T")),
    ("+447", 9, "GB", ("EE", "Three")),
    ("+336", 8, "FR", ("Orange", "SFR")),
    ("+5215", 9, "MX", ("Telcel",)),
    ("+9990", 8, "ZZ", ("unknown",)),
)
_PEOPLE = 20_000
_BAD_CODES = ((30003, ErrorClass.TRANSIENT), (30005, ErrorClass.BAD_NUMBER), (30007, ErrorClass.FILTERED))
# What becomes of attempts that the provider did not take, or of which nobody knows whether it did.
_UNTAKEN = {
    "held": (CommandResult.HELD, S.UNCONFIRMED),
    "rejected": (CommandResult.REJECTED, S.FAILED),
    "suppressed": (CommandResult.SUPPRESSED, S.SUPPRESSED),
    "not_admitted": (CommandResult.SUPPRESSED, S.SUPPRESSED),
    "expired": (CommandResult.EXPIRED, S.EXPIRED),
    "absent": (CommandResult.ABSENT, S.FAILED),
}
# Most come soon; some so many stories later.
_SOON, _LATE, _VERY_LATE = 3.0, 60.0, 600.0
# Poison comes in every so manyth stretch of stories, and there in one story of three: most batches have none.
_EVERY, _ONE_OF = 4, 3
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
# Notifications are asked for in these hours only: what is counted by the hour has something to count.
_BUSY_HOURS = (8, 9, 17)


class Planned(NamedTuple):
    """A record to be written. `poison` says why nobody can read it; empty for all others."""

    topic: Topic
    key: str
    value: bytes | None
    poison: str = ""


class _Due(NamedTuple):
    at: float
    number: int
    record: Planned


def planned(
    seed: int,
    events: int,
    base_ms: int,
    codec: Codec,
    tell: Callable[[LookedUp], None] = lambda told: None,
) -> Iterator[Planned]:
    """So many records, in the order to write them; `tell` gets what is looked up meanwhile, all of it before
    the end. Raises RegistryUnavailable.
    """
    look_ups = LookUps(tell, late=events / 100)
    yield from islice(_records(random.Random(seed), events, base_ms, codec, look_ups), events)
    look_ups.until(math.inf)


def _records(
    chance: random.Random, events: int, base_ms: int, codec: Codec, look_ups: LookUps
) -> Iterator[Planned]:
    story = _Stories(chance, base_ms, codec, look_ups, stretch=max(50, events // 250))
    waiting: list[_Due] = []
    number = count()
    written = 0
    for now in count():
        for delay, record in story.next(now):
            heapq.heappush(waiting, _Due(now + delay, next(number), record))
        look_ups.until(now)
        while waiting and waiting[0].at <= now:
            yield heapq.heappop(waiting).record
            written += 1
        if written + len(waiting) >= events:
            # What is late comes now, in its order: a story is cut short as the topic's end would.
            yield from (due.record for due in sorted(waiting))
            return


class _Stories:
    def __init__(
        self, chance: random.Random, base_ms: int, codec: Codec, look_ups: LookUps, stretch: int
    ) -> None:
        self._chance, self._base, self._codec, self._look_ups = chance, base_ms, codec, look_ups
        self._stretch = stretch
        self._people = [self._person() for _ in range(_PEOPLE)]
        self._found: list[tuple[float, Planned]] = []

    def next(self, number: int) -> list[tuple[float, Planned]]:
        """The records of one notification and of what happens beside it, each with its delay in stories."""
        self._found = []
        chance = self._chance
        self._notification(number)
        if chance.random() < 0.35:
            self._nobodys()
        if chance.random() < 0.35:
            self._inbound()
        if chance.random() < 0.25:
            self._consent()
        if chance.random() < 0.15:
            self._dead_letter(number)
        if number // self._stretch % _EVERY == 1 and number % _ONE_OF == 0:
            # By topic first, or the rare ones would be spared.
            topic = chance.choice(sorted({record.topic for _, record in self._found}))
            victim = chance.choice([record for _, record in self._found if record.topic is topic])
            if victim.value is not None:
                value, why = poisoned(chance, victim.topic, victim.value, self._codec)
                self._write(Planned(victim.topic, victim.key, value, why))
        return self._found

    def _write(self, record: Planned) -> None:
        chance = self._chance.random()
        longest = _SOON if chance < 0.9 else _LATE if chance < 0.99 else _VERY_LATE
        self._found.append((self._chance.random() * longest, record))

    def _put(self, topic: Topic, key: str, record: Record, copies: float = 0.0) -> None:
        planned = Planned(topic, key, self._codec.encode(topic, record))
        self._write(planned)
        while self._chance.random() < copies:
            self._write(planned)

    def _notification(self, number: int) -> None:
        chance = self._chance
        recipient, country, carrier = chance.choice(self._people)
        tenant = chance.choice(_TENANTS)
        notification = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        idempotency_key = f"order-{number}" if chance.random() < 0.9 else f"{number} for {recipient}"
        source = "unknown" if carrier == "unknown" else chance.choice(("prefix", "lookup"))
        category, priority = chance.choice(tuple(Category)), chance.choice(tuple(Priority))
        metadata = {"campaign": chance.choice(("spring", "Frühling", "none"))}
        if chance.random() < 0.1:
            metadata["to"] = f"({recipient[1:4]}) {recipient[4:]}"
        day = self._base - chance.randrange(1, SPREAD_DAYS) * _DAY_MS
        requested = day + chance.choice(_BUSY_HOURS) * _HOUR_MS + chance.randrange(_HOUR_MS)
        refused = chance.random() < 0.03
        self._look_ups.request(notification, requested, number)
        self._put(
            Topic.REQUESTS,
            notification,
            NotificationRequest(
                notification_id=notification,
                tenant=tenant,
                idempotency_key=idempotency_key,
                content_hash="c" * 64,
                origin=Origin(topic="notify.requested", partition=number % 12, offset=number),
                requested_at=requested,
                recipient=recipient,
                country=country,
                carrier=carrier,
                carrier_source=source,
                channels=(Channel.SMS,) if number % 3 else (Channel.WHATSAPP, Channel.SMS),
                steps=()
                if refused
                else (Step(channel=Channel.SMS, body="Your code is " + "x" * (number % 90)),),
                category=category,
                priority=priority,
                send_at=requested + 60_000 if number % 7 == 0 else None,
                metadata=metadata,
                refusal="bad-recipient" if refused else None,
                refusal_detail=f"{recipient} is no mobile number" if refused else None,
            ),
            copies=0.02,
        )
        state, version, at = S.INVALID if refused else S.REQUESTED, 1, requested

        def tell(state: NotificationState, attempts: tuple[AttemptSummary, ...], reason: str = "") -> None:
            nonlocal version
            outcome = NotificationOutcome(
                notification_id=notification,
                version=version,
                tenant=tenant,
                idempotency_key=idempotency_key,
                content_hash="c" * 64,
                state=state,
                final=state.final,
                reason=reason or None,
                detail=f"the carrier said no to {recipient}" if reason else None,
                recipient=recipient,
                country=country,
                carrier=carrier,
                carrier_source=source,
                category=category.value,
                priority=priority.value,
                requested_at=requested,
                updated_at=at,
                duplicates=number % 5 if version > 1 else 0,
                attempts=attempts,
                metadata=metadata,
            )
            version += chance.choice((1, 1, 1, 2))
            self._put(Topic.OUTCOMES, notification, outcome, copies=0.15)

        tell(state, (), "bad-recipient" if refused else "")
        if refused:
            return
        done: tuple[AttemptSummary, ...] = ()
        for attempt in (1, 2):
            at += chance.randrange(1, 20_000)
            last, state = self._attempt(notification, tenant, recipient, attempt, at)
            if chance.random() < 0.5:
                started = AttemptSummary(
                    attempt=attempt,
                    channel=last.channel,
                    sender=last.sender,
                    status="sending",
                    segments=last.segments,
                    commanded_at=last.commanded_at,
                )
                tell(S.SENDING, (*done, started))
            at = max(at, last.ended_at or last.sent_at or at) + 1
            done = (*done, last)
            again = attempt == 1 and state is S.UNDELIVERED and chance.random() < 0.5
            if not again:
                bad = state not in (S.SENT, S.DELIVERED, S.READ)
                tell(state, done, f"error-{last.error_code or 'none'}" if bad else "")
                return

    def _attempt(
        self, notification: str, tenant: str, recipient: str, attempt: int, commanded: int
    ) -> tuple[AttemptSummary, NotificationState]:
        """What the provider and the sink tell of one attempt; its summary and the state it leaves."""
        chance = self._chance
        sender, segments = chance.choice(_SENDERS), chance.choice((1, 1, 2, 3))
        sid = f"SM{chance.getrandbits(128):032x}"
        code, error_class = chance.choice(_BAD_CODES)
        accepted_at = commanded + chance.randrange(20, 900)
        fate = chance.choices(
            ("delivered", "read", "undelivered", "failed", "sent", "unheard-of", *_UNTAKEN),
            (60, 8, 12, 4, 8, 1, *(1 for _ in _UNTAKEN)),
        )[0]

        def told(result: CommandResult, at: int) -> None:
            event = AttemptEvent(
                notification_id=notification,
                attempt=attempt,
                command_id=command_id(notification, attempt),
                tenant=tenant,
                sender=sender,
                result=result,
                sid=sid if result is CommandResult.ACCEPTED else None,
                status="queued" if result is CommandResult.ACCEPTED else None,
                error_code=code if result is CommandResult.REJECTED else None,
                error_class=error_class if result is CommandResult.REJECTED else None,
                detail=f"no answer for {recipient}" if result is CommandResult.IN_DOUBT else None,
                latency_ms=at - commanded,
                at=at,
            )
            self._put(Topic.ATTEMPTS, notification, event, copies=0.03)

        def summary(status: str, **ends: int | None) -> AttemptSummary:
            bad = status in ("undelivered", "failed", "rejected")
            return AttemptSummary(
                attempt=attempt,
                channel=Channel.SMS,
                sender=sender,
                sid=sid if accepted else None,
                status=status,
                error_code=code if bad else None,
                error_class=error_class if bad else None,
                segments=segments,
                commanded_at=commanded,
                accepted_at=accepted_at if accepted else None,
                **ends,
            )

        accepted = fate not in _UNTAKEN
        if not accepted:
            result, state = _UNTAKEN[fate]
            told(result, accepted_at)
            return summary(fate, ended_at=accepted_at), state
        if chance.random() < 0.1:
            told(CommandResult.IN_DOUBT, accepted_at)
        told(CommandResult.ACCEPTED, accepted_at)
        words = ["queued", "sent"] if chance.random() < 0.8 else ["queued", "sending", "sent"]
        words += ["delivered"] if fate == "read" else []
        words += [] if fate == "sent" else [fate]
        if fate == "failed":
            words = ["queued", "failed"]
        times, at = dict[str, int](), accepted_at
        for word in words:
            at += chance.randrange(1, 30_000)
            times[word] = at
            is_last, bad = word == words[-1], word in ("undelivered", "failed")
            status = ProviderStatus(
                event_id=f"{chance.getrandbits(128):032x}",
                provider="twilio",
                account_sid=_ACCOUNT,
                message_sid=sid,
                notification_id=notification,
                attempt=attempt,
                status=word,
                error_code=code if bad else None,
                channel=Channel.SMS,
                recipient=recipient,
                sender=sender,
                received_at=at,
                source="callback",
                raw_dlr_done_date="2611211230" if word == "delivered" else None,
                segments=segments if is_last else None,
                price=chance.choice(("-0.00790", "-0.0083", "n/a", "0.1")) if is_last else None,
                price_unit="USD" if is_last else None,
                parameters={"MessageSid": sid, "MessageStatus": word, "To": recipient, "From": sender},
            )
            self._put(Topic.STATUS, notification, status, copies=0.12)
            if chance.random() < 0.04:
                # The provider told it twice: the same event at another time.
                later = msgspec.structs.replace(status, received_at=at + chance.randrange(1, 5_000))
                self._put(Topic.STATUS, notification, later)
            if is_last and chance.random() < 0.1:
                at += chance.randrange(1, 86_400_000)
                self._poll(notification, status, at)
        sent_at = times.get("sent")
        good_at = times.get("delivered", times.get("read"))
        ended = {"undelivered": S.UNDELIVERED, "failed": S.FAILED, "read": S.READ, "delivered": S.DELIVERED}
        state = ended.get(fate, S.SENT)
        ends = {"sent_at": sent_at, "delivered_at": good_at, "ended_at": at if fate in ended else None}
        if chance.random() < 0.02:
            # Its `sent` was never heard of, or came after its end.
            ends["sent_at"] = None if chance.random() < 0.5 else at + 5_000
        return summary(fate, **ends), state

    def _poll(self, key: str, of: ProviderStatus, at: int) -> None:
        """Asked later, the provider tells the price as it was billed."""
        asked = msgspec.structs.replace(
            of,
            event_id=f"{self._chance.getrandbits(128):032x}",
            source="poll",
            price="-0.0091",
            # Behind every copy of the callback: a price told later must not hang on which copy is looked at.
            received_at=at + 10_000,
            parameters={},
        )
        self._put(Topic.STATUS, key, asked, copies=0.1)

    def _nobodys(self) -> None:
        """A status of a message that this pipeline did not send."""
        chance = self._chance
        sid = f"MM{chance.getrandbits(128):032x}"
        recipient = chance.choice(self._people)[0] if chance.random() < 0.7 else None
        status = ProviderStatus(
            event_id=f"{chance.getrandbits(128):032x}",
            provider="twilio",
            account_sid=_ACCOUNT,
            message_sid=sid,
            status=chance.choice(("sent", "delivered", "receiving", "accepted")),
            channel=chance.choice(tuple(Channel)),
            recipient=recipient,
            received_at=self._time(),
            source="callback",
            parameters={"MessageSid": sid, "Körper": "ja"},
        )
        self._put(Topic.STATUS, sid, status, copies=0.1)

    def _inbound(self) -> None:
        chance = self._chance
        recipient, _, _ = chance.choice(self._people)
        words = chance.choice(("STOP", "yes please", "Grüße, wann kommt es?", ""))
        record = InboundMessage(
            provider="twilio",
            account_sid=_ACCOUNT,
            message_sid=f"SM{chance.getrandbits(128):032x}",
            tenant=chance.choice((*_TENANTS, "*")),
            recipient=recipient,
            sender=chance.choice(_SENDERS),
            channel=Channel.SMS,
            body=words,
            media=(Media(url="https://example.com/a.png", content_type="image/png"),) * chance.randrange(3),
            opt_out_type="STOP" if words == "STOP" else None,
            received_at=self._time(),
            parameters={"Body": words, "From": recipient},
        )
        self._put(Topic.INBOUND, recipient, record, copies=0.05)

    def _consent(self) -> None:
        chance = self._chance
        # Few people, so that many change their mind, now and then twice in a millisecond.
        recipient, _, _ = self._people[chance.randrange(500)]
        at = self._time()
        change = ConsentChange(
            change_id=f"{chance.getrandbits(64):016x}",
            tenant=chance.choice(_TENANTS),
            recipient=recipient,
            channel_group=chance.choice(tuple(ConsentGroup)),
            sender=chance.choice(_SENDERS),
            state=chance.choice(tuple(Consent)),
            source=chance.choice(("inbound", "import")),
            words="STOP",
            evidence=f"import of {recipient}.csv" if chance.random() < 0.2 else None,
            at=at - at % 600_000 if chance.random() < 0.3 else at,
        )
        self._put(Topic.CONSENT_CHANGES, recipient, change, copies=0.05)

    def _dead_letter(self, number: int) -> None:
        """Of another stage; a crash there writes it again, with a later time."""
        chance = self._chance
        recipient, _, _ = chance.choice(self._people)
        by_id = chance.random() < 0.5
        key = str(uuid.UUID(int=chance.getrandbits(128), version=4)) if by_id else recipient
        place = Topic.NOTIFY_REQUESTED.value, number % 12
        for copy in range(2 if chance.random() < 0.2 else 1):
            letter = DeadLetter(
                stage="streams.intake",
                reason="not-avro",
                detail=f"expected a NotifyRequest; got {recipient} in 2 parts of 17 bytes",
                topic=place[0],
                partition=place[1],
                offset=number,
                key=key.encode(),
                value=None if chance.random() < 0.1 else b"not avro",
                at=self._base - number % _DAY_MS + copy * 1_000 - _DAY_MS,
            )
            self._put(Topic.DEAD_LETTERS, f"{place[0]}:{place[1]}", letter)

    def _time(self) -> int:
        return self._base - self._chance.randrange(SPREAD_DAYS * _DAY_MS)

    def _person(self) -> tuple[str, str, str]:
        """A number, its country and carrier."""
        start, digits, country, carriers = self._chance.choice(_COUNTRIES)
        number = start + "".join(str(self._chance.randrange(10)) for _ in range(digits))
        return number, country, self._chance.choice(carriers)
