"""The replacements of smart encoding (TwilioDevEd/message-segment-calculator, SmartEncodingMap.ts)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.segments import Encoding, segments
from streams.smart_encoding import REPLACEMENTS, smart_encoded


def test_there_are_as_many_replacements_as_in_the_providers_own_calculator() -> None:
    assert len(REPLACEMENTS) == 270


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("“Hi” ‘there’ «you»", '"Hi" \'there\' "you"'),
        ("2012–2014 — now…", "2012-2014 - now..."),
        ("ＡＺ０９！～", "AZ09!~"),
        ("ᴀʙᴄᴢꜰꜱ", "ABCZFS"),
        ("½ ¼ ¾", "1/2 1/4 3/4"),
        ("a\u00a0b\u2003c", "a  b  c"),
        ("a\u2001b\u2028c", "a b c"),
        ("\tx", "       x"),
        ("zero\u200bwidth\ufeff\u2060", "zerowidth"),
        ("‹x›", ">x<"),
        ("‼ • `", "!! - '"),
        ("ж😀ç", "ж😀ç"),
    ],
)
def test_a_character_is_replaced_by_similar_ones(text: str, result: str) -> None:
    assert smart_encoded(text) == result


@pytest.mark.parametrize("character", REPLACEMENTS, ids=lambda c: f"U+{ord(c):04X}")
def test_what_is_replaced_would_cost_ucs2_and_what_replaces_it_does_not(character: str) -> None:
    assert segments(character).encoding is Encoding.UCS2
    assert segments(REPLACEMENTS[character]).encoding is Encoding.GSM7


@given(st.text(alphabet="".join(REPLACEMENTS) + "aé€"))
def test_a_text_of_such_characters_becomes_gsm_text_and_stays_as_it_is_then(text: str) -> None:
    once = smart_encoded(text)
    assert segments(once).encoding is Encoding.GSM7
    assert smart_encoded(once) == once
