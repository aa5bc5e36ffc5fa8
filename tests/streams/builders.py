"""Whole, valid events of one notification, to be changed where a test cares, and that notification.

All times are milliseconds counted from T0, so that a test reads `at=20` and not an epoch.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from schemas.identity import command_id, notification_id
from schemas.records import (
    AdmissionCheck,
    AdmissionVerdict,
    AttemptEvent,
    ConsentChange,
    NotificationOutcome,
    NotificationRequest,
    Origin,
    OutboundCommand,
    ProviderStatus,
    Record,
    Step,
    TimerTick,
)
from schemas.vocabulary import (
    Category,
    Channel,
    CommandKind,
    CommandResult,
    NotificationState,
    Priority,
    Verdict,
)
from streams.delivery import DeliveryPolicy, Event, decide
from streams.delivery.attempt import AttemptState
from streams.delivery.row import NotificationRow
from streams.delivery.view import Standing, outcome, standing, view_of
from streams.effects import Emit

T0 = 1_790_000_000_000
TENANT = "acme"
KEY = "order-1"
NID = notification_id(TENANT, KEY)
RECIPIENT = "+4915123456789"
SENDER = "+14155550100"
POLICY = DeliveryPolicy(
    default_sender=SENDER,
    max_attempts=3,
    settle_ms=40,
    retry_base_ms=1_000,
    command_ttl_ms=100_000,
    admission_again_ms=500,
    quiet_after_ms=10_000,
    unconfirmed_after_ms=300_000,
)
TWO_CHANNELS: dict[str, Any] = {"channels": (Channel.WHATSAPP, Channel.SMS)}
R = TypeVar("R", bound=Record)


def sid(attempt: int = 1) -> str:
    return f"SM{attempt:032x}"


def request(offset: int = 0, **changes: Any) -> NotificationRequest:
    values: dict[str, Any] = {
        "notification_id": NID,
        "tenant": TENANT,
        "idempotency_key": KEY,
        "content_hash": "c0",
        "origin": Origin(topic="notify.requested", partition=0, offset=offset),
        "requested_at": T0,
        "recipient": RECIPIENT,
        "country": "DE",
        "category": Category.TRANSACTIONAL,
        "priority": Priority.NORMAL,
    }
    channels = changes.pop("channels", (Channel.SMS,))
    parts = ("body", "sender", "media_urls", "segments", "content_sid", "content_variables", "wait_ms")
    content = {name: changes.pop(name) for name in parts if name in changes}
    steps = tuple(Step(channel=channel, **({"body": "hello"} | content)) for channel in channels)
    values |= {"steps": changes.pop("steps", steps), "channels": channels}
    return NotificationRequest(**(values | changes))


def chain(*steps: Step) -> dict[str, Any]:
    """What a request of these steps has to be built with."""
    return {"steps": steps, "channels": tuple(step.channel for step in steps)}


def policy(**changes: Any) -> DeliveryPolicy:
    return msgspec.structs.replace(POLICY, **changes)


def verdict(
    attempt: int = 1,
    verdict: Verdict = Verdict.ADMIT,
    reason: str | None = None,
    at: int = 0,
    **changes: Any,
) -> AdmissionVerdict:
    return AdmissionVerdict(
        notification_id=NID, attempt=attempt, verdict=verdict, reason=reason, decided_at=T0 + at, **changes
    )


def suppress(attempt: int = 1) -> AdmissionVerdict:
    return verdict(attempt, Verdict.SUPPRESS, "opted-out")


def result(what: CommandResult, attempt: int = 1, at: int = 10, **changes: Any) -> AttemptEvent:
    """What the sink says of the attempt's send; an acceptance names the message."""
    values: dict[str, Any] = {
        "notification_id": NID,
        "attempt": attempt,
        "command_id": command_id(NID, attempt),
        "tenant": TENANT,
        "sender": SENDER,
        "result": what,
        "at": T0 + at,
    }
    if what is CommandResult.ACCEPTED:
        values |= {"sid": sid(attempt), "status": "queued"}
    return AttemptEvent(**(values | changes))


def rejected(code: int | None, attempt: int = 1, at: int = 10) -> AttemptEvent:
    return result(CommandResult.REJECTED, attempt, at, error_code=code)


