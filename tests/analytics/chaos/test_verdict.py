"""The verdict finds every wrong that it is there for, and none where there is none."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import DeadLetter, Record
from schemas.topics import Topic
from tests.analytics import examples
from tests.analytics.chaos.recomputed import Lying, Place, Tables
from tests.analytics.chaos.shapes import EVERYTHING, MIXED, NOT_OF_THE_SINK, Shape, uncompared
from tests.analytics.chaos.tables import LookedUp, Row
from tests.analytics.chaos.terms import KEY, STAGE
from tests.analytics.chaos.verdict import SHOWN, Verdict, everything, judge

OUTCOME = examples.outcome()
GARBAGE = Place(Topic.STATUS.value, 0, 7)
LETTER = DeadLetter(
    stage=STAGE,
    reason="not-avro",
    detail="",
    topic=GARBAGE.topic,
    partition=GARBAGE.partition,
    offset=GARBAGE.offset,
    value=b"garbage",
    at=examples.NOW,
)
WHOLE: tuple[tuple[Topic, Record], ...] = (
    (Topic.STATUS, examples.status(price="-0.0079", price_unit="USD", segments=2)),
    (Topic.ATTEMPTS, examples.attempt_event()),
    (Topic.REQUESTS, examples.request()),
    (Topic.INBOUND, examples.inbound()),
    (Topic.CONSENT_CHANGES, examples.consent()),
    (Topic.OUTCOMES, OUTCOME),
    (Topic.DEAD_LETTERS, examples.dead_letter()),
)


LOOKED_UP = LookedUp(
    hour=OUTCOME.requested_at - OUTCOME.requested_at % 3_600_000,
    notification_id=OUTCOME.notification_id,
    requested_at=OUTCOME.requested_at,
    valid_from=OUTCOME.requested_at,
    carrier="Lycamobile",
    mcc="262",
    mnc="43",
    line_type="mobile",
    country="AT",
)


class _Spoken:
    """A codec whose bytes are the number of a record."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def decode(self, value: bytes | None, record_type: type[Record]) -> Record:
        if value is None or not value.isdigit():
            raise WireError("not-avro", "no number")
        return self._records[int(value)]


def tables(*more: tuple[Topic, Record], garbage: bool = False) -> Tables:
    """Of everything whole and of these after it; with garbage at its place."""
    written = [*WHOLE, *more]
    found = Tables(cast(Codec, _Spoken([record for _, record in written])), KEY)
    for number, (topic, _) in enumerate(written):
        found.add(Lying(Place(topic.value, 1, number), str(number).encode()))
    if garbage:
        found.add(Lying(GARBAGE, b"garbage"))
    found.look_up(LOOKED_UP)
    return found


def held(of: Tables) -> dict[str, list[Row]]:
    return {name: list(rows()) for name, rows in everything(of).items()}


def judged(wanted: Tables, there: dict[str, list[Row]]) -> Verdict:
    return judge(wanted, there, held(wanted), dict.fromkeys(wanted.unreadable, "garbage"))


def other(value: Any) -> Any:
    match value:
        case dict():
            return {**value, "x": "y"}
        case str():
            return value + "x"
        case tuple():
            return (*value, "x")
        case None:
            return 1
        case _:
            return value + 1


def test_what_equals_the_recomputation_is_right() -> None:
    wanted = tables()
    assert judged(wanted, held(wanted)).wrong == []


def test_every_table_and_view_has_a_row_to_compare() -> None:
    assert [shape.name for shape in EVERYTHING if not held(tables())[shape.name]] == []


@pytest.mark.parametrize("shape", EVERYTHING, ids=lambda shape: shape.name)
def test_a_missing_row_is_found(shape: Shape) -> None:
    wanted = tables()
    there = held(wanted)
    del there[shape.name][0]
    (wrong,) = judged(wanted, there).wrong
    assert wrong.startswith(f"{shape.name}: 1 differences\n")
    assert wrong.endswith(": missing")


