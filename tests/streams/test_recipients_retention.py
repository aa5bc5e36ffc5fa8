"""What leaves a row, and when a row may leave the table."""

from __future__ import annotations

from schemas.vocabulary import Category, Channel
from streams.policy import Cap
from streams.recipients import idle_since, kept_for_ms
from streams.recipients.retention import KEPT_VERDICTS
from tests.streams.builders import T0
from tests.streams.persons import DAY, HOUR, after, check, evidence, judged, policies, verdict_after
from tests.streams.test_consent import change, inbound

CAPPED = policies(caps={Category.TRANSACTIONAL: (Cap(5, DAY),)})


def test_all_that_no_longer_matters_leaves_the_row_when_it_is_written() -> None:
    row = after(
        check(), evidence(30006), inbound("hello", channel=Channel.WHATSAPP), evidence(63003), policy=CAPPED
    )
    assert all((row.verdicts, row.failures, row.heard, row.life, row.admitted))
    later = after(check(category=Category.OTP, check=2, asked_at=T0 + 400 * DAY), policy=CAPPED, row=row)
    assert (later.failures, later.heard, later.life, later.admitted) == ((), (), (), ())


def test_consents_never_leave_the_row() -> None:
    row = after(change(), check(asked_at=T0 + 4000 * DAY))
    assert row.consents == (change(),)


def test_the_latest_verdicts_are_kept() -> None:
    asked = [check(check=n, asked_at=T0 + n) for n in range(1, 60)]
    row = after()
    for each in asked:
        row, _ = judged(row, each)
    assert [verdict.check for verdict in row.verdicts] == [each.check for each in asked[-KEPT_VERDICTS:]]


def test_a_row_is_idle_since_the_latest_event_of_its_person() -> None:
    assert idle_since(after(check(asked_at=T0 + HOUR), evidence(30003, at=T0))) == T0 + HOUR
    assert idle_since(after(inbound("hello", received_at=T0 + 2))) == T0 + 2


def test_a_row_with_consents_is_never_idle() -> None:
    assert idle_since(after(inbound("STOP"))) is None


def test_when_its_time_is_over_a_row_knows_nothing_that_a_new_one_would_not() -> None:
    row = after(check(), evidence(30006), inbound("hello", channel=Channel.WHATSAPP), policy=CAPPED)
    since = idle_since(row)
    assert since is not None
    later = check(check=2, asked_at=since + kept_for_ms(CAPPED))
    for channel in (Channel.SMS, Channel.WHATSAPP):
        asked = check(channel=channel, asked_at=later.asked_at, check=2)
        known, forgotten = judged(row, asked, CAPPED), judged(after(), asked, CAPPED)
        assert known == forgotten


def test_before_its_time_is_over_it_does() -> None:
    assert verdict_after(evidence(30006), asked_at=T0 + kept_for_ms(CAPPED) - 1).reason == "dead-number"
