"""The answer as TwiML: well-formed whatever it says, and what Twilio's own library would write."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse

from ingress.answers.twiml import LONGEST_TEXT, SILENCE, twiml


def said(body: bytes) -> str | None:
    response = ElementTree.fromstring(body)  # noqa: S314 - our own answer
    assert response.tag == "Response"
    [*messages] = response
    assert [message.tag for message in messages] in ([], ["Message"])
    return messages[0].text if messages else None


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=50))
def test_a_text_is_said_exactly(text: str) -> None:
    assert said(twiml(text).body) == (text if text.strip() else None)


@given(st.text(max_size=50))
def test_no_text_breaks_the_xml(text: str) -> None:
    assert said(twiml(text).body) is None or twiml(text) != SILENCE


@pytest.mark.parametrize(
    "text", ["5 < 6 & 7 > 2", "]]>", "<Message>no</Message>", "Grüße ☃ 👍", "two\nlines"]
)
def test_it_is_what_the_platform_s_library_writes(text: str) -> None:
    response = MessagingResponse()
    response.message(text)
    theirs = ElementTree.canonicalize(str(response))
    assert ElementTree.canonicalize(twiml(text).body.decode()) == theirs


@pytest.mark.parametrize("text", [None, "", " \n", "\x00"])
def test_nothing_to_say_is_silence(text: str | None) -> None:
    assert twiml(text) == SILENCE
    assert said(SILENCE.body) is None


def test_a_message_is_cut_where_the_platform_would_refuse_it() -> None:
    assert said(twiml("&" * (LONGEST_TEXT + 1)).body) == "&" * LONGEST_TEXT


def test_it_is_answered_as_xml() -> None:
    assert (twiml("hi").status, twiml("hi").media_type) == (200, "text/xml")
