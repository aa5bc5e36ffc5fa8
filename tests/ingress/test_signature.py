"""The signature check against Twilio's published vectors and against Twilio's own SDK."""

from __future__ import annotations

import hmac
from base64 import b64encode
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from ingress.form import Form, parse_form
from ingress.signature import (
    DEFAULT_ALGORITHM,
    SigningKey,
    algorithm_of,
    base_forms,
    compute,
    is_signed,
    signed_forms,
    verify,
)

CALL = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
DOCUMENTED_CALL = [(name, value.replace("+14158675309", "+14158675310")) for name, value in CALL]
REPEATED = [
    ("Sid", "CA123"),
    ("SidAccount", "AC123"),
    ("Digits", "5678"),
    ("Digits", "1234"),
    ("Digits", "1234"),
]
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
BODY_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"

VECTORS = [
    pytest.param(URL, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", id="https"),
    pytest.param(URL.replace(".com/", ".com:443/"), CALL, "kvajT1Ptam85bY51eRf/AJRuM3w=", id="https-443"),
    pytest.param(
        URL.replace("https", "http").replace(".com/", ".com:80/"),
        CALL,
        "0ZXoZLH/DfblKGATFgpif+LLRf4=",
        id="80",
    ),
    pytest.param(
        URL.replace("https", "http").replace(".com/", ".com:1234/"),
        CALL,
        "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
        id="1234",
    ),
    pytest.param(URL, REPEATED, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", id="repeated"),
    pytest.param(f"{URL}&bodySHA256={BODY_HASH}", [], "a9nBmqA0ju/hNViExpshrM61xv4=", id="url-only"),
    pytest.param(
        "https://example.com/myapp.php?foo=1&bar=2",
        DOCUMENTED_CALL,
        "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        id="documentation",
    ),
]


@pytest.mark.parametrize(("url", "parameters", "signature"), VECTORS)
def test_the_published_vectors_are_computed_exactly(
    url: str, parameters: list[tuple[str, str]], signature: str
) -> None:
    assert compute(url, parameters, "12345") == signature


@pytest.mark.parametrize(("url", "parameters", "signature"), VECTORS)
def test_the_published_vectors_verify(url: str, parameters: list[tuple[str, str]], signature: str) -> None:
    assert verify(signed_forms(url), parameters, signature, ["12345"])


@pytest.mark.parametrize(("url", "parameters", "signature"), VECTORS)
def test_a_published_vector_with_another_token_does_not_verify(
    url: str, parameters: list[tuple[str, str]], signature: str
) -> None:
    assert not verify(signed_forms(url), parameters, signature, ["12346", ""])


@pytest.mark.parametrize(("url", "parameters", "signature"), VECTORS)
def test_the_published_vectors_verify_as_they_come_in(
    url: str, parameters: list[tuple[str, str]], signature: str
) -> None:
    form = parse_form(urlencode(parameters).encode())
    assert isinstance(form, Form)
    base, slash, rest = url.partition("/myapp")
    rest = slash + rest
    signed, other = rest.encode() + form.signed_text, rest.encode() + form.signed_text + b"x"
    key, wrong = SigningKey("12345"), SigningKey("12346")
    assert is_signed(base_forms(base), signed, signature.encode(), [wrong, key])
    assert not is_signed(base_forms(base), signed, signature.encode(), [wrong])
    assert not is_signed(base_forms(base), other, signature.encode(), [key])


@pytest.mark.parametrize("url", [URL, URL.replace(".com/", ".com:443/")])
@pytest.mark.parametrize("signature", ["RSOYDt4T1cUTdK1PDd93/VVr8B8=", "kvajT1Ptam85bY51eRf/AJRuM3w="])
def test_either_form_of_the_url_may_have_been_signed(url: str, signature: str) -> None:
    assert verify(signed_forms(url), CALL, signature, ["12345"])


def test_during_a_rotation_either_token_signs() -> None:
    signatures = [compute(URL, CALL, token) for token in ("outgoing", "incoming")]
    assert all(verify([URL], CALL, signature, ("outgoing", "incoming")) for signature in signatures)


def test_without_a_token_nothing_verifies() -> None:
    assert not verify([URL], CALL, compute(URL, CALL, ""), ())


def test_a_missing_signature_does_not_verify() -> None:
    assert not verify([URL], CALL, None, ["12345"])


def test_a_parameter_more_breaks_the_signature() -> None:
    assert not verify([URL], [*CALL, ("Extra", "")], compute(URL, CALL, "12345"), ["12345"])


def test_an_empty_value_is_signed_by_its_name_alone() -> None:
    assert compute(URL, [("Body", "")], "12345") == compute(URL + "Body", [], "12345")


def test_spaces_around_a_value_are_signed() -> None:
    assert compute(URL, [("Body", " hi ")], "12345") != compute(URL, [("Body", "hi")], "12345")


def test_credentials_in_the_public_url_are_not_signed() -> None:
    assert signed_forms("https://user:secret@h.example/x") == (
        "https://h.example/x",
        "https://h.example:443/x",
    )


def test_the_form_that_was_configured_is_tried_first() -> None:
    assert base_forms("https://h.example/hooks/") == (
        b"https://h.example/hooks",
        b"https://h.example:443/hooks",
    )
    assert base_forms("https://h.example:8443") == (b"https://h.example:8443", b"https://h.example")


def test_an_ipv6_host_keeps_its_address() -> None:
    assert signed_forms("http://[::1]:8080/x") == ("http://[::1]/x", "http://[::1]:8080/x")


def test_a_shared_key_signs_with_sha_256() -> None:
    signature = RequestValidator("shared").compute_signature(URL, dict(CALL), "HMAC_SHA256")
    algorithm = algorithm_of("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")
    assert verify([URL], CALL, signature, ["shared"], algorithm)


def test_an_unknown_algorithm_does_not_verify() -> None:
    assert not verify([URL], CALL, compute(URL, CALL, "12345"), ["12345"], algorithm_of("algorithm=NONE"))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.text("abcdefghijklmnopqrstuvwxyzABZ019-._~%", min_size=1, max_size=12)
hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}\.[a-z]{2,4}", fullmatch=True)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """What Twilio can be told to call, as the SDK also understands it."""
    port = draw(st.none() | st.integers(1, 65535))
    query = draw(st.lists(st.tuples(words, words), max_size=3))
    return (
        f"{draw(st.sampled_from(['http', 'https']))}://{draw(hosts)}{'' if port is None else f':{port}'}"
        f"/{'/'.join(draw(st.lists(words, max_size=3)))}"
        f"{'?' if query else ''}{'&'.join(f'{name}={value}' for name, value in query)}"
    )


class MultiDict(dict[str, list[str]]):
    """The shape in which the SDK takes repeated names."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


@given(
    url=urls(),
    parameters=st.lists(st.tuples(texts, texts), max_size=8),
    token=st.text("abcdef0123456789", min_size=1, max_size=32),
    sign_form=st.sampled_from([0, 1]),
    tamper=st.booleans(),
    algorithm=st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]),
)
@example(URL, [("a", "2"), ("a", "1"), ("A", "0")], "12345", 0, False, "HMAC_SHA1")
def test_the_sdk_and_this_agree_on_every_form_post(
    url: str, parameters: list[tuple[str, str]], token: str, sign_form: int, tamper: bool, algorithm: str
) -> None:
    multi = MultiDict()
    for name, value in parameters:
        multi.setdefault(name, []).append(value)
    sdk = RequestValidator(token)
    signature = sdk.compute_signature(signed_forms(url)[sign_form], multi, algorithm)
    assert compute(signed_forms(url)[sign_form], parameters, token, algorithm) == signature
    if tamper:
        signature = ("B" if signature[0] == "A" else "A") + signature[1:]
    ours = verify(signed_forms(url), parameters, signature, [token], algorithm)
    assert ours == sdk.validate(url, multi, signature, algorithm) == (not tamper)


