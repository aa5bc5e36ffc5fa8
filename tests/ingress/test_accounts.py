"""Whose token signs, and how the accounts change while the ingress runs."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from twilio.request_validator import RequestValidator

from ingress.account_entries import Source, parse_entries
from ingress.accounts import MOST_TRIED, Account, Accounts
from ingress.accounts_file import AccountsFile, Refreshed
from ingress.body_hash import verify_body
from ingress.config import IngressConfig
from ingress.errors import ConfigError
from ingress.forwarded import Origin
from schemas.clients import Kafka
from tests.ingress.twilio_side import ACCOUNT, BASE, OTHER_ACCOUNT, TOKEN, sign

TENANT_TOKEN = "the-tenants-own-token"
TENANT_BASE = "https://hooks.acme.example"
BODY = b'{"property": "value", "boolean": true}'
BODY_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"


def account(sid: str = ACCOUNT, *tokens: str, base: str = BASE, tenant: str | None = None) -> Account:
    return Account(sid=sid, tokens=tokens or (TOKEN,), public_base_urls=(base,), tenant=tenant)


def entry(sid: str = OTHER_ACCOUNT, **fields: str) -> dict[str, str]:
    return {"account_sid": sid, "auth_token": TENANT_TOKEN} | fields


def without_token(**fields: Any) -> dict[str, Any]:
    return {"account_sid": OTHER_ACCOUNT} | fields


def config(path: Path | None, **changed: Any) -> IngressConfig:
    settings: dict[str, Any] = {
        "kafka": Kafka(bootstrap_servers="127.0.0.1:9"),
        "schema_registry_url": "http://127.0.0.1:9",
        "public_base_url": BASE,
        "tokens": {ACCOUNT: (TOKEN,)},
        "accounts_file": path,
    }
    return IngressConfig(**(settings | changed))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.yaml"


def write(path: Path, *entries: dict[str, Any], mode: int = 0o600) -> None:
    """Replace the file as it should be done: by renaming another over it."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(entries))  # JSON is YAML
    new.chmod(mode)
    new.rename(path)


def signed_by(accounts: Accounts, sid: str, token: str, base: str = BASE) -> bool:
    found = accounts.get(sid)
    return found is not None and found.signed(b"/t?a=1", sign("/t?a=1", {}, token, base).encode())


# One account


def test_an_account_verifies_with_its_own_tokens_and_no_other() -> None:
    accounts = Accounts.of([account(), account(OTHER_ACCOUNT, "old", "new")])
    assert signed_by(accounts, ACCOUNT, TOKEN)
    assert [signed_by(accounts, OTHER_ACCOUNT, token) for token in ("old", "new", TOKEN)] == [
        True,
        True,
        False,
    ]


def test_an_account_is_called_at_its_own_address_only() -> None:
    accounts = Accounts.of([account(), account(OTHER_ACCOUNT, base=TENANT_BASE)])
    assert signed_by(accounts, OTHER_ACCOUNT, TOKEN, TENANT_BASE)
    assert not signed_by(accounts, OTHER_ACCOUNT, TOKEN, BASE)
    assert not signed_by(accounts, ACCOUNT, TOKEN, TENANT_BASE)


def test_an_unknown_account_is_nobodys() -> None:
    accounts = Accounts.of([account()])
    assert (accounts.get("AC" + "9" * 32), accounts.get(None), accounts.tenant_of("")) == (None, None, None)


def test_two_accounts_may_have_one_tenant() -> None:
    accounts = Accounts.of([account(tenant="acme"), account(OTHER_ACCOUNT, tenant="acme")])
    assert (accounts.tenant_of(ACCOUNT), accounts.tenant_of(OTHER_ACCOUNT)) == ("acme", "acme")


def test_what_a_proxy_says_was_called_verifies_as_well_as_the_accounts_own_address() -> None:
    signature = sign("/t", {}, TOKEN, "https://vanity.example:8443").encode()
    told = Origin("https", "vanity.example", 8443)
    assert account().signed(b"/t", signature, origin=told)
    assert not account().signed(b"/t", signature)
    assert account().signed(b"/t", sign("/t", {}).encode(), origin=told)


def test_an_account_does_not_show_its_tokens() -> None:
    assert TOKEN not in repr(Accounts.of([account()]))


# JSON bodies


def json_target(more: str = "", digest: str = BODY_HASH) -> bytes:
    return f"/twilio/events?{more}bodySHA256={digest}".encode()


def signer(accounts: Accounts, target: bytes, token: str, body: bytes = BODY) -> Account | None:
    return accounts.signer(target, body, sign(target.decode(), {}, token).encode())