def callback(status: str, attempt: int = 1, at: int = 20, **changes: Any) -> ProviderStatus:
    values: dict[str, Any] = {
        "event_id": f"{attempt}:{status}",
        "provider": "twilio",
        "account_sid": "AC" + "0" * 32,
        "message_sid": sid(attempt),
        "notification_id": NID,
        "attempt": attempt,
        "status": status,
        "channel": Channel.SMS,
        "received_at": T0 + at,
        "source": "callback",
    }
    return ProviderStatus(**(values | changes))


def undelivered(code: int | None, attempt: int = 1, at: int = 20) -> ProviderStatus:
    return callback("undelivered", attempt, at, error_code=code)


class Story:
    """One notification and everything that was written about it. `feed` is one event, at a broker time."""

    def __init__(self, policy: DeliveryPolicy = POLICY) -> None:
        self.policy = policy
        self.row: NotificationRow = NotificationRow()
        self.effects: list[Emit] = []
        self.clock = 0

    def feed(self, *events: Event, at: int | None = None) -> tuple[Emit, ...]:
        """Each event 1 ms after the one before, or all at `at`. Returns what they caused."""
        caused: list[Emit] = []
        for event in events:
            self.clock = self.clock + 1 if at is None else at
            row, effects = decide(self.row, event, T0 + self.clock, self.policy)
            self.row = row or NotificationRow()
            caused += effects
        self.effects += caused
        return tuple(caused)

    def tick(self) -> tuple[Emit, ...]:
        """Let the deadline come."""
        due_at = self.row.due_at
        assert due_at is not None, "there is no deadline to come"
        tick = TimerTick(notification_id=NID, due_at=due_at, fired_at=due_at)
        return self.feed(tick, at=due_at - T0)

    def settle(self) -> tuple[Emit, ...]:
        """Let the time pass in which news of an end may still cross each other."""
        last = self.row.last
        end = last.bad_end if last is not None else None
        assert end is not None, "nothing has ended badly"
        assert self.row.due_at == end.at + self.policy.settle_ms
        return self.tick()

    def to_the_end(self) -> None:
        """Let deadlines come until nothing more is expected of it."""
        for _ in range(50):
            if self.state.final:
                return
            self.tick()
        raise AssertionError(f"it never ends: {self.stands}")

    def next_attempt(self) -> int:
        """Let deadlines come until another attempt has begun, and admit it. Returns its number."""
        number = len(self.row.attempts) + 1
        while len(self.row.attempts) < number:
            assert not self.state.final, f"it ended as {self.stands} without another attempt"
            self.tick()
        self.feed(verdict(number, at=self.clock))
        return number

    @property
    def stands(self) -> Standing:
        return standing(self.row)

    @property
    def state(self) -> NotificationState:
        return standing(self.row).state

    def attempt(self, number: int = 1) -> AttemptState:
        return self.row.attempts[number - 1]

    def written(self, record_type: type[R]) -> list[R]:
        return of(record_type, tuple(self.effects))

    def commands(self, kind: CommandKind = CommandKind.SEND) -> list[OutboundCommand]:
        return [each for each in self.written(OutboundCommand) if each.kind is kind]

    def outcomes(self) -> list[NotificationOutcome]:
        return self.written(NotificationOutcome)


def of(record_type: type[R], effects: tuple[Emit, ...]) -> list[R]:
    return [effect.record for effect in effects if isinstance(effect.record, record_type)]


def requested(policy: DeliveryPolicy = POLICY, **changes: Any) -> Story:
    """A story whose request has come and whose first check is asked."""
    story = Story(policy)
    story.feed(request(**changes))
    return story


def commanded(policy: DeliveryPolicy = POLICY, **changes: Any) -> Story:
    """A story whose first send is with the sink."""
    story = requested(policy, **changes)
    story.feed(verdict())
    return story


def accepted(policy: DeliveryPolicy = POLICY, **changes: Any) -> Story:
    """A story whose first send the provider took."""
    story = commanded(policy, **changes)
    story.feed(result(CommandResult.ACCEPTED))
    return story


def checks(effects: tuple[Emit, ...]) -> list[AdmissionCheck]:
    return of(AdmissionCheck, effects)


def consent(effects: tuple[Emit, ...]) -> list[ConsentChange]:
    return of(ConsentChange, effects)


def outcome_of(row: NotificationRow) -> NotificationOutcome | None:
    """The outcome as the row has it, or None while only callbacks have come."""
    return None if row.request is None else outcome(row.request, row, view_of(row))