@given(
    token=st.text(st.characters(exclude_categories=["Cs"]), max_size=150),
    text=st.binary(max_size=200),
    algorithm=st.sampled_from([("HMAC_SHA1", "sha1"), ("HMAC_SHA256", "sha256")]),
)
@example("k" * 64, b"", ("HMAC_SHA1", "sha1"))
@example("k" * 65, b"", ("HMAC_SHA1", "sha1"))
def test_a_prepared_key_signs_as_the_standard_library_does(
    token: str, text: bytes, algorithm: tuple[str, str]
) -> None:
    name, hashed = algorithm
    expected = b64encode(hmac.new(token.encode(), text, hashed).digest())
    key = SigningKey(token)
    assert [key.sign(text, name) for _ in range(2)] == [expected] * 2


def test_a_key_does_not_show_its_token() -> None:
    assert "secret-token" not in repr(SigningKey("secret-token"))


@given(
    url=urls(),
    parameters=st.lists(
        st.tuples(texts | st.sampled_from(["Body", "To", "a=b", "a&b", "é", "\0"]), texts), max_size=8
    ),
    repeats=st.lists(st.integers(0, 7), max_size=3),
    style=st.sampled_from(["form", "everything"]),
)
def test_the_sdk_and_this_agree_from_the_bytes_of_the_body_on(
    url: str, parameters: list[tuple[str, str]], repeats: list[int], style: str
) -> None:
    sent = parameters + [parameters[index] for index in repeats if index < len(parameters)]
    if style == "form":
        body = urlencode(sent).encode()
    else:
        body = "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in sent).encode()
    multi = MultiDict()
    for name, value in sent:
        multi.setdefault(name, []).append(value)
    form = parse_form(body)
    assert isinstance(form, Form)
    signature = RequestValidator("12345").compute_signature(url, multi).encode()
    assert is_signed([url.encode()], form.signed_text, signature, [SigningKey("12345")])


def _escaped(text: str) -> str:
    """Every byte escaped, in lower case."""
    return "".join(f"%{byte:02x}" for byte in text.encode())


@given(base=urls(), target=words)
def test_the_forms_of_a_base_and_of_the_whole_url_agree(base: str, target: str) -> None:
    base = base.partition("?")[0].rstrip("/")
    assert tuple(form + f"/{target}?n=1" for form in signed_forms(base)) == signed_forms(
        f"{base}/{target}?n=1"
    )


@given(
    forms=st.lists(st.text(), max_size=2),
    parameters=st.lists(st.tuples(st.text(), st.text()), max_size=4),
    signature=st.text() | st.none(),
    tokens=st.lists(st.text(), max_size=2),
    header=st.text() | st.none(),
)
def test_no_input_makes_the_check_raise_or_accept(
    forms: list[str],
    parameters: list[tuple[str, str]],
    signature: str | None,
    tokens: list[str],
    header: str | None,
) -> None:
    assert verify(forms, parameters, signature, tokens, algorithm_of(header)) is False


@given(
    bases=st.lists(st.binary(), max_size=2),
    rest=st.binary(),
    signature=st.binary(),
    token=st.text(),
    algorithm=st.text() | st.just(DEFAULT_ALGORITHM),
)
def test_no_bytes_make_the_check_raise_or_accept(
    bases: list[bytes], rest: bytes, signature: bytes, token: str, algorithm: str
) -> None:
    assert is_signed(bases, rest, signature, [SigningKey(token)], algorithm) is False
