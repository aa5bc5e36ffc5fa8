"""Who is answered what: the platform's own answers, consent first, keywords, and the rest."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.accepted import Reply
from ingress.answers.decide import Answers, Decision, Section, decide, platform_answers
from ingress.answers.guard import LoopGuard
from ingress.answers.keywords import keyword
from schemas.consent_words import HELP_WORDS, START_WORDS, STOP_WORDS
from schemas.records import InboundMessage
from schemas.vocabulary import Channel, Consent
from streams.consent import consent_of
from tests.ingress.answers.messages import LONG_CODE, NOW, PERSON, SHORT_CODE, message

SECTION = Section(
    help="the help",
    opted_out="you are out",
    opted_in="you are in",
    otherwise="the default",
    keywords={
        made.folded: made
        for made in (keyword("STATUS <id>", "{keyword} of {argument}"), keyword("ACK [id]", None))
    },
)
ANSWERS = Answers(default=SECTION)


def decided(written: InboundMessage, answers: Answers = ANSWERS) -> Decision:
    return decide(written, answers, LoopGuard())


def whatsapp(body: str, **more: str) -> InboundMessage:
    return message(body, channel=Channel.WHATSAPP, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "text", "reply"),
    [
        (STOP_WORDS, "you are out", Reply.OPTED_OUT),
        (START_WORDS, "you are in", Reply.OPTED_IN),
        (HELP_WORDS, "the help", Reply.HELP),
    ],
)
def test_consent_and_help_are_answered_where_the_platform_does_not(
    words: frozenset[str], text: str, reply: Reply
) -> None:
    for word in words:
        expected = Decision(text, reply)
        assert decided(whatsapp(f" {word.lower()} ")) == expected
        assert decided(message(word, sender=SHORT_CODE)) == expected


@pytest.mark.parametrize("word", sorted(STOP_WORDS | START_WORDS | HELP_WORDS))
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.MMS, Channel.RCS])
def test_on_long_codes_the_platform_has_answered_already(word: str, channel: Channel) -> None:
    assert decided(message(word, channel=channel)) == Decision(None, Reply.PLATFORM)


@pytest.mark.parametrize("kind", ["STOP", "START", "HELP"])
def test_advanced_opt_out_has_answered_already_whatever_was_written(kind: str) -> None:
    assert decided(whatsapp("ACK 17", opt_out_type=kind)) == Decision(None, Reply.PLATFORM)


@pytest.mark.parametrize("says", [True, False])
def test_a_configuration_that_knows_better_than_the_defaults_counts(says: bool) -> None:
    section = msgspec.structs.replace(SECTION, platform_answers=says)
    for written in (message("HELP"), whatsapp("HELP"), message("HELP", sender=SHORT_CODE)):
        assert platform_answers(written, section) is says
        assert (decided(written, Answers(default=section)).text is None) is says


@pytest.mark.parametrize("word", sorted(STOP_WORDS))
def test_a_stop_word_wins_over_a_keyword_of_the_same_name(word: str) -> None:
    rogue = Answers(default=Section(opted_out="out", keywords={word.lower(): keyword(word, "custom")}))
    assert decided(whatsapp(word), rogue) == Decision("out", Reply.OPTED_OUT)


@pytest.mark.parametrize("body", ["STOP.", "¡Stop!", "stop\u200b", "«unsubscribe»"])
def test_what_is_nearly_a_stop_word_is_neither_confirmed_nor_taken_for_anything_else(body: str) -> None:
    assert decided(whatsapp(body)) == Decision(None, Reply.NEARLY_STOP)


def test_a_button_that_stands_for_stop_gets_no_other_answer() -> None:
    assert decided(whatsapp("No more, thanks", button_payload="STOP")).reply is Reply.NEARLY_STOP


@given(st.text(max_size=20) | st.sampled_from(sorted(STOP_WORDS)).map(str.title))
def test_an_opt_out_is_confirmed_exactly_when_the_ledger_takes_it_for_one(body: str) -> None:
    written = whatsapp(body)
    change = consent_of(written)
    ledger = change is not None and change.state is Consent.OPTED_OUT
    assert (decided(written).reply is Reply.OPTED_OUT) is ledger


@pytest.mark.parametrize(
    "body",
    ["STATUS A-17", "status: a-17".upper(), " ＳＴＡＴＵＳ　A-17 ", "Státus #A-17!", "status=A-17 please"],
)
def test_a_keyword_is_found_however_it_is_written(body: str) -> None:
    found = decided(message(body))
    assert found.keyword is not None
    assert (found.keyword.keyword, found.keyword.argument, found.reply) == ("STATUS", "A-17", Reply.KEYWORD)
    assert found.text == "STATUS of A-17"


def test_a_keyword_without_a_reply_is_an_event_and_silence() -> None:
    found = decided(message("ack 17"))
    assert found.keyword is not None
    assert (found.keyword.argument, found.text, found.reply) == ("17", None, Reply.NOTHING)


def test_the_event_names_who_wrote_what_to_whom_and_when() -> None:
    written = message("ack 17", tenant="acme", sid="SM" + "a" * 32)
    event = decided(written).keyword
    assert event is not None
    assert (event.tenant, event.recipient, event.sender) == ("acme", PERSON, LONG_CODE)
    assert (event.channel, event.message_sid, event.received_at) == (Channel.SMS, "SM" + "a" * 32, NOW)


def test_a_copy_of_the_message_makes_the_same_event() -> None:
    first, copy = (decided(message("ack 17", sid="SM" + "a" * 32, at=NOW + late)) for late in (0, 5000))
    other = decided(message("ack 17", sid="SM" + "b" * 32))
    assert first.keyword is not None
    assert copy.keyword is not None
    assert other.keyword is not None
    assert first.keyword.event_id == copy.keyword.event_id != other.keyword.event_id


def test_a_pressed_button_says_what_it_stands_for() -> None:
    found = decided(whatsapp("Yes, mine", button_payload="ACK 17"))
    assert found.keyword is not None
    assert (found.keyword.keyword, found.keyword.argument) == ("ACK", "17")


@pytest.mark.parametrize("body", ["hello", "STATUS", "statusquo 17", "ack's", "", "👍"])
def test_everything_else_gets_the_default_reply_if_there_is_one(body: str) -> None:
    assert decided(message(body)) == Decision("the default", Reply.DEFAULT)
    assert decided(message(body), Answers()) == Decision(None, Reply.NOTHING)


def test_the_section_of_the_sender_counts_before_that_of_the_tenant_and_that_before_the_default() -> None:
    answers = Answers(
        default=Section(otherwise="default"),
        tenants={"acme": Section(otherwise="tenant")},
        senders={
            ("whatsapp:" + LONG_CODE, None): Section(otherwise="sender"),
            ("whatsapp:" + LONG_CODE, "acme"): Section(otherwise="sender of acme"),
        },
    )
    assert decided(message(), answers).text == "default"
    assert decided(message(tenant="acme"), answers).text == "tenant"
    assert decided(message(tenant="other"), answers).text == "default"
    assert decided(whatsapp("hi"), answers).text == "sender"
    assert decided(whatsapp("hi", tenant="acme"), answers).text == "sender of acme"


def test_our_own_number_is_never_answered_and_makes_no_event() -> None:
    ours = Answers(default=SECTION, own=frozenset({PERSON}))
    assert decided(message("ack 17"), ours) == Decision(None, Reply.LOOP_OWN_NUMBER)


@given(st.text(max_size=300), st.sampled_from(Channel))
def test_no_text_makes_it_raise(body: str, channel: Channel) -> None:
    assert decided(message(body, channel=channel)).reply in Reply
