"""The books of one run: what was asked, answered and recorded, and what of it does not fit together.

Guarantees: every record is checked against the request it came of, also one that comes before its answer or
long after it; requests are made again from seed and number when they are needed, so that the books of 100,000
stay small.
Leaves to others: what is right (`checks`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.fuzz.ingress.checks import Finding, says, wrong
from tests.fuzz.ingress.client import Outcome
from tests.fuzz.ingress.generator import make
from tests.fuzz.ingress.oracle import Signed, judge
from tests.fuzz.ingress.topics import Written
from tests.fuzz.ingress.wire import Request, numbers_in


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
    refused: bool
    wanted: int
    records: int


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
        each = min((reading.records for reading in signed), default=0)
        refused = bool(outcome.answers) and not accepted
        early = self._early.pop(request.number, 0)
        sent = _Sent(request.kind, refused, wanted=accepted * each, records=early)
        self._sent[request.number] = sent
        if sent.records >= sent.wanted:
            self._open.pop(request.number, None)
        tally = self.tallies.setdefault(request.kind, Tally())
        tally.requests += 1
        tally.signed += bool(signed)
        tally.records += early
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
