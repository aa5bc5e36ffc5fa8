"""What a proxy says was called counts only from a configured proxy, and only when it says it clearly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingress.errors import ConfigError
from ingress.forwarded import Origin, TrustedProxies, forwarded_forms, forwarded_origin

PROXY = "10.0.0.5"
PROXIES = TrustedProxies.parse("10.0.0.5, 10.1.0.0/16 ,2001:db8::/32")
TOLD = {"x-forwarded-proto": "https", "x-forwarded-host": "vanity.example"}


def told(
    *headers: tuple[str, str], peer: str | None = PROXY, local: bool = False, **named: str
) -> Origin | None:
    """What follows from these headers; `x_forwarded_host="h"` is short for a pair."""
    pairs = [*headers, *((name.replace("_", "-"), value) for name, value in named.items())]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    return forwarded_origin(PROXIES, peer, raw, local=local)


@pytest.mark.parametrize("peer", ["10.0.0.6", "192.0.2.1", "::1", "10.0.0.5.", "unix", "", None])
def test_what_anybody_else_says_is_ignored(peer: str | None) -> None:
    assert told(*TOLD.items(), ("forwarded", "host=h.example"), peer=peer) is None


@pytest.mark.parametrize("peer", ["10.0.0.5", "::ffff:10.0.0.5", "10.1.255.1", "2001:db8::1"])
def test_what_a_configured_proxy_says_counts(peer: str) -> None:
    assert told(*TOLD.items(), peer=peer) == Origin("https", "vanity.example")


def test_without_configured_proxies_nobody_is_believed() -> None:
    headers = [(b"x-forwarded-host", b"vanity.example")]
    assert forwarded_origin(TrustedProxies(), PROXY, headers) is None
    assert forwarded_origin(TrustedProxies.parse(" , "), PROXY, headers) is None


def test_a_proxy_that_says_nothing_changes_nothing() -> None:
    assert told(host="h.example", x_forwarded_for="192.0.2.1") is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("h.example", Origin(None, "h.example")),
        ("H.Example:8443", Origin(None, "h.example", 8443)),
        ("192.0.2.1:1", Origin(None, "192.0.2.1", 1)),
        ("[2001:db8::1]", Origin(None, "[2001:db8::1]")),
        ("[2001:db8::1]:8443", Origin(None, "[2001:db8::1]", 8443)),
    ],
)
def test_a_host_may_have_a_port(host: str, origin: Origin) -> None:
    assert told(x_forwarded_host=host) == origin
    assert told(forwarded=f'host="{host}"') == origin


@pytest.mark.parametrize(
    "host",
    [
        "", "h.example/x", "user@h.example", "h_x.example", "h example", "h.example:", "h.example:0",
        "h.example:65536", "h.example:x", "[::1", "-h.example", "h.example#", "h.ex\xe4mple", "a" * 254,
        "h.example, ",
    ],
)  # fmt: skip
def test_a_host_that_is_none_is_ignored_with_all_the_rest(host: str) -> None:
    assert told(x_forwarded_host=host, x_forwarded_proto="https") is None


@pytest.mark.parametrize("proto", ["", "ftp", "wss", "https;", "javascript"])
def test_a_scheme_twilio_does_not_call_is_ignored_with_all_the_rest(proto: str) -> None:
    assert told(x_forwarded_proto=proto, x_forwarded_host="h.example") is None


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "443a", "٤٤٣".encode().decode("latin-1")])
def test_a_port_that_is_none_is_ignored_with_all_the_rest(port: str) -> None:
    assert told(x_forwarded_port=port, x_forwarded_host="h.example") is None


def test_a_port_of_its_own_completes_the_host_and_must_not_contradict_it() -> None:
    assert told(x_forwarded_host="h.example", x_forwarded_port="8443") == Origin(None, "h.example", 8443)
    assert told(x_forwarded_host="h.example:8443", x_forwarded_port="8443") == Origin(None, "h.example", 8443)
    assert told(x_forwarded_host="h.example:8443", x_forwarded_port="443") is None


def test_plain_http_counts_only_on_a_local_machine() -> None:
    assert told(x_forwarded_proto="http", x_forwarded_host="h.example") is None
    assert told(forwarded="proto=http;host=h.example") is None
    assert told(x_forwarded_proto="http", local=True) == Origin("http")


def test_of_a_list_the_last_value_counts_which_the_peer_wrote() -> None:
    assert told(x_forwarded_host="forged.example, h.example") == Origin(None, "h.example")
    assert told(("x-forwarded-host", "forged.example"), ("x-forwarded-host", "h.example")) == Origin(
        None, "h.example"
    )


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("for=192.0.2.1;host=h.example;proto=https", "h.example"),
        ('For="192.0.2.1:4711"; Host="h.example" ;PROTO=https', "h.example"),
        # The peer's element counts, whatever a client put in front of it.
        ("for=1.2.3.4;host=forged.example, for=192.0.2.1;host=h.example;proto=https", "h.example"),
        # Two proxies of ours: the outer one knows what was called.
        ("for=192.0.2.1;host=h.example;proto=https,for=10.1.0.1;host=inner.example;proto=http", "h.example"),
        ('host=h.example;proto=https,for="10.1.0.1:80";host=i', "h.example"),
        ('host=h.example;proto=https,for="[2001:db8::7]:80";host=i', "h.example"),
        (
            "host=forged.example, for=192.0.2.1;host=h.example;proto=https, for=10.0.0.5;host=inner.example",
            "h.example",
        ),
        # An element in front of the client's is never reached.
        ("for=10.0.0.5;host=forged.example, for=unknown;host=h.example;proto=https", "h.example"),
        ("host=forged.example, for=_hidden;host=h.example;proto=https", "h.example"),
    ],
)
def test_of_the_standard_header_the_outermost_trusted_element_counts(header: str, host: str) -> None:
    assert told(forwarded=header) == Origin("https", host)


@pytest.mark.parametrize(
    "header",
    [
        "", ",", "for=192.0.2.1", "host", "host=", "host=h.example;host=i.example", "host=h.example;",
        'host="h.example', 'host="h\\"x"', "host=h.example,", "by=10.0.0.5",
        "host=h.example proto=https", "x,for=10.0.0.5;host=h.example",
    ],
)  # fmt: skip
def test_a_standard_header_that_is_odd_or_says_nothing_is_ignored(header: str) -> None:
    assert told(forwarded=header) is None


def test_both_kinds_of_headers_count_only_when_they_agree() -> None:
    old = ("x-forwarded-host", "h.example")
    assert told(old, ("forwarded", "host=h.example")) == Origin(None, "h.example")
    assert told(old, ("forwarded", "host=i.example")) is None
    assert told(old, ("forwarded", "odd")) is None
    assert told(("x-forwarded-host", "od d"), ("forwarded", "host=h.example")) is None


@pytest.mark.parametrize(
    ("origin", "configured", "base"),
    [
        (Origin("https", "v.example"), "https://h.example", "https://v.example"),
        (Origin("https", "v.example"), "https://h.example:8443/hooks", "https://v.example/hooks"),
        (Origin("https", "v.example", 444), "https://u:p@h.example:8443/a/b", "https://v.example:444/a/b"),
        (Origin("https"), "http://h.example:8080/x", "https://h.example:8080/x"),
        (Origin("https", None, 443), "http://h.example:8080", "https://h.example"),
        (Origin(None, "[2001:db8::1]"), "https://[::1]:8443", "https://[2001:db8::1]"),
        (Origin("https"), "https://[::1]", "https://[::1]"),
        (Origin("http", None, 80), "https://h.example", "http://h.example"),
    ],
)
def test_what_was_called_takes_the_configured_urls_place_up_to_its_path(
    origin: Origin, configured: str, base: str
) -> None:
    assert origin.base(configured) == base


def test_both_forms_of_what_was_called_may_have_been_signed() -> None:
    forms = forwarded_forms(Origin("https", "v.example", 444), "https://h.example/hooks/")
    assert forms == (b"https://v.example:444/hooks", b"https://v.example/hooks")


@pytest.mark.parametrize("listed", ["10.0.0.5/8", "proxy.example", "10.0.0.256", "0.0.0.0/0", "::/0"])
def test_proxies_that_are_no_addresses_or_everybody_are_refused(listed: str) -> None:
    with pytest.raises(ConfigError, match="INGRESS_TRUSTED_PROXIES"):
        TrustedProxies.parse(listed)


headers = st.lists(
    st.tuples(
        st.sampled_from([b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port"]),
        st.binary(max_size=30)
        | st.lists(
            st.sampled_from([b"for=", b"10.0.0.5", b"host=", b"h", b",", b";", b'"', b"[", b"]", b":", b"1"])
        ).map(b"".join),
    ),
    max_size=4,
)


@given(headers, st.sampled_from([PROXY, "192.0.2.1"]) | st.text(max_size=5))
def test_no_headers_make_it_raise_or_lead_to_what_is_no_url(
    sent: list[tuple[bytes, bytes]], peer: str
) -> None:
    found = forwarded_origin(PROXIES, peer, sent)
    if found is not None:
        assert peer == PROXY
        bare, *_ = forwarded_forms(found, "https://h.example/hooks")
        assert bare.startswith(b"https://")
        assert bare.endswith(b"/hooks")
