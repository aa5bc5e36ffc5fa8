"""Signatures and connection overrides as Twilio documents them."""

import pytest

from sandbox.carrier.callbacks import Overrides, overrides_of, signature_of
from sandbox.carrier.ledger import Failure

PARAMS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", "kvajT1Ptam85bY51eRf/AJRuM3w="),
        ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        ("https://mycompany.com/myapp.php?foo=1&bar=2#rc=2&rp=all", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
    ],
)
def test_a_signature_covers_the_url_without_its_fragment_and_every_parameter(
    url: str, signature: str
) -> None:
    assert signature_of("12345", url, PARAMS) == signature


def test_without_a_fragment_the_documented_defaults_hold() -> None:
    assert overrides_of("https://example.com/x?rc=5") == Overrides(5000, 15_000, 15_000, 1, frozenset({"ct"}))


def test_a_fragment_overrides_what_it_names() -> None:
    assert overrides_of("https://example.com/x#ct=1000&rt=2000&tt=9000&rc=3&rp=5xx,rt") == Overrides(
        1000, 2000, 9000, 3, frozenset({"5xx", "rt"})
    )


@pytest.mark.parametrize("fragment", ["ct=99", "rc=6", "rp=sometimes", "rt=abc", "e=ashburn&sni=n"])
def test_an_override_out_of_range_leaves_its_default(fragment: str) -> None:
    assert overrides_of(f"https://example.com/x#{fragment}") == Overrides()


@pytest.mark.parametrize(
    ("policy", "status", "failure", "again"),
    [
        ("ct", None, Failure.CONNECT, True),
        ("ct", None, Failure.TIMEOUT, False),
        ("ct", 500, None, False),
        ("rt", None, Failure.TIMEOUT, True),
        ("rt", None, Failure.CONNECT, False),
        ("4xx", 404, None, True),
        ("4xx", 503, None, False),
        ("5xx", 503, None, True),
        ("all", 403, None, True),
        ("all", None, Failure.BROKEN, True),
        ("all", 204, None, False),
    ],
)
def test_a_policy_retries_what_it_names_only(
    policy: str, status: int | None, failure: Failure | None, again: bool
) -> None:
    assert overrides_of(f"https://e.com/#rp={policy}").retries(status, failure) is again
