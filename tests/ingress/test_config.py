"""An ingress that could not tell Twilio from anybody else does not start."""

from __future__ import annotations

from typing import Any

import pytest

from ingress.config import IngressConfig
from ingress.errors import ConfigError
from schemas.clients import Kafka
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
    ],
)
def test_a_public_url_twilio_cannot_call_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="PUBLIC_BASE_URL"):
        config(public_base_url=url)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 5.1, float("nan")])
def test_a_deadline_twilio_would_not_wait_for_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match="INGRESS_ACK_TIMEOUT_S"):
        config(ack_timeout_s=seconds)


def test_an_error_does_not_show_the_credentials_of_the_public_url() -> None:
    with pytest.raises(ConfigError) as refused:
        config(public_base_url="http://user:secret@hooks.example.com")
    assert "secret" not in str(refused.value)


def test_a_configuration_does_not_show_its_secrets() -> None:
    kafka = Kafka(bootstrap_servers="k:9092", sasl_password="broker-secret")
    shown = repr(config(kafka=kafka, tokens={ACCOUNT: (TOKEN,)}))
    assert TOKEN not in shown
    assert "broker-secret" not in shown
