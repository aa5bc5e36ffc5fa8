"""How answers reach the lanes: slower, paused until when, and one alarm for all that waits behind it."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from schemas.records import OutboundCommand
from schemas.vocabulary import Priority
from sinks.outbound.brakes import Brakes, next_day
from sinks.outbound.lanes import Lanes
from sinks.outbound.pacing.pauses import Pause, Reach, Scope
from sinks.outbound.pacing.rate import Rates, SenderRate
from sinks.outbound.pacing.waiting import Waiting
from sinks.outbound.provider import Ambiguous, NotSent, Rejected, SendAnswer
from sinks.outbound.twilio_codes import verdict, verdict_of_status
from sinks.outbound.twilio_form import is_service
from tests.outbound.examples import SENDER, command, now_ms
from tests.outbound.recorded_pacing import RecordedDecisions, RecordedPacing
from tests.outbound.simulator import SERVICE

PARTITION = 3


def read(command: OutboundCommand) -> Waiting:
    return Waiting(command, Priority.NORMAL, "normal", PARTITION, 0)


WANTED = read(command())
THE_SENDER, THE_PROVIDER = Scope(Reach.SENDER, SENDER), Scope(Reach.PROVIDER, "twilio")
AWAY = NotSent("no connection", unreachable=True)


def refused(code: int) -> Rejected:
    return Rejected(code, verdict(code), f"code {code}")


def held_after(*answers: SendAnswer, zone: str | None = None) -> list[Pause]:
    pacing = RecordedPacing()
    brakes = Brakes(pacing, RecordedDecisions(), now_ms, lambda sender: zone)
    for answer in answers:
        brakes.answered(WANTED, answer)
    return pacing.held


def left_s(pause: Pause) -> float:
    assert pause.until is not None
    return pause.until / 1000 - time.time()


def test_the_lanes_are_what_brakes_need() -> None:
    lanes = Lanes(Rates(SenderRate()))
    brakes = Brakes(lanes, RecordedDecisions(), now_ms)
    brakes.answered(WANTED, refused(30034))
    brakes.answered(WANTED, NotSent("throttled", throttled=True))
    assert [pause.scope for pause in lanes.pauses()] == [THE_SENDER]


@pytest.mark.parametrize(("wait_s", "wait_ms"), [(None, 1_000), (7.0, 7_000), (0.0, 0), (0.0001, 1)])
def test_a_throttled_sender_is_slowed_down_and_kept_back_for_no_less_than_it_was_told(
    wait_s: float | None, wait_ms: int
) -> None:
    pacing = RecordedPacing()
    Brakes(pacing, RecordedDecisions(), now_ms).answered(
        WANTED, NotSent("throttled", throttled=True, retry_after_s=wait_s)
    )
    assert pacing.slowed == [(SENDER, wait_ms)]
    assert pacing.held == []


@pytest.mark.parametrize(
    ("code", "scope"),
    [
        (30032, THE_SENDER),
        (30034, THE_SENDER),
        (63007, THE_SENDER),
        (20003, THE_PROVIDER),
        (30002, THE_PROVIDER),
    ],
)
def test_a_mistake_of_ours_pauses_until_somebody_resumes(code: int, scope: Scope) -> None:
    [pause] = held_after(refused(code))
    assert (pause.scope, pause.until) == (scope, None)
    assert str(code) in pause.reason


def test_what_mends_itself_is_tried_again_in_an_hour() -> None:
    [pause] = held_after(refused(30035))
    assert 3_590 < left_s(pause) <= 3_601


@pytest.mark.parametrize("zone", [None, "America/Los_Angeles", "Asia/Tokyo"])
def test_a_daily_cap_ends_with_the_senders_day(zone: str | None) -> None:
    [pause] = held_after(refused(30023), zone=zone)
    assert pause.until is not None
    there = datetime.fromtimestamp(pause.until / 1000, ZoneInfo(zone or "America/Los_Angeles"))
    assert (there.hour, there.minute, there.second) == (0, 0, 0)
    assert 0 < left_s(pause) <= 25 * 3600


@pytest.mark.parametrize(
    ("now", "zone", "then"),
    [
        ("2026-06-15T23:59:59-07:00", "America/Los_Angeles", "2026-06-16T00:00:00-07:00"),
        ("2026-06-16T00:00:00-07:00", "America/Los_Angeles", "2026-06-17T00:00:00-07:00"),
        ("2026-03-07T12:00:00-08:00", "America/Los_Angeles", "2026-03-08T00:00:00-08:00"),
        ("2026-03-08T01:00:00-08:00", "America/Los_Angeles", "2026-03-09T00:00:00-07:00"),
        ("2026-11-01T00:30:00-07:00", "America/Los_Angeles", "2026-11-02T00:00:00-08:00"),
    ],
)
def test_the_next_day_begins_at_midnight_also_when_clocks_change(now: str, zone: str, then: str) -> None:
    def ms(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp() * 1000)

    assert next_day(ms(now), zone) == ms(then)


def test_a_provider_that_is_away_is_left_alone_for_a_moment() -> None:
    [pause] = held_after(AWAY)
    assert pause.scope == THE_PROVIDER
    assert 0 < left_s(pause) <= 1.1


def test_a_passing_trouble_does_not_shorten_a_pause_that_needs_a_person() -> None:
    [pause] = held_after(refused(20003), AWAY, Ambiguous("HTTP 503", http_status=503, retry_after_s=5.0))
    assert pause.until is None


def test_a_mistake_of_ours_makes_a_passing_pause_a_lasting_one() -> None:
    [pause] = held_after(AWAY, refused(20003))
    assert pause.until is None


def test_all_that_is_refused_for_one_reason_costs_one_alarm() -> None:
    brakes = Brakes(RecordedPacing(), RecordedDecisions(), now_ms)
    with capture_logs() as logs:
        for _ in range(50):
            brakes.answered(WANTED, refused(30034))
    assert [(line["log_level"], line["reach"], line["lifts"]) for line in logs] == [
        ("error", "sender", "by_hand")
    ]


def test_an_alarm_comes_again_after_it_was_mended_and_broke_again() -> None:
    pacing = RecordedPacing()
    brakes = Brakes(pacing, RecordedDecisions(), now_ms)
    with capture_logs() as logs:
        brakes.answered(WANTED, refused(30034))
        pacing.held.clear()  # resumed
        brakes.answered(WANTED, refused(30034))
    assert len(logs) == 2


def test_what_ends_by_itself_is_no_alarm_but_a_warning() -> None:
    with capture_logs() as logs:
        held_after(AWAY)
    assert [line["log_level"] for line in logs] == ["warning"]


def test_a_senders_number_is_not_written_out_in_the_log() -> None:
    with capture_logs() as logs:
        held_after(refused(30034))
    assert SENDER not in str(logs)
    assert SENDER[1:] not in str(logs)
    assert logs[0]["name"] == "…" + SENDER[-4:]


def held_later(code: int, wanted: OutboundCommand = WANTED.command) -> list[Pause]:
    pacing = RecordedPacing()
    by_service = is_service(wanted.sender)
    Brakes(pacing, RecordedDecisions(), now_ms).told_later(
        read(wanted), code, verdict_of_status(code, by_service=by_service)
    )
    assert pacing.slowed == []
    return pacing.held


@pytest.mark.parametrize("code", [30032, 30033, 30034, 30002, 30037])
def test_a_mistake_that_comes_to_light_by_a_status_pauses_too(code: int) -> None:
    [pause] = held_later(code)
    assert pause.until is None


@pytest.mark.parametrize("code", [30003, 30007, 30022, 30023, 30035])
def test_what_has_passed_since_or_concerns_the_message_alone_does_not(code: int) -> None:
    assert held_later(code) == []


def test_one_bad_number_of_a_service_does_not_stop_the_service() -> None:
    wanted = command(sender=SERVICE)
    assert held_later(30034, wanted) == []
    [pause] = held_later(30002, wanted)
    assert pause.scope == THE_PROVIDER


def heard(code: int, ago_ms: int) -> RecordedPacing:
    pacing, wanted = RecordedPacing(), command()
    Brakes(pacing, RecordedDecisions(), now_ms).told_at(now_ms() - ago_ms, read(wanted), code, verdict(code))
    return pacing


def test_a_callback_that_tells_of_a_rate_slows_down_while_it_is_news() -> None:
    assert heard(30022, 5_000).slowed == [(SENDER, 0)]
    assert heard(30022, 120_000).slowed == []


def test_a_callback_that_tells_of_a_daily_cap_pauses_until_the_next_day_while_it_is_news() -> None:
    [pause] = heard(30023, 5_000).held
    assert pause.until is not None
    assert heard(30023, 120_000).held == []


@pytest.mark.parametrize("ago_ms", [0, 3_000_000])
def test_a_callback_that_tells_of_a_mistake_of_ours_pauses_also_when_it_comes_late(ago_ms: int) -> None:
    [pause] = heard(30034, ago_ms).held
    assert pause.until is None


def test_a_callback_of_long_ago_says_nothing_of_now() -> None:
    assert heard(30034, 4_000_000).held == []


def test_what_needs_a_person_is_written_down_once_where_the_sender_is_and_nothing_else_is() -> None:
    decisions = RecordedDecisions()
    brakes = Brakes(RecordedPacing(), decisions, now_ms)
    for answer in (
        AWAY,
        NotSent("throttled", throttled=True),
        refused(30035),
        refused(30034),
        refused(30034),
    ):
        brakes.answered(WANTED, answer)
    assert decisions.written == [(PARTITION, THE_SENDER)]


@pytest.mark.parametrize(("heard_ago_ms", "held"), [(20_001, []), (20_000, []), (19_999, [THE_SENDER])])
def test_what_was_heard_of_before_a_person_said_it_is_mended_does_not_pause_again(
    heard_ago_ms: int, held: list[Scope]
) -> None:
    pacing, now = RecordedPacing(), now_ms()
    decisions = RecordedDecisions(resumed={THE_SENDER: now - 20_000})
    Brakes(pacing, decisions, lambda: now).told_at(now - heard_ago_ms, WANTED, 30034, verdict(30034))
    assert [pause.scope for pause in pacing.held] == held
