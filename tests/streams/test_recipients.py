"""The recipients processor: the ledger of one person, and the verdict on every attempt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import AdmissionCheck, AdmissionVerdict, ConsentChange
from schemas.topics import Topic
from schemas.vocabulary import Category, Channel, Consent, Verdict
from streams.recipients import Event, consent_key, decide
from streams.state import RecipientRow
from tests.streams.builders import NID, RECIPIENT, SENDER, T0, TENANT, of
from tests.streams.test_consent import change, changes, inbound


def check(**changes: Any) -> AdmissionCheck:
    values: dict[str, Any] = {
        "notification_id": NID,
        "attempt": 1,
        "tenant": TENANT,
        "recipient": RECIPIENT,
        "channel": Channel.SMS,
        "category": Category.TRANSACTIONAL,
        "sender": SENDER,
        "asked_at": T0,
    }
    return AdmissionCheck(**(values | changes))


def after(*events: Event) -> RecipientRow:
    row = RecipientRow()
    for event in events:
        row, _ = decide(row, event, T0)
    return row


def verdict_after(*events: Event, **changes: Any) -> AdmissionVerdict:
    _, effects = decide(after(*events), check(**changes), T0 + 3)
    (found,) = of(AdmissionVerdict, effects)
    return found


def test_somebody_we_know_nothing_of_may_be_written_to() -> None:
    assert verdict_after().verdict is Verdict.ADMIT


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
    assert verdict_after(inbound("STOP"), channel=Channel.WHATSAPP).verdict is Verdict.ADMIT
    assert verdict_after(inbound("STOP"), channel=Channel.RCS).verdict is Verdict.SUPPRESS


def test_evidence_of_the_provider_counts_as_a_stop_does() -> None:
    assert verdict_after(change(source="provider")).verdict is Verdict.SUPPRESS


def test_a_verdict_answers_the_attempt_that_asked_under_its_notification() -> None:
    _, (effect,) = decide(None, check(attempt=4), T0 + 3)
    assert (effect.topic, effect.key) == (Topic.VERDICTS, NID)
    assert isinstance(effect.record, AdmissionVerdict)
    assert (effect.record.notification_id, effect.record.attempt, effect.record.decided_at) == (
        NID,
        4,
        T0 + 3,
    )


def test_asking_changes_nothing() -> None:
    row = after(inbound("STOP"))
    assert decide(row, check(), T0).row == row


def test_an_ordinary_message_changes_nothing_and_writes_nothing() -> None:
    assert decide(None, inbound("when will it come?"), T0) == (RecipientRow(), ())


def test_a_change_is_published_under_recipient_tenant_and_channel_group() -> None:
    _, (effect,) = decide(None, inbound("STOP"), T0)
    assert effect.topic is Topic.CONSENT_CHANGES
    assert effect.key == f"{RECIPIENT}|{TENANT}|sms"
    assert isinstance(effect.record, ConsentChange)
    assert effect.record.state is Consent.OPTED_OUT


def test_a_copy_of_a_stop_is_not_published_again() -> None:
    assert decide(after(inbound("STOP")), inbound("STOP"), T0).effects == ()


def test_a_change_that_is_older_than_the_one_in_force_is_not_published() -> None:
    # Compaction keeps the last one written: an older one would undo the newer.
    row = after(inbound("STOP", received_at=T0 + 10))
    assert decide(row, inbound("START", received_at=T0 + 5, message_sid="SM9"), T0) == (row, ())


@given(st.lists(changes, max_size=12))
def test_the_last_published_change_of_each_key_is_the_one_in_force(evidence: list[ConsentChange]) -> None:
    row = RecipientRow()
    published: dict[str, ConsentChange] = {}
    for each in evidence:
        row, effects = decide(row, each, T0)
        for found in of(ConsentChange, effects):
            published[consent_key(found)] = found
    assert published == {consent_key(each): each for each in row.consents}
