"""Reading a form gives what Python's own parser gives, for every body, and refuses what that refuses."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingress.form import MOST_PARAMETERS, Form, parse_form
from ingress.refusals import Reason, Refusal

# What the parser has to tell apart, put together at random: bytes at random hardly ever meet.
PIECES = [
    b"a", b"b", b"B", b"C", b"2", b"3", b"=", b"&", b";", b"+", b"%", b"%2B", b"%2b", b"%3A", b"%26", b"%3D",
    b"%25", b"%00", b"\0", b"%C3", b"%A9", b"%zz", b"\xc3\xa9", b"\xff", b" ", b"AccountSid=AC1",
]  # fmt: skip
bodies = st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def by_the_standard_library(encoded: bytes) -> list[tuple[str, str]] | None:
    """The pairs, or None when it refuses."""
    try:
        return parse_qsl(
            encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        return None


def signed_text(pairs: list[tuple[str, str]]) -> bytes:
    """The signed text after the documentation's words: each name's different values, all sorted."""
    values: dict[str, set[str]] = {}
    for name, value in pairs:
        values.setdefault(name, set()).add(value)
    return "".join(name + value for name in sorted(values) for value in sorted(values[name])).encode()


@given(bodies | st.binary(max_size=40))
@settings(max_examples=1000)
@example(b"")
@example(b"&&")
@example(b"name")
@example(b"=value")
@example(b"a=1&a=2&a=1")
@example(b"a=1;b=2")
@example(b"MediaUrl1=x&MediaUrl10=y&MediaUrl=z")
@example(b"a=%2&b=%&c=%2%2B&d=%%2B1")
@example(b"a=%C3%2B")
@example(b"a=\xc3\xa9%C3%A9")
@example(b"a\0=1&a=\0")
def test_every_body_gives_what_the_standard_library_gives(encoded: bytes) -> None:
    expected, found = by_the_standard_library(encoded), parse_form(encoded)
    if expected is None:
        assert isinstance(found, Refusal)
        assert found.reason is Reason.NOT_A_FORM
        return
    assert isinstance(found, Form)
    assert list(found.pairs) == expected
    assert found.values == dict(reversed(expected))
    assert found.signed_text == signed_text(expected)


@given(st.lists(st.tuples(texts, texts), max_size=20))
def test_what_was_encoded_comes_back(pairs: list[tuple[str, str]]) -> None:
    found = parse_form(urlencode(pairs).encode())
    assert isinstance(found, Form)
    assert list(found.pairs) == pairs


@given(st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=4))
def test_a_form_can_be_made_of_any_pairs(pairs: list[tuple[str, str]]) -> None:
    assert list(Form.of(pairs).pairs) == pairs


def test_the_parameters_keep_the_order_they_were_sent_in() -> None:
    found = parse_form(b"b=1&a=2&c=3")
    assert isinstance(found, Form)
    assert list(found.values) == ["b", "a", "c"]


def test_of_a_repeated_name_the_first_value_counts() -> None:
    found = parse_form(b"a=first&a=second")
    assert isinstance(found, Form)
    assert found.get("a") == "first"


def test_the_first_name_with_a_value_is_taken() -> None:
    found = parse_form(b"empty=&there=1")
    assert isinstance(found, Form)
    assert (found.get("absent", "empty", "there"), found.get("empty")) == ("1", None)


@pytest.mark.parametrize("pair", [b"a=1", b"", b"a=%41"])
def test_more_parameters_than_any_webhook_has_are_refused(pair: bytes) -> None:
    assert isinstance(parse_form(b"&".join([pair] * MOST_PARAMETERS)), Form)
    assert isinstance(parse_form(b"&".join([pair] * (MOST_PARAMETERS + 1))), Refusal)


@pytest.mark.parametrize("encoded", [b"Body=\xff", b"Body=%FF", b"Body=%C3", b"%ED%A0%80=1"])
def test_what_is_not_utf_8_is_refused_and_not_shown(encoded: bytes) -> None:
    found = parse_form(encoded)
    assert isinstance(found, Refusal)
    assert "UTF-8" in found.detail
    assert "Body" not in found.detail
