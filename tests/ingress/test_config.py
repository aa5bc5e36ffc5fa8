"""An ingress that could not tell Twilio from anybody else does not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ingress.callback_url import status_callback_url
from ingress.config import LONGEST_ACK_TIMEOUT_S, IngressConfig
from ingress.errors import ConfigError
from schemas.clients import Kafka
from schemas.identity import notification_id
from tests.ingress.twilio_side import ACCOUNT, BASE, TOKEN


def config(**changed: Any) -> IngressConfig:
    settings: dict[str, Any] = {
        "kafka": Kafka(bootstrap_servers="127.0.0.1:9"),
        "schema_registry_url": "http://127.0.0.1:9",
        "public_base_url": BASE,
        "tokens": {ACCOUNT: (TOKEN,)},
    }
    return IngressConfig(**(settings | changed))


@pytest.mark.parametrize(
    "tokens", [{}, {ACCOUNT: ()}, {ACCOUNT: ("",)}, {ACCOUNT: (TOKEN, "")}, {"": (TOKEN,)}]
)
def test_without_an_auth_token_it_does_not_start(tokens: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(ConfigError, match="TWILIO_AUTH_TOKEN"):
        config(tokens=tokens)


@pytest.mark.parametrize("token", ["abc1\n", " abc1", "abc1\x00"])
def test_a_token_that_was_copied_badly_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match="copy the token again") as refused:
        config(tokens={ACCOUNT: (token,)})
    assert "abc1" not in str(refused.value)


@pytest.mark.parametrize("sid", ["AC1", "SK" + "1" * 32, "AC" + "g" * 32, f"{ACCOUNT}\n"])
def test_an_account_that_is_none_is_refused(sid: str) -> None:
    with pytest.raises(ConfigError, match="TWILIO_ACCOUNT_SID"):
        config(tokens={sid: (TOKEN,)})


def test_with_an_accounts_file_the_settings_need_no_token() -> None:
    assert config(tokens={}, accounts_file=Path("accounts.yaml")).tokens == {}


@pytest.mark.parametrize("megabytes", [0, -1])
def test_a_journal_that_could_hold_nothing_is_refused(megabytes: int) -> None:
    with pytest.raises(ConfigError, match="INGRESS_JOURNAL_MAX_MB"):
        config(journal_max_mb=megabytes)


@pytest.mark.parametrize("workers", [0, 65])
def test_a_number_of_workers_that_no_machine_has_is_refused(workers: int) -> None:
    with pytest.raises(ConfigError, match="INGRESS_WORKERS"):
        config(workers=workers)


def test_the_answer_is_decided_before_twilio_stops_listening() -> None:
    overrides = parse_qs(urlsplit(status_callback_url(BASE, notification_id("acme", "1"), 1)).fragment)
    assert int(overrides["rt"][0]) > LONGEST_ACK_TIMEOUT_S * 1000
    assert config().ack_timeout_s <= LONGEST_ACK_TIMEOUT_S


def test_more_tokens_than_a_rotation_needs_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 auth tokens"):
        config(tokens={ACCOUNT: ("a", "b", "c")})


def test_a_public_url_without_tls_is_refused() -> None:
    with pytest.raises(ConfigError, match="INGRESS_LOCAL=true"):
        config(public_base_url="http://hooks.example.com")


def test_a_public_url_without_tls_is_allowed_on_a_local_machine() -> None:
    assert config(public_base_url="http://127.0.0.1:8080", local=True).local


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com",
        "https://",
        "https://h.example:port",
        "https://[::1",
        "https://h.example/?a=1",
        "https://h.example/#rc=1",
        "https://web_hooks.example.com",
        "https://h.example?",
        "https://h.example\n",
        " https://h.example",
        "https://h.example/a b",
        "https://hé.example",
        "https://h.example#",
    ],
)
def test_a_public_url_twilio_cannot_call_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="PUBLIC_BASE_URL"):
        config(public_base_url=url)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 5.1, float("nan")])
def test_a_deadline_twilio_would_not_wait_for_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="INGRESS_ACK_TIMEOUT_S"):
        config(ack_timeout_s=seconds)


@pytest.mark.parametrize("url", ["http://user:secret@hooks.example.com", "https://user:secret/x@h.example"])
def test_an_error_does_not_show_the_credentials_of_the_public_url(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(public_base_url=url)
    assert "secret" not in f"{refused.value} {refused.value.__cause__}"


def test_a_configuration_does_not_show_its_secrets() -> None:
    kafka = Kafka(bootstrap_servers="k:9092", sasl_password="broker-secret")
    shown = repr(config(kafka=kafka, tokens={ACCOUNT: (TOKEN,)}))
    assert TOKEN not in shown
    assert "broker-secret" not in shown