@pytest.mark.parametrize("shape", EVERYTHING, ids=lambda shape: shape.name)
def test_a_row_that_is_there_twice_is_found(shape: Shape) -> None:
    wanted = tables()
    there = held(wanted)
    there[shape.name] *= 2
    (wrong,) = judged(wanted, there).wrong
    assert wrong.endswith(": 2 rows")


@pytest.mark.parametrize("shape", EVERYTHING, ids=lambda shape: shape.name)
def test_a_row_of_nothing_is_found(shape: Shape) -> None:
    wanted = tables()
    there = held(wanted)
    row: Any = there[shape.name][0]
    there[shape.name].append(row._replace(**{shape.key[0]: other(getattr(row, shape.key[0]))}))
    (wrong,) = judged(wanted, there).wrong
    assert wrong.endswith(": nothing says that it should be")


@pytest.mark.parametrize(
    ("shape", "column"),
    [
        pytest.param(shape, column, id=f"{shape.name}-{column}")
        for shape in EVERYTHING
        for column in shape.columns
    ],
)
def test_a_cell_that_differs_is_found(shape: Shape, column: str) -> None:
    wanted = tables()
    there = held(wanted)
    row: Any = there[shape.name][0]
    there[shape.name][0] = row._replace(**{column: other(getattr(row, column))})
    assert judged(wanted, there).wrong


@pytest.mark.parametrize("shape", MIXED, ids=lambda shape: shape.name)
def test_a_figure_that_was_wrong_before_the_refresh_only_is_found(shape: Shape) -> None:
    wanted = tables()
    before = held(wanted)
    row: Any = before[shape.name][0]
    before[shape.name][0] = row._replace(**{shape.columns[-1]: other(row[-1])})
    (wrong,) = judge(wanted, held(wanted), before, {}).wrong
    assert wrong.startswith(f"before the refresh, {shape.name}: 1 differences")


def test_a_table_that_nobody_compares_is_found() -> None:
    known = [shape.name for shape in EVERYTHING] + [*NOT_OF_THE_SINK, "schema_migrations"]
    assert uncompared([*known, "secret_sums"]) == ["secret_sums"]


