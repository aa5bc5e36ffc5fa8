"""Segments by 3GPP TS 23.038."""

import pytest

from sandbox.carrier.segments import segments_of


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("ü" * 160, 1),
        ("ç", 1),
        ("ç" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("x" * 66 + "😀" * 3, 2),
    ],
)
def test_a_body_takes_as_many_segments_as_its_alphabet_needs(body: str, segments: int) -> None:
    assert segments_of(body) == segments
