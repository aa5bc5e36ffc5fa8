"""The recipients processor: the ledger of one person, the order of reasons, and the memory of verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import AdmissionVerdict, ConsentChange
from schemas.topics import Topic
from schemas.vocabulary import Category, Channel, Consent, ContentKind, Verdict
from streams.consent import in_force
from streams.policy import DEFAULTS, Cap, QuietHours
from streams.recipients import Event, consent_key, decide
from tests.streams.builders import NID, RECIPIENT, SENDER, T0, TENANT, of
from tests.streams.persons import DAY, HOUR, after, check, evidence, judged, policies, verdict_after
from tests.streams.test_consent import change, changes, inbound


def test_somebody_we_know_nothing_of_may_be_written_to() -> None:
    found = verdict_after()
    assert (found.verdict, found.reason, found.content) == (Verdict.ADMIT, None, ContentKind.TEXT)


def test_after_a_stop_the_verdict_is_to_suppress_and_says_why() -> None:
    found = verdict_after(inbound("STOP"))
    assert (found.verdict, found.reason) == (Verdict.SUPPRESS, "opted-out")


def test_after_stop_and_start_the_verdict_is_to_admit() -> None:
    found = verdict_after(inbound("STOP"), inbound("START", received_at=T0 + 1, message_sid="SM9"))
    assert (found.verdict, found.reason) == (Verdict.ADMIT, None)


@pytest.mark.parametrize("category", list(Category))
def test_an_opt_out_holds_for_every_category(category: Category) -> None:
    assert verdict_after(inbound("STOP"), category=category).verdict is Verdict.SUPPRESS


def test_a_stop_said_to_a_shared_sender_holds_for_every_tenant() -> None:
    assert verdict_after(inbound("STOP", tenant="*"), tenant="somebody").verdict is Verdict.SUPPRESS


def test_a_stop_by_text_message_leaves_whatsapp_alone() -> None:
    found = verdict_after(inbound("STOP"), channel=Channel.WHATSAPP, has_template=True)
    assert found.verdict is Verdict.ADMIT
    assert verdict_after(inbound("STOP"), channel=Channel.RCS).verdict is Verdict.SUPPRESS


def test_evidence_of_the_provider_counts_as_a_stop_does() -> None:
    assert verdict_after(change(source="provider")).verdict is Verdict.SUPPRESS


def test_somebody_on_the_tenants_list_is_suppressed_with_a_reason_of_its_own() -> None:
    found = verdict_after(change(source="suppression", sender=""))
    assert (found.verdict, found.reason) == (Verdict.SUPPRESS, "suppressed")


def test_consent_decides_before_everything_else() -> None:
    capped = policies(caps={Category.TRANSACTIONAL: (Cap(1, DAY),)})
    row = after(
        check(notification_id="n1"), evidence(30006), inbound("STOP", received_at=T0 + 1), policy=capped
    )
    _, found = judged(row, check(notification_id="n2", asked_at=T0 + 2), capped)
    assert found.reason == "opted-out"


def test_a_dead_number_decides_before_the_hours() -> None:
    never = policies(quiet_hours={Category.TRANSACTIONAL: QuietHours("00:00-00:01")})
    assert verdict_after(evidence(30006), policy=never).reason == "dead-number"
    assert verdict_after(policy=never).reason == "quiet-hours"


def test_a_verdict_answers_the_check_that_asked_under_its_notification() -> None:
    _, (effect,) = decide(None, check(attempt=4, check=2), T0 + 3, DEFAULTS)
    assert (effect.topic, effect.key) == (Topic.VERDICTS, NID)
    assert effect.record == AdmissionVerdict(
        notification_id=NID, attempt=4, check=2, verdict=Verdict.ADMIT, decided_at=T0 + 3
    )


def test_a_replayed_check_gets_the_same_verdict_and_changes_nothing() -> None:
    row, first = judged(after(), check())
    again = decide(row, check(), T0 + HOUR, DEFAULTS)
    assert again.row == row
    assert [effect.record for effect in again.effects] == [first]


def test_a_replayed_check_gets_the_same_verdict_whatever_was_learnt_since() -> None:
    row, first = judged(after(), check())
    row = after(evidence(30006, at=T0 + 5), row=row)
    assert judged(row, check())[1] == first
    assert judged(row, check(check=2))[1].verdict is Verdict.NEXT_CHANNEL


def test_a_stop_since_the_first_verdict_wins_over_its_memory() -> None:
    row, _ = judged(after(), check())
    row = after(inbound("STOP", received_at=T0 + 1), row=row)
    row, found = judged(row, check())
    assert (found.verdict, found.reason) == (Verdict.SUPPRESS, "opted-out")
    row = after(inbound("START", received_at=T0 + 2, message_sid="SM9"), row=row)
    assert judged(row, check())[1] == found


def test_each_check_of_an_attempt_has_a_verdict_of_its_own() -> None:
    row, first = judged(after(), check(check=1))
    _, second = judged(row, check(check=2, asked_at=T0 + DAY))
    assert (first.check, second.check) == (1, 2)
    assert second.decided_at > first.decided_at


@pytest.mark.parametrize(
    ("has_text", "has_template", "content"),
    [
        (True, False, ContentKind.TEXT),
        (True, True, ContentKind.TEXT),
        (False, True, ContentKind.TEMPLATE),
        (False, False, ContentKind.TEXT),
    ],
)
def test_by_text_message_a_text_is_sent_where_there_is_one(
    has_text: bool, has_template: bool, content: ContentKind
) -> None:
    assert verdict_after(has_text=has_text, has_template=has_template).content is content


def test_an_ordinary_message_writes_nothing() -> None:
    assert decide(None, inbound("when will it come?"), T0, DEFAULTS).effects == ()


def test_a_change_is_published_under_recipient_tenant_channel_group_and_sender() -> None:
    _, (effect,) = decide(None, inbound("STOP"), T0, DEFAULTS)
    assert effect.topic is Topic.CONSENT_CHANGES
    assert effect.key == f"{RECIPIENT}|{TENANT}|sms|{SENDER}"
    assert isinstance(effect.record, ConsentChange)
    assert effect.record.state is Consent.OPTED_OUT


def test_a_suppression_has_a_key_of_its_own() -> None:
    assert consent_key(change(source="suppression", sender="")) == f"{RECIPIENT}|{TENANT}|sms||suppression"


def test_a_copy_of_a_stop_is_not_published_again() -> None:
    row = after(inbound("STOP"))
    assert decide(row, inbound("STOP"), T0, DEFAULTS) == (row, ())


def test_a_change_that_came_late_is_published_before_the_one_in_force() -> None:
    # Compaction keeps the last one written: an older one alone would undo the newer.
    row = after(inbound("STOP", received_at=T0 + 10))
    late = decide(row, inbound("START", received_at=T0 + 5, message_sid="SM9"), T0, DEFAULTS)
    assert [(each.state, each.at) for each in of(ConsentChange, late.effects)] == [
        (Consent.OPTED_IN, T0 + 5),
        (Consent.OPTED_OUT, T0 + 10),
    ]


@given(st.lists(changes, max_size=12))
def test_the_last_published_change_of_each_key_is_the_one_in_force(told: list[ConsentChange]) -> None:
    row = after()
    published: dict[str, ConsentChange] = {}
    for each in told:
        row, effects = decide(row, each, T0, DEFAULTS)
        for found in of(ConsentChange, effects):
            published[consent_key(found)] = found
    assert published == {consent_key(each): each for each in in_force(row.consents)}


@given(st.lists(changes, max_size=12))
def test_every_change_is_published(told: list[ConsentChange]) -> None:
    row = after()
    published: set[ConsentChange] = set()
    for each in told:
        row, effects = decide(row, each, T0, DEFAULTS)
        published.update(of(ConsentChange, effects))
    assert {each.change_id for each in told} == {each.change_id for each in published}


POLICY = policies(
    caps={Category.MARKETING: (Cap(1, HOUR), Cap(2, DAY))},
    quiet_hours={Category.MARKETING: QuietHours("08:00-20:00")},
)
_times = st.integers(T0, T0 + 2 * DAY)
_channels = st.sampled_from([Channel.SMS, Channel.MMS, Channel.RCS, Channel.WHATSAPP, Channel.OTHER])
events = st.one_of(
    st.builds(
        inbound,
        st.sampled_from(["STOP", "START", "hello"]),
        message_sid=st.sampled_from(["SM1", "SM2", "SM3"]),
        channel=_channels,
        received_at=_times,
    ),
    st.builds(
        evidence, st.sampled_from([None, 30003, 30005, 30006, 63003, 30008]), channel=_channels, at=_times
    ),
    st.builds(change, at=_times, change_id=st.sampled_from("ab"), state=st.sampled_from(list(Consent))),
)
checks = st.builds(
    check,
    notification_id=st.sampled_from(["n1", "n2", "n3"]),
    channel=_channels,
    category=st.sampled_from(list(Category)),
    has_template=st.booleans(),
    asked_at=_times,
    check=st.integers(1, 3),
)


@given(st.lists(checks, max_size=4), st.lists(events, max_size=8), checks, st.data())
def test_between_two_checks_the_order_and_copies_of_events_change_nothing(
    before: list[Event], between: list[Event], asked: Event, data: st.DataObject
) -> None:
    row = after(*before, policy=POLICY)
    shuffled = data.draw(st.permutations([*between, *between[:3]]))
    one, other = after(*between, policy=POLICY, row=row), after(*shuffled, policy=POLICY, row=row)
    assert one == other
    assert decide(one, asked, T0, POLICY) == decide(other, asked, T0, POLICY)


@given(st.lists(events | checks, max_size=12), checks)
def test_nobody_who_opted_out_is_ever_admitted(history: list[Event], asked: Event) -> None:
    row = after(*history, change(at=T0 + 3 * DAY), policy=POLICY)
    _, (effect,) = decide(row, check(asked_at=T0), T0, POLICY)
    assert isinstance(effect.record, AdmissionVerdict)
    assert effect.record.verdict is Verdict.SUPPRESS


@given(st.lists(events | checks, max_size=12), checks)
def test_a_crash_before_the_verdict_was_kept_or_after_it_changes_nothing(
    history: list[Event], asked: Event
) -> None:
    row = after(*history, policy=POLICY)
    first = decide(row, asked, T0, POLICY)
    assert decide(row, asked, T0, POLICY) == first  # nothing of it was kept: decided once more
    again = decide(first.row, asked, T0 + 9, POLICY)  # all of it was kept: read once more
    assert again == first
