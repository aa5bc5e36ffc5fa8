"""One partition judged: what each processor must have written, given what it read. Runs in a child process.

Every record it returns is a digest of topic, key and bytes: what is compared is what stands in Kafka, byte
for byte. Leaves to `verdict`: the comparison.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple, TypeVar

import msgspec

from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.errors import WireError
from schemas.identity import command_id
from schemas.records import (
    AdmissionCheck,
    AdmissionVerdict,
    AttemptEvent,
    ConsentChange,
    DeliveryEvidence,
    InboundMessage,
    NotificationRequest,
    NotifyRequest,
    Origin,
    OutboundCommand,
    ProviderStatus,
    Record,
    TimerTick,
)
from schemas.topics import Topic
from schemas.vocabulary import CommandKind, Priority, Verdict
from streams import delivery, recipients
from streams.delivery.row import NotificationRow
from streams.delivery.view import standing
from streams.effects import Emit
from streams.intake import Unidentifiable, normalise
from streams.state import RecipientRow
from streams.store.rows import RowCodec
from tests.streams.chaos.outside import Place
from tests.streams.chaos.reading import Reader
from tests.streams.chaos.replay import Explained, Input, Stepped, explain
from tests.streams.chaos.terms import DELIVERY, INTAKE, POLICIES

R = TypeVar("R", NotificationRow, RecipientRow)
Digest = bytes
_MOST_AGAIN = 4
OF_DELIVERY: Mapping[Topic, type[Record]] = {
    Topic.REQUESTS: NotificationRequest,
    Topic.VERDICTS: AdmissionVerdict,
    Topic.ATTEMPTS: AttemptEvent,
    Topic.STATUS: ProviderStatus,
    Topic.TIMERS: TimerTick,
}
OF_RECIPIENTS: Mapping[Topic, type[Record]] = {
    Topic.INBOUND: InboundMessage,
    Topic.CHECKS: AdmissionCheck,
    Topic.CONSENT_EVIDENCE: ConsentChange,
    Topic.DELIVERY_EVIDENCE: DeliveryEvidence,
}
WRITTEN = (
    Topic.REQUESTS,
    Topic.VERDICTS,
    Topic.CONSENT_CHANGES,
    Topic.CHECKS,
    Topic.CONSENT_EVIDENCE,
    Topic.DELIVERY_EVIDENCE,
    Topic.OUTCOMES,
    *(Topic.commands(lane) for lane in Priority),
)


class Server(NamedTuple):
    """Where the topics and their schemas are."""

    kafka: Kafka
    registry: str


class Expected(NamedTuple):
    """What must be in the outputs because of one partition's inputs.

    `strange` says what no decision explains. `late`: notifications that were not read in the order of their
    records' times; `differing`: those of them that would stand otherwise, had they been.
    """

    written: Counter[Digest]
    unreadable: dict[Place, bytes | None]
    strange: list[str]
    keys: int = 0
    rows: int = 0
    again: int = 0
    late: int = 0
    differing: int = 0
    ticks_twice: int = 0


class Outputs(NamedTuple):
    """Digests of all that stands in the outputs; those of commands also by the notification they are of."""

    digests: frozenset[Digest]
    commands: Mapping[str, frozenset[Digest]]


class _Known:
    """Of each process of the verdict one."""

    outputs = Outputs(frozenset(), {})


class Written(NamedTuple):
    """What stands in one partition of the outputs. Sends and admissions are told by command id, all commands
    by notification."""

    found: dict[Digest, list[Place]]
    sends: Counter[str]
    admitted: frozenset[str]
    commands: dict[str, set[Digest]]


def digest(topic: str, key: bytes, value: bytes | None) -> Digest:
    hashed = hashlib.blake2b(digest_size=16)
    for part in (topic.encode(), key, value or b""):
        hashed.update(len(part).to_bytes(4, "big"))
        hashed.update(part)
    return hashed.digest()


@cache
def _codec(registry: str) -> Codec:
    """One of each process, for as long as it lives."""
    return Codec(registry)


@cache
def _reader(kafka: Kafka) -> Reader:
    """As `_codec`."""
    return Reader(kafka)


def know(outputs: Outputs) -> None:
    """To be called once in every process before it judges."""
    _Known.outputs = outputs


def judge_intake(server: Server, partition: int) -> Expected:
    codec = _codec(server.registry)
    expected = Expected(Counter(), {}, [])
    for raw in _reader(server.kafka).records(Topic.NOTIFY_REQUESTED, partition):
        origin = Origin(topic=Topic.NOTIFY_REQUESTED, partition=partition, offset=raw.offset)
        try:
            request = codec.decode(raw.value, NotifyRequest)
            made = normalise(request, origin, raw.at, INTAKE)
        except (WireError, Unidentifiable):
            expected.unreadable[Place(Topic.NOTIFY_REQUESTED, partition, raw.offset)] = raw.value
            continue
        expected.written.update(_digests(codec, (Emit(Topic.REQUESTS, made.notification_id, made),)))
    return expected


def judge_delivery(server: Server, partition: int) -> Expected:
    codec = _codec(server.registry)
    rows = RowCodec[NotificationRow](NotificationRow, lambda row: row.due_at)

    def step(row: NotificationRow | None, given: Input[Record]) -> Stepped[NotificationRow]:
        after, effects = delivery.decide(row, given.event, given.at, DELIVERY)  # type: ignore[arg-type]
        value = None if after is row else _encoded(rows, after)
        return Stepped(after, value, effects, _are_written(codec, effects))

    read = _inputs(
        server, codec, partition, OF_DELIVERY, lambda event: getattr(event, "notification_id", None)
    )
    told = _changes(server, Topic.NOTIFICATIONS_CHANGELOG, partition)
    judged = Expected(Counter(), read.unreadable, [])
    late = differing = twice = 0
    for key in read.queues.keys() | told.keys():
        queues = read.queues.get(key, [[] for _ in OF_DELIVERY])
        left = told.get(key, [])
        decoded = [rows.decode(value) for value in left]

        def fits(row: NotificationRow, at: int, decoded: list[NotificationRow] = decoded) -> bool:
            return _leads_to(row, decoded[at])

        found = _explained(key, queues, left, step, judged, codec, fits=fits, twice=False)
        if found is None:
            continue
        judged.written.update(_digests(codec, found.effects))
        ticks = Counter(each.event.due_at for each in found.order if isinstance(each.event, TimerTick))
        twice += ticks.total() - len(ticks)
        if any(one.at > other.at for one, other in zip(found.order, found.order[1:], strict=False)):
            late += 1
            differing += not _stands_the_same(found, step)
    return judged._replace(
        keys=len(told),
        rows=sum(map(len, told.values())),
        late=late,
        differing=differing,
        ticks_twice=twice,
    )


def judge_recipients(server: Server, partition: int) -> Expected:
    codec = _codec(server.registry)
    rows = RowCodec[RecipientRow](RecipientRow, lambda row: None)

    def step(row: RecipientRow | None, given: Input[Record]) -> Stepped[RecipientRow]:
        after, effects = recipients.decide(row, given.event, given.at, POLICIES)  # type: ignore[arg-type]
        changed = after != (row or RecipientRow())
        value = _encoded(rows, after) if changed else None
        return Stepped(after if changed else row, value, effects, _are_written(codec, effects))

    read = _inputs(server, codec, partition, OF_RECIPIENTS, lambda event: getattr(event, "recipient", None))
    told = _changes(server, Topic.RECIPIENTS_CHANGELOG, partition)
    judged = Expected(Counter(), read.unreadable, [])
    again = 0
    for key in read.queues.keys() | told.keys():
        queues = read.queues.get(key, [[] for _ in OF_RECIPIENTS])
        # A check that is read again after the person has opted out gets another verdict: that is its promise.
        found = _explained(
            key, queues, told.get(key, []), step, judged, codec, fits=lambda *_: True, twice=True
        )
        if found is not None:
            again += found.again
            judged.written.update(_digests(codec, found.effects))
    return judged._replace(keys=len(told), rows=sum(map(len, told.values())), again=again)


def survey(server: Server, partition: int) -> Written:
    codec = _codec(server.registry)
    found: dict[Digest, list[Place]] = {}
    sends: Counter[str] = Counter()
    admitted: set[str] = set()
    commands: dict[str, set[Digest]] = {}
    lanes = {Topic.commands(lane) for lane in Priority}
    for topic in WRITTEN:
        for raw in _reader(server.kafka).records(topic, partition):
            this = digest(topic, raw.key, raw.value)
            found.setdefault(this, []).append(Place(topic, partition, raw.offset))
            if topic in lanes:
                command = codec.decode(raw.value, OutboundCommand)
                commands.setdefault(command.notification_id, set()).add(this)
                if command.kind is CommandKind.SEND:
                    sends[command.command_id] += 1
            elif topic is Topic.VERDICTS and not raw.key.startswith(b"stray"):
                verdict = codec.decode(raw.value, AdmissionVerdict)
                if verdict.verdict is Verdict.ADMIT:
                    admitted.add(command_id(verdict.notification_id, verdict.attempt))
    return Written(found, sends, frozenset(admitted), commands)


class _Read(NamedTuple):
    queues: dict[bytes, list[list[Input[Record]]]]
    unreadable: dict[Place, bytes | None]


def _inputs(
    server: Server,
    codec: Codec,
    partition: int,
    types: Mapping[Topic, type[Record]],
    key_of: Callable[[Record], str | None],
) -> _Read:
    """By the key of their row, of each topic one list; and what nobody can read."""
    read = _Read({}, {})
    for number, (topic, record_type) in enumerate(types.items()):
        for raw in _reader(server.kafka).records(topic, partition):
            try:
                event = codec.decode(raw.value, record_type)
            except WireError:
                read.unreadable[Place(topic, partition, raw.offset)] = raw.value
                continue
            key = key_of(event)
            if key is not None:  # else it is of a message that was never ours
                queues = read.queues.setdefault(key.encode(), [[] for _ in types])
                queues[number].append(Input(raw.at, event))
    return read


def _changes(server: Server, changelog: Topic, partition: int) -> dict[bytes, list[bytes]]:
    told: dict[bytes, list[bytes]] = {}
    for raw in _reader(server.kafka).records(changelog, partition):
        assert raw.value is not None, f"a row of {changelog} was deleted, long before its time"
        told.setdefault(raw.key, []).append(raw.value)
    return told


def _explained(
    key: bytes,
    queues: list[list[Input[Record]]],
    rows: list[bytes],
    step: Callable[[R | None, Input[Record]], Stepped[R]],
    judged: Expected,
    codec: Codec,
    *,
    fits: Callable[[R, int], bool],
    twice: bool,
) -> Explained[R, Record] | None:
    def lenient(row: R | None, given: Input[Record]) -> Stepped[R]:
        return step(row, given)._replace(possible=True)

    try:
        # The fewest readings again that explain it: more of them would explain almost anything.
        for again in range(_MOST_AGAIN + 1 if twice else 1):
            found = explain(queues, rows, step, fits=fits, again=again)
            if isinstance(found, Explained):
                return _commanding(found, key, queues, rows, step, codec, fits)
        found = explain(queues, rows, lenient, fits=fits)
    except OverflowError as many:
        judged.strange.append(f"{key.decode()}: {many}")
        return None
    if isinstance(found, Explained):
        nowhere = [each for each in found.effects if not _are_written(codec, (each,))]
        judged.strange.append(
            f"{key.decode()}: what follows from its inputs is nowhere: "
            + "; ".join(f"{e.topic} {msgspec.json.encode(e.record).decode()[:300]}" for e in nowhere)
        )
        return found
    heads = "; ".join(
        f"{type(each).__name__} {msgspec.json.encode(each).decode()[:300]}" for each in found.heads
    )
    judged.strange.append(
        f"{key.decode()}: of {len(rows)} rows in the changelog at most {found.explained} follow from its "
        f"{sum(map(len, queues))} inputs; then stand: {heads or 'none'}"
    )
    return None


def _commanding(
    found: Explained[R, Record],
    key: bytes,
    queues: list[list[Input[Record]]],
    rows: list[bytes],
    step: Callable[[R | None, Input[Record]], Stepped[R]],
    codec: Codec,
    fits: Callable[[R, int], bool],
) -> Explained[R, Record]:
    """An order that also explains all commands there are of this notification, if there is one.

    A deadline that is read before the news that make its question needless leaves the same row behind, once
    both are in it, as one that is read after them; but it asks.
    """
    there = _Known.outputs.commands.get(key.decode(), frozenset())

    def covers(effects: tuple[Emit, ...]) -> bool:
        return there <= set(_digests(codec, effects))

    if covers(found.effects):
        return found
    other = explain(queues, rows, step, fits=fits, again=found.again, covers=covers)
    return other if isinstance(other, Explained) else found


def _leads_to(row: NotificationRow, later: NotificationRow) -> bool:
    """Whether a row can become the later one: what was heard and done is never taken back."""
    return (
        row.version <= later.version
        and row.heard_at <= later.heard_at
        and row.clock <= later.clock
        and len(row.attempts) <= len(later.attempts)
        and all(
            {mark.status for mark in one.marks} <= {mark.status for mark in other.marks}
            for one, other in zip(row.attempts, later.attempts, strict=False)
        )
    )


def _stands_the_same(
    found: Explained[NotificationRow, Record],
    step: Callable[[NotificationRow | None, Input[Record]], Stepped[NotificationRow]],
) -> bool:
    row: NotificationRow | None = None
    for given in sorted(found.order, key=lambda each: each.at):
        row = step(row, given).row
    assert row is not None
    assert found.row is not None
    return standing(row).state is standing(found.row).state


def _encoded(codec: RowCodec[R], row: R | None) -> bytes:
    assert row is not None, "a row was forgotten, long before its time"
    return codec.encode(row)


def _are_written(codec: Codec, effects: tuple[Emit, ...]) -> bool:
    return all(each in _Known.outputs.digests for each in _digests(codec, effects))


def _digests(codec: Codec, effects: tuple[Emit, ...]) -> list[Digest]:
    return [digest(e.topic, e.key.encode(), codec.encode(e.topic, e.record)) for e in effects]