def test_the_published_vector_of_a_json_body_verifies() -> None:
    accounts = Accounts.of([account(ACCOUNT, "12345", base="https://mycompany.com")])
    target = f"/myapp.php?foo=1&bar=2&bodySHA256={BODY_HASH}".encode()
    assert accounts.signer(target, BODY, b"a9nBmqA0ju/hNViExpshrM61xv4=") is accounts.get(ACCOUNT)


def test_another_body_than_the_hashed_one_is_nobodys() -> None:
    assert signer(Accounts.of([account()]), json_target(), TOKEN, BODY + b" ") is None


def test_a_body_whose_hash_is_not_signed_is_nobodys() -> None:
    accounts = Accounts.of([account()])
    assert signer(accounts, b"/twilio/events", TOKEN) is None
    signature = sign("/twilio/events", {}, TOKEN).encode()
    assert accounts.signer(json_target(), BODY, signature) is None


def test_whichever_account_signed_is_found() -> None:
    accounts = Accounts.of([account(), account(OTHER_ACCOUNT, "old", "new")])
    assert signer(accounts, json_target(), TOKEN) is accounts.get(ACCOUNT)
    assert signer(accounts, json_target(), "new") is accounts.get(OTHER_ACCOUNT)
    assert signer(accounts, json_target(), "nobodys") is None


def test_when_the_url_names_an_account_only_its_token_counts() -> None:
    accounts = Accounts.of([account(), account(OTHER_ACCOUNT, "other")])
    target = json_target(f"account={OTHER_ACCOUNT}&")
    assert signer(accounts, target, "other") is accounts.get(OTHER_ACCOUNT)
    assert signer(accounts, target, TOKEN) is None
    assert signer(accounts, json_target("account=AC0&"), TOKEN) is None


def test_of_many_accounts_the_url_must_name_one() -> None:
    sids = [f"AC{number:032x}" for number in range(MOST_TRIED + 1)]
    few, many = (Accounts.of([account(sid) for sid in chosen]) for chosen in (sids[:-1], sids))
    assert signer(few, json_target(), TOKEN) is not None
    assert signer(many, json_target(), TOKEN) is None
    assert signer(many, json_target(f"account={sids[-1]}&"), TOKEN) is many.get(sids[-1])


@given(st.binary(max_size=50), st.sampled_from(["lower", "UPPER", "space", "other"]), st.booleans())
def test_the_sdk_and_this_agree_on_hashes(body: bytes, case: str, first: bool) -> None:
    text = body.decode("latin-1")
    digest = hashlib.sha256(text.encode()).hexdigest()
    written = {"lower": digest, "UPPER": digest.upper(), "space": f"{digest}+", "other": "0" * 64}[case]
    repeated = f"bodySHA256={written}&bodySHA256=1" if first else f"bodySHA256=1&bodySHA256={written}"
    queries = (
        f"bodySHA256={written}",
        f"body%53HA256={written}",
        repeated,
        f"bodySHA256=&bodySHA256={written}",
    )
    for query in queries:
        url = f"{BASE}/events?{query}"
        validator = RequestValidator(TOKEN)
        by_the_sdk = validator.validate(url, text, validator.compute_signature(url, {}))
        assert verify_body(query.encode(), text.encode()) == by_the_sdk


@pytest.mark.parametrize("name", ["bodysha256", "BODYSHA256", "+bodySHA256", "bodySHA256%00"])
@pytest.mark.parametrize("body", [b"", BODY])
def test_a_hash_under_another_name_is_none(name: str, body: bytes) -> None:
    assert not verify_body(f"{name}={hashlib.sha256(body).hexdigest()}".encode(), body)


@given(st.binary(), st.binary(), st.binary())
def test_no_json_request_makes_it_raise_or_accept(target: bytes, body: bytes, signature: bytes) -> None:
    assert Accounts.of([account()]).signer(target, body, signature) is None
    assert verify_body(target, body) is False


# The file


def test_without_a_file_the_settings_account_is_all_there_is() -> None:
    accounts = AccountsFile(config(None))
    assert signed_by(accounts.accounts, ACCOUNT, TOKEN)
    assert accounts.refresh() is Refreshed.UNCHANGED


def test_the_file_adds_accounts_each_with_its_own_token_address_and_tenant(path: Path) -> None:
    write(path, entry(tenant="acme", public_base_url=TENANT_BASE))
    found = AccountsFile(config(path)).accounts
    assert signed_by(found, ACCOUNT, TOKEN)
    assert signed_by(found, OTHER_ACCOUNT, TENANT_TOKEN, TENANT_BASE)
    assert found.tenant_of(OTHER_ACCOUNT) == "acme"


def test_an_account_that_got_an_address_of_its_own_still_takes_callbacks_of_messages_sent_before(
    path: Path,
) -> None:
    write(path, entry(public_base_url=TENANT_BASE))
    found = AccountsFile(config(path)).accounts
    assert [signed_by(found, OTHER_ACCOUNT, TENANT_TOKEN, base) for base in (TENANT_BASE, BASE)] == [True] * 2


