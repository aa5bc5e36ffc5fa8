"""What a text costs in segments (3GPP TS 23.038; facts, Twilio section 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.segments import Encoding, segments

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = "\f^{}\\[~]|€"
EMOJI = "😀"


@pytest.mark.parametrize(
    ("length", "number"), [(0, 1), (1, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4)]
)
def test_gsm_text_holds_160_characters_alone_and_153_in_a_chain(length: int, number: int) -> None:
    assert segments("a" * length) == (Encoding.GSM7, number)


@pytest.mark.parametrize(
    ("length", "number"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)]
)
def test_other_text_holds_70_characters_alone_and_67_in_a_chain(length: int, number: int) -> None:
    assert segments("ж" * length) == (Encoding.UCS2, number)


def test_every_character_of_the_gsm_alphabet_is_gsm_text() -> None:
    assert len(GSM_BASIC) == 127  # 128 with the escape, which is no character
    assert segments(GSM_BASIC) == (Encoding.GSM7, 1)


@pytest.mark.parametrize("character", GSM_EXTENSION)
def test_an_extension_character_takes_two_places(character: str) -> None:
    assert segments(character * 80) == (Encoding.GSM7, 1)
    assert segments(character * 80 + "a") == (Encoding.GSM7, 2)


def test_an_extension_character_is_not_split_between_segments() -> None:
    # 152 places, then a pair that does not fit into the 153rd: it opens the second segment.
    assert segments("a" * 152 + "€" + "a" * 151) == (Encoding.GSM7, 2)
    assert segments("a" * 152 + "€" + "a" * 152) == (Encoding.GSM7, 3)


@pytest.mark.parametrize("character", ["ç", "`", "“", "–", "…", "\u00a0", "ж", EMOJI])
def test_one_character_outside_the_alphabet_turns_the_whole_text(character: str) -> None:
    assert segments("a" * 69 + "b") == (Encoding.GSM7, 1)
    assert segments("a" * 160 + character).encoding is Encoding.UCS2
    assert segments("a" * 160 + character).number == 3


def test_an_emoji_takes_two_places_and_is_not_split() -> None:
    assert segments(EMOJI * 35) == (Encoding.UCS2, 1)
    assert segments(EMOJI * 36) == (Encoding.UCS2, 2)
    # 66 places, then a pair that does not fit into the 67th.
    assert segments("ж" * 66 + EMOJI + "ж" * 65) == (Encoding.UCS2, 2)
    assert segments("ж" * 66 + EMOJI + "ж" * 66) == (Encoding.UCS2, 3)


DIGITS = "1234567890" * 31
FLAG, RAINBOW = "🇮🇹", "🏳️\u200d🌈"


@pytest.mark.parametrize(
    ("text", "encoding", "number"),
    [
        (DIGITS[:160], Encoding.GSM7, 1),
        (DIGITS[:161], Encoding.GSM7, 2),
        (DIGITS[:307], Encoding.GSM7, 3),
        ("😜" + DIGITS[:68], Encoding.UCS2, 1),
        ("😜" + DIGITS[:69], Encoding.UCS2, 2),
        ("😜" + DIGITS[:133], Encoding.UCS2, 3),
        (FLAG + DIGITS[:66], Encoding.UCS2, 1),
        (FLAG + DIGITS[:67], Encoding.UCS2, 2),
        (RAINBOW + DIGITS[:64], Encoding.UCS2, 1),
        (RAINBOW + DIGITS[:65], Encoding.UCS2, 2),
        ("😀" + "]" * 68, Encoding.UCS2, 1),
        ("😀" + "]" * 69, Encoding.UCS2, 2),
        ("e\u0301\u0301\u0301" + "a" * 66, Encoding.UCS2, 1),
        ("e\u0301\u0301\u0301" + "a" * 67, Encoding.UCS2, 2),
        *[(char + DIGITS[:158], Encoding.GSM7, 1) for char in "|^€{}[]~\\"],
        *[(char + DIGITS[:159], Encoding.GSM7, 2) for char in "|^€{}[]~\\"],
        *[(char * 70, Encoding.UCS2, 1) for char in "ÁÚúçíÍóÓ"],
        *[(char * 71, Encoding.UCS2, 2) for char in "ÁÚúçíÍóÓ"],
    ],
)
def test_a_text_counts_as_in_the_providers_own_calculator(text: str, encoding: Encoding, number: int) -> None:
    """The cases of its tests (TwilioDevEd/message-segment-calculator, tests/index.test.js)."""
    assert segments(text) == (encoding, number)


def test_what_a_reader_sees_as_one_is_not_split_between_segments() -> None:
    # 64 places, then a flag of four: it opens the second segment and leaves it 63.
    assert segments("ж" * 64 + FLAG + "ж" * 63) == (Encoding.UCS2, 2)
    assert segments("ж" * 64 + FLAG + "ж" * 64) == (Encoding.UCS2, 3)


def test_what_no_segment_holds_is_split_all_the_same() -> None:
    assert segments("e" + "\u0301" * 300) == (Encoding.UCS2, 5)


def counted(widths: list[int], alone: int, chained: int) -> int:
    """The obvious way: put each into the last segment, or open another."""
    if sum(widths) <= alone:
        return 1
    filled = [0]
    for width in widths:
        if filled[-1] + width > chained:
            filled.append(0)
        filled[-1] += width
    return len(filled)


# No two of these are one to a reader, but within the strings of several characters.
PARTS = st.sampled_from([*"ab€^ж\n", EMOJI, FLAG + " ", "e\u0301", RAINBOW])


@given(st.lists(PARTS, max_size=400))
def test_segments_are_filled_one_after_the_other(parts: list[str]) -> None:
    text = "".join(parts)
    if set(text) <= set(GSM_BASIC + GSM_EXTENSION):
        expected = counted([2 if c in GSM_EXTENSION else 1 for c in text], 160, 153)
    else:
        split = [p for unit in parts for p in ((FLAG, " ") if unit == FLAG + " " else (unit,))]
        expected = counted([len(p.encode("utf-16-be")) // 2 for p in split], 70, 67)
    assert segments(text).number == expected


@given(st.text(alphabet=GSM_BASIC + GSM_EXTENSION + "жç" + EMOJI, max_size=700))
def test_no_text_takes_fewer_segments_than_its_octets_need_nor_one_more_for_each_pair(text: str) -> None:
    encoding, number = segments(text)
    if encoding is Encoding.GSM7:
        places, alone, chained = len(text) + sum(text.count(c) for c in GSM_EXTENSION), 160, 153
    else:
        places, alone, chained = len(text.encode("utf-16-be")) // 2, 70, 67
    if places <= alone:
        assert number == 1
    else:
        # At most one place of each segment but the last is lost to a pair that did not fit.
        assert -(-places // chained) <= number <= -(-places // (chained - 1))


@given(st.text(max_size=300), st.text(max_size=20))
def test_a_longer_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert segments(text + more).number >= segments(text).number