def carriers_in(of: Tables) -> dict[str, set[tuple[str, str]]]:
    """Carrier and country, by table or view."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name, rows in held(of).items():
        for row in rows:
            if name != "notification_carriers" and hasattr(row, "carrier"):
                found.setdefault(name, set()).add((row.carrier, row.country))  # type: ignore[attr-defined]
    return found


def test_what_a_look_up_told_overrules_the_prefix_in_the_figures_and_not_in_what_landed() -> None:
    told, of_the_prefix = {("Lycamobile", "AT")}, {("Telekom", "DE")}
    figures = ("attributed_messages", "deliverability", *(f"hourly_{w}" for w in ("attempts", "latencies")))
    found = carriers_in(tables())
    assert {name for name, said in found.items() if said == told} == {*figures, "hourly_notifications"}
    assert {name for name, said in found.items() if said == of_the_prefix} == {
        "requests",
        "messages",
        "notifications",
        "messages_by_hour",
        "notifications_by_hour",
        "request_latencies",
        "delivery_latencies",
        "route_attempts",
    }


def test_a_look_up_that_knows_no_carrier_leaves_the_prefixs_and_tells_the_country() -> None:
    wanted = tables()
    wanted.look_up(LOOKED_UP._replace(carrier="", valid_from=LOOKED_UP.valid_from + 1))
    assert carriers_in(wanted)["hourly_attempts"] == {("Telekom", "AT")}


def test_of_two_look_ups_the_later_one_stands_whichever_was_told_last() -> None:
    wanted = tables()
    wanted.look_up(LOOKED_UP._replace(carrier="Verizon", valid_from=LOOKED_UP.valid_from - 1))
    assert carriers_in(wanted)["hourly_attempts"] == {("Lycamobile", "AT")}


def test_a_price_has_an_hour_only_when_its_notification_has_landed() -> None:
    early = examples.status("never landed", price="-0.5", price_unit="USD")
    there = held(tables((Topic.STATUS, early)))
    assert len(there["told_prices"]) == 2
    assert [row.notification_id for row in cast(Any, there["prices_by_hour"])] == [OUTCOME.notification_id]


def test_a_state_of_an_older_version_is_found() -> None:
    older = msgspec.structs.replace(OUTCOME, version=2, updated_at=OUTCOME.updated_at - 1, duplicates=0)
    wanted, stale = tables((Topic.OUTCOMES, older)), tables()
    there = held(stale)
    assert judged(wanted, there).wrong == [
        f"outcome_history: 1 differences\n    notification_id={OUTCOME.notification_id} version=2 "
        f"updated_at={older.updated_at}: missing"
    ]
    row: Any = there["messages"][0]
    there["messages"][0] = row._replace(version=2)
    assert any("version is 2 and must be 3" in wrong for wrong in judged(wanted, there).wrong)


def test_the_order_in_which_versions_come_decides_nothing() -> None:
    later = msgspec.structs.replace(OUTCOME, version=9, duplicates=4)
    forth, back = tables((Topic.OUTCOMES, later)), tables((Topic.OUTCOMES, later), (Topic.OUTCOMES, OUTCOME))
    assert held(forth) == held(back)
    assert {row.version for row in forth.messages.values()} == {9}


def test_an_unreadable_record_with_its_dead_letter_is_right_also_when_that_is_there_twice() -> None:
    letters = [(Topic.DEAD_LETTERS, LETTER)] * 2
    wanted = tables(*letters, garbage=True)
    verdict = judged(wanted, held(wanted))
    assert verdict.wrong == []
    assert verdict.letter_copies == 1


@pytest.mark.parametrize(
    ("letter", "what"),
    [
        (None, "not-avro, and no dead letter"),
        (msgspec.structs.replace(LETTER, reason="corrupt"), "its dead letter says corrupt"),
        (msgspec.structs.replace(LETTER, value=b"other"), "its dead letter holds other bytes"),
        (msgspec.structs.replace(LETTER, offset=8), "@8: a dead letter of a record that can be read"),
    ],
)
def test_a_dead_letter_that_is_missing_or_wrong_is_found(letter: DeadLetter | None, what: str) -> None:
    letters = [(Topic.DEAD_LETTERS, letter)] if letter is not None else []
    wanted = tables(*letters, garbage=True)
    (wrong,) = judged(wanted, held(wanted)).wrong
    assert what in wrong


def test_poison_that_the_recomputation_could_read_is_found() -> None:
    wanted = tables()
    (wrong,) = judge(wanted, held(wanted), held(wanted), {GARBAGE: "truncated"}).wrong
    assert "truncated, and the recomputation could read it" in wrong


def test_a_whole_record_that_the_recomputation_cannot_read_is_found() -> None:
    wanted = tables((Topic.DEAD_LETTERS, LETTER), garbage=True)
    (wrong,) = judge(wanted, held(wanted), held(wanted), {}).wrong
    assert "written whole, and the recomputation says not-avro" in wrong


def test_a_record_of_an_impossible_time_is_unreadable() -> None:
    assert tables((Topic.STATUS, examples.status(received_at=1_790_000_000))).unreadable[
        Place(Topic.STATUS.value, 1, len(WHOLE))
    ].why == ("impossible-time")


def test_only_the_first_differences_are_shown() -> None:
    wanted = tables(*[(Topic.STATUS, examples.status(str(number))) for number in range(SHOWN + 10)])
    there = held(wanted) | {"status_events": []}
    (wrong,) = judged(wanted, there).wrong
    assert wrong.count("\n") == SHOWN
    assert f"{SHOWN + 11} differences" in wrong
