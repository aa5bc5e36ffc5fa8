"""The callback URL carries the attempt to Twilio and back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.callback_url import attempt_of, status_callback_url
from schemas.identity import notification_id

ID = notification_id("acme", "order-1")


@given(st.uuids(), st.integers(1, 9999))
def test_the_attempt_comes_back_from_the_url(notification: object, attempt: int) -> None:
    url = status_callback_url("https://hooks.example.com", str(notification), attempt)
    assert attempt_of(urlsplit(url).query) == (str(notification), attempt)


def test_the_base_may_end_with_a_slash_and_have_a_path() -> None:
    url = status_callback_url("https://example.com/hooks/", ID, 2)
    assert url.startswith(f"https://example.com/hooks/twilio/status?n={ID}&a=2#")


def test_twilio_is_told_to_retry_every_failure_within_what_it_allows() -> None:
    overrides = {
        name: values[0]
        for name, values in parse_qs(
            urlsplit(status_callback_url("https://h.example", ID, 1)).fragment
        ).items()
    }
    assert (overrides["rc"], overrides["rp"]) == ("5", "all")
    assert 100 <= int(overrides["ct"]) <= 10_000
    assert 100 <= int(overrides["rt"]) < int(overrides["tt"]) <= 15_000


@pytest.mark.parametrize(
    "query",
    [
        "",
        "n=&a=",
        "n=x&a=1",
        f"n={ID}",
        "a=1",
        f"n={ID}&a=0",
        f"n={ID}&a=x",
        "%ff=%ff",
        "&" * 500,
        f"n={ID}&a=10000",
    ],
)
def test_a_query_that_is_not_ours_names_no_attempt(query: str) -> None:
    assert attempt_of(query) is None


@given(st.text())
def test_no_query_makes_it_raise(query: str) -> None:
    assert attempt_of(query) is None or "n=" in query
