"""What must hold of every request, its answers and its records; what does not is a finding.

Guarantees: a record is right only when it says what a validly signed reading of its own request says
(`oracle`), field by field; requests are made again from seed and number when they are needed, so that the
books of 100,000 requests stay small.
Leaves to others: sending and reading.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from schemas.records import CallStatus, DeadLetter, InboundMessage, PlatformEvent, ProviderStatus
from tests.fuzz.ingress.client import Ended, Outcome
from tests.fuzz.ingress.generator import make
from tests.fuzz.ingress.genuine import EVENTS, INBOUND, STATUS, VOICE
from tests.fuzz.ingress.oracle import Signed, judge
from tests.fuzz.ingress.topics import Written
from tests.fuzz.ingress.wire import Request, numbers_in

ENOUGH = 20
"""Findings after which a run ends: more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and the request it is about; `number` is None when no request can be told."""

    number: int | None
    kind: str
    what: str


@dataclass(slots=True)
class Tally:
    """The requests of one kind."""

    requests: int = 0
    signed: int = 0
    records: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Sent:
    kind: str
    signed: bool
    accepted: int
    refused: bool
    wanted: int
    records: int = 0


class Books:
    """One run's. Call `answered` for every exchange, `recorded` for every record, `close` at the end."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._sent: dict[int, _Sent] = {}
        self._open: dict[int, tuple[Signed, ...]] = {}
        self._early: Counter[int] = Counter()
        self.tallies: dict[str, Tally] = {}
        self.findings: list[Finding] = []

    def asked(self, request: Request) -> tuple[Signed, ...]:
        """The oracle's word on a request that is about to be sent."""
        signed = judge(request.raw)
        if signed:
            self._open[request.number] = signed
        return signed

    def answered(self, request: Request, signed: tuple[Signed, ...], outcome: Outcome) -> None:
        for what in wrong(request, signed, outcome):
            self._found(request.number, request.kind, what)
        accepted = outcome.accepted
        wanted = min((reading.records for reading in signed), default=0)
        self._sent[request.number] = _Sent(
            request.kind,
            bool(signed),
            accepted,
            bool(outcome.answers) and not accepted,
            max(accepted, wanted) if accepted and wanted != 0 else 0,
            self._early.pop(request.number, 0),
        )
        tally = self.tallies.setdefault(request.kind, Tally())
        tally.requests += 1
        tally.signed += bool(signed)
        for answer in outcome.answers:
            tally.statuses[str(answer.status)] += 1
            if answer.status >= 400:
                tally.reasons[f"{answer.status} {answer.reason}"] += 1
        if not outcome.answers:
            tally.statuses[outcome.ended.name.lower()] += 1

    def recorded(self, written: Written) -> None:
        numbers = numbers_in(written.value)
        if len(numbers) != 1:
            self._found(None, "", f"a record in {written.topic} that belongs to no one request: {numbers}")
            return
        [number] = numbers
        sent = self._sent.get(number)
        signed = self._open.get(number)
        if signed is None:
            signed = judge(make(self.seed, number).raw)
        kind = sent.kind if sent is not None else make(self.seed, number).kind
        if not any(says(written.record, reading) for reading in signed):
            what = "is not what was signed" if signed else "was never validly signed"
            self._found(number, kind, f"a record in {written.topic} {what}")
        if sent is None:
            self._early[number] += 1
            return
        sent.records += 1
        self.tallies[kind].records += 1
        if sent.records >= sent.wanted:
            self._open.pop(number, None)

    def close(self) -> None:
        """When all is answered and all records were read."""
        for number, sent in self._sent.items():
            if sent.records < sent.wanted:
                what = f"answered 2xx, but {sent.records} of its {sent.wanted} records are there"
                self._found(number, sent.kind, what)
            elif sent.records and sent.refused:
                self._found(number, sent.kind, "refused, but a record of it is there")
        for number in self._early:
            self._found(number, "", "a record of a request that was never answered for")

    def _found(self, number: int | None, kind: str, what: str) -> None:
        self.findings.append(Finding(number, kind, what))


def wrong(request: Request, signed: tuple[Signed, ...], outcome: Outcome) -> Iterator[str]:
    """What is wrong with the answers alone, whatever was written."""
    for answer in outcome.answers:
        if answer.status >= 500:
            yield f"answered {answer.status}"
    if outcome.ended is Ended.HUNG:
        yield "neither answered nor closed in time"
    if outcome.unasked:
        yield f"{len(outcome.unasked)} bytes behind the last answer"
    if outcome.accepted and not signed and not _harmless(request):
        yield "answered 2xx, but not validly signed"
    if request.must_accept and outcome.accepted < request.answers:
        said = [f"{answer.status} {answer.reason}" for answer in outcome.answers]
        yield f"genuine, but answered {said or outcome.ended.name.lower()}"
    elif request.sending.owes_an_answer and not outcome.answers and outcome.ended is Ended.CLOSED:
        yield "closed without an answer"


def _harmless(request: Request) -> bool:
    """The pages that everybody may see."""
    return any(page in request.raw[:40] for page in (b"/healthz", b"/readyz", b"/metrics"))


def says(record: msgspec.Struct, signed: Signed) -> bool:
    """Whether the record says what this signed reading of its request says, and nothing else."""
    match record:
        case ProviderStatus():
            return signed.path == STATUS and _same_form(record, signed) and _same_attempt(record, signed)
        case CallStatus():
            return signed.path == VOICE and _same_form(record, signed) and _same_attempt(record, signed)
        case InboundMessage():
            same_body = record.body == signed.parameters.get("Body", "")
            return signed.path == INBOUND and _same_form(record, signed) and same_body
        case PlatformEvent():
            body = signed.body or b""
            return signed.path == EVENTS and record.account_sid == signed.account and _is_part(record, body)
        case DeadLetter():
            return (
                signed.path == EVENTS and bool(record.value) and (record.value or b"") in (signed.body or b"")
            )
        case _:
            return False


def _same_form(record: ProviderStatus | CallStatus | InboundMessage, signed: Signed) -> bool:
    return record.account_sid == signed.account and record.parameters == signed.parameters


def _same_attempt(record: ProviderStatus | CallStatus, signed: Signed) -> bool:
    if record.notification_id is None:
        return record.attempt is None
    try:
        named = {str(uuid.UUID(value)) for value in signed.of_query.get("n", ())}
        tried = {int(value) for value in signed.of_query.get("a", ())}
    except ValueError:
        return False
    return record.notification_id in named and record.attempt in tried


def _is_part(record: PlatformEvent, body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    return json.dumps(record.id)[1:-1] in text and (record.data in text or record.data == "null")