def test_without_an_address_of_its_own_an_account_has_the_default_one(path: Path) -> None:
    write(path, entry())
    assert signed_by(AccountsFile(config(path)).accounts, OTHER_ACCOUNT, TENANT_TOKEN, BASE)


def test_all_accounts_may_be_in_the_file(path: Path) -> None:
    write(path, entry())
    assert list(AccountsFile(config(path, tokens={})).accounts.by_sid) == [OTHER_ACCOUNT]


def test_the_settings_account_is_taken_from_the_file_when_the_file_names_it(path: Path) -> None:
    write(path, entry(ACCOUNT))
    found = AccountsFile(config(path)).accounts
    assert (signed_by(found, ACCOUNT, TENANT_TOKEN), signed_by(found, ACCOUNT, TOKEN)) == (True, False)


def test_tokens_may_come_from_the_environment(path: Path) -> None:
    write(path, without_token(auth_token_env="ACME_TOKEN", auth_token_next_env="ACME_NEXT"), mode=0o644)
    found = AccountsFile(config(path), {"ACME_TOKEN": "one", "ACME_NEXT": "two"}).accounts
    assert [signed_by(found, OTHER_ACCOUNT, token) for token in ("one", "two")] == [True, True]


def test_at_every_moment_of_a_rotation_the_token_twilio_signs_with_is_known(path: Path) -> None:
    write(path, entry(auth_token="old"))
    accounts = AccountsFile(config(path))
    assert signed_by(accounts.accounts, OTHER_ACCOUNT, "old")
    write(path, entry(auth_token="old", auth_token_next="new"))
    assert accounts.refresh() is Refreshed.REPLACED
    assert all(signed_by(accounts.accounts, OTHER_ACCOUNT, token) for token in ("old", "new"))
    write(path, entry(auth_token="new"))
    assert accounts.refresh() is Refreshed.REPLACED
    assert [signed_by(accounts.accounts, OTHER_ACCOUNT, token) for token in ("old", "new")] == [False, True]


def test_a_file_that_did_not_change_is_not_read_again(path: Path) -> None:
    write(path, entry())
    accounts = AccountsFile(config(path))
    before = accounts.accounts
    assert accounts.refresh() is Refreshed.UNCHANGED
    assert accounts.accounts is before


@pytest.mark.parametrize(
    "content", ["", "- {", "[]\n- x", "- account_sid: AC1\n", "\xff", "a: 2026-13-13", "[" * 5000]
)
def test_a_file_that_became_unusable_leaves_the_accounts_and_is_said_once(path: Path, content: str) -> None:
    write(path, entry())
    accounts = AccountsFile(config(path))
    path.write_bytes(content.encode("latin-1"))
    with capture_logs() as logs:
        assert [accounts.refresh() for _ in range(3)] == [Refreshed.REFUSED, *[Refreshed.UNCHANGED] * 2]
    assert signed_by(accounts.accounts, OTHER_ACCOUNT, TENANT_TOKEN)
    assert accounts.refused == 1
    assert [line["event"] for line in logs] == ["accounts.refused"]
    assert str(path) in logs[0]["detail"]


def test_a_file_that_is_gone_leaves_the_accounts_and_is_taken_again_when_it_is_back(path: Path) -> None:
    write(path, entry())
    accounts = AccountsFile(config(path))
    path.unlink()
    assert [accounts.refresh(), accounts.refresh()] == [Refreshed.REFUSED, Refreshed.UNCHANGED]
    write(path, entry(auth_token="new"))
    assert accounts.refresh() is Refreshed.REPLACED
    assert signed_by(accounts.accounts, OTHER_ACCOUNT, "new")


def test_a_file_others_may_read_may_hold_no_token(path: Path) -> None:
    write(path, entry(), mode=0o640)
    with pytest.raises(ConfigError, match=r"0640.*chmod 600"):
        AccountsFile(config(path))
    assert AccountsFile(config(path, local=True)).accounts.get(OTHER_ACCOUNT) is not None


def test_a_file_that_was_opened_to_others_is_taken_again_when_it_is_closed(path: Path) -> None:
    write(path, entry())
    accounts = AccountsFile(config(path))
    path.chmod(0o644)
    assert accounts.refresh() is Refreshed.REFUSED
    path.chmod(0o600)
    assert accounts.refresh() is Refreshed.REPLACED


