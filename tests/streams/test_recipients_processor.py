"""The recipients processor around its decisions: which topics it reads, and by whose policy it decides."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import pytest

from schemas.codec import Codec
from schemas.records import AdmissionVerdict, Record
from schemas.topics import Topic
from schemas.vocabulary import Category, Verdict
from streams.outputs import Outputs, Write
from streams.policy import DEFAULTS, Policies, QuietHours
from streams.processors import Incoming, Recipients, Writer
from streams.state import RecipientRow
from streams.table import Table
from tests.streams.builders import RECIPIENT, T0
from tests.streams.persons import check, evidence, policies
from tests.streams.test_consent import change, inbound


class Put(NamedTuple):
    key: bytes
    row: RecipientRow


class Rows:
    """A table that only remembers, as the processor asks it."""

    def __init__(self) -> None:
        self.rows: dict[bytes, RecipientRow] = {}

    def get(self, partition: int, key: bytes) -> RecipientRow | None:
        return self.rows.get(key)

    def change(self, partition: int, key: bytes, before: RecipientRow | None, row: RecipientRow) -> Put:
        return Put(key, row)

    def put(self, change: Put, outputs: object) -> None:
        self.rows[change.key] = change.row


class Around:
    """A processor, what it has kept and what it has written."""

    def __init__(self, codec: Codec, policy: Policies = DEFAULTS) -> None:
        self.rows = Rows()
        self.writes: list[Write] = []
        self._codec = codec
        table = cast("Table[RecipientRow]", self.rows)
        self._processor = Recipients(Writer(codec, cast(Outputs, self)), table, policy)

    def write(self, topic: str, key: bytes, value: bytes | None, partition: int = -1) -> None:
        self.writes.append(Write(topic, key, value, partition))

    def reads(self, topic: Topic, record: Record) -> None:
        self._processor.handle(Incoming(topic, 0, 7, b"k", self._codec.encode(topic, record), T0))

    def verdict(self, **changes: Any) -> AdmissionVerdict:
        self.reads(Topic.CHECKS, check(**changes))
        assert self.writes[-1].topic == Topic.VERDICTS
        return self._codec.decode(self.writes[-1].value, AdmissionVerdict)


@pytest.mark.parametrize(
    ("topic", "record", "verdict"),
    [
        (Topic.INBOUND, inbound("STOP"), Verdict.SUPPRESS),
        (Topic.CONSENT_EVIDENCE, change(source="provider"), Verdict.SUPPRESS),
        (Topic.DELIVERY_EVIDENCE, evidence(30006), Verdict.NEXT_CHANNEL),
    ],
)
def test_what_every_one_of_its_topics_says_counts_in_the_next_verdict(
    codec: Codec, topic: Topic, record: Record, verdict: Verdict
) -> None:
    around = Around(codec)
    assert topic in Recipients.inputs
    assert around.verdict().verdict is Verdict.ADMIT
    around.reads(topic, record)
    assert around.verdict(check=2).verdict is verdict
    assert set(around.rows.rows) == {RECIPIENT.encode()}


def test_a_replayed_check_is_answered_and_writes_no_row(codec: Codec) -> None:
    around = Around(codec)
    first = around.verdict()
    kept = around.rows.rows[RECIPIENT.encode()]
    assert around.verdict() == first
    assert around.rows.rows[RECIPIENT.encode()] is kept


def test_it_decides_by_the_policy_it_was_given(codec: Codec) -> None:
    never = policies(quiet_hours={Category.OTP: QuietHours("00:00-00:01")})
    assert Around(codec, never).verdict(category=Category.OTP).verdict is Verdict.DEFER