def test_a_pipe_in_the_files_place_holds_nothing_up(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is no file"):
        AccountsFile(config(path))


def test_a_missing_file_is_an_error_at_the_start(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"TWILIO_ACCOUNTS_FILE .*cannot be read"):
        AccountsFile(config(path))


def test_no_account_at_all_is_an_error(path: Path) -> None:
    write(path)
    with pytest.raises(ConfigError, match="names no account"):
        AccountsFile(config(path, tokens={}))


# What may stand in the file

SECRET = "abcdef0123456789abcdef0123456789"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("SECRET", "entry 2 is no account"),
        ({SECRET: "x"}, "entry 2 has an unknown field; the fields are"),
        (entry(token=SECRET), "entry 2 has an unknown field 'token'"),
        ({"auth_token": SECRET}, "entry 2: Object missing required field `account_sid`"),
        (entry(SECRET), "entry 2: account_sid is no account's SID"),
        (without_token(), "entry 2: auth_token is missing"),
        (without_token(auth_token_next=SECRET), "entry 2: auth_token is missing"),
        (entry(auth_token=""), "entry 2: auth_token of account .* is empty"),
        (entry(auth_token=f"{SECRET}\n"), "entry 2: auth_token of account .* white space"),
        (entry(auth_token_next=""), "entry 2: auth_token of account .* is empty"),
        (without_token(auth_token=1234), r"entry 2: Expected `str.*auth_token`; .* in quotes"),
        (entry(auth_token_env="X_TOKEN"), "entry 2: auth_token and auth_token_env are both set"),
        (without_token(auth_token_env="X_TOKEN"), "entry 2: auth_token_env names X_TOKEN, which is not set"),
        (without_token(auth_token_env="EMPTY_TOKEN"), "auth_token_env names EMPTY_TOKEN, which is not set"),
        (entry(auth_token_next_env="X_TOKEN"), "entry 2: auth_token_next_env names X_TOKEN"),
        (without_token(auth_token_env=SECRET), "entry 2: auth_token_env is no name"),
        (without_token(auth_token_env=SECRET.upper()), "entry 2: auth_token_env is no name"),
        (entry(public_base_url="http://h.example"), "entry 2: public_base_url .*INGRESS_LOCAL"),
        (entry(public_base_url=f"https://u:{SECRET}@h.example/?x"), "entry 2: public_base_url .*no query"),
        (entry(public_base_url=f"https://u:{SECRET}/x"), "entry 2: public_base_url is not a URL"),
        (entry(public_base_url=""), "entry 2: public_base_url"),
        (entry(tenant=" "), "entry 2: tenant"),
        (entry(tenant="*"), "entry 2: tenant"),
        (entry(tenant="a\nb"), "entry 2: tenant"),
        (entry(tenant="t" * 256), "entry 2: tenant"),
        (entry(ACCOUNT), f"entry 2: account_sid {ACCOUNT} has an entry before"),
    ],
)
def test_an_error_names_file_entry_and_field_and_no_secret(wrong: Any, said: str) -> None:
    content = json.dumps([entry(ACCOUNT), wrong]).encode()
    with pytest.raises(ConfigError, match=said) as refused:
        parse_entries(content, Source("accounts.yaml", BASE, {"EMPTY_TOKEN": ""}, local=False))
    assert "TWILIO_ACCOUNTS_FILE accounts.yaml, entry 2" in str(refused.value)
    shown = f"{refused.value} {refused.value.__cause__}"
    assert SECRET not in shown
    assert SECRET.upper() not in shown
    assert TENANT_TOKEN not in shown


@pytest.mark.parametrize(
    "text",
    [
        f"- auth_token: {SECRET}: {SECRET}",
        f"- auth_token: '{SECRET}",
        f"- auth_token: @{SECRET}",
        f"- auth_token: !{SECRET} x",
        f"- auth_token: *{SECRET}",
        f"- {SECRET}: 1\n  {SECRET}: 2",
    ],
)
def test_an_error_of_the_form_shows_nothing_of_the_file(text: str) -> None:
    with pytest.raises(ConfigError, match=r"accounts.yaml, line \d+, is not YAML") as refused:
        parse_entries(text.encode(), Source("accounts.yaml", BASE, {}, local=False))
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"
    assert refused.value.__suppress_context__


def test_a_field_written_twice_is_an_error() -> None:
    text = f"- account_sid: {ACCOUNT}\n  auth_token: a\n  auth_token: b\n"
    with pytest.raises(ConfigError, match="twice"):
        parse_entries(text.encode(), Source("accounts.yaml", BASE, {}, local=False))


def test_a_tenants_address_without_tls_is_allowed_on_a_local_machine() -> None:
    content = json.dumps([entry(public_base_url="http://127.0.0.1:8080")]).encode()
    [found] = parse_entries(content, Source("accounts.yaml", BASE, {}, local=True)).accounts
    assert found.public_base_urls == ("http://127.0.0.1:8080", BASE)
