"""`notifystream carriers`: what it needs, and that its settings reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from notifystream import configs
from notifystream.settings import Settings
from schemas.clients import Kafka
from sinks.carriers.config import DAY_MS, CarriersConfig, LookupConfig
from sinks.outbound.config import TwilioAccount
from tests.console.command_line import run

KEY, OLD_KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
NEEDED = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
    "CLICKHOUSE_URL": "http://127.0.0.1:1",
    "PII_HASH_KEY": KEY,
}


def _settings(**more: Any) -> Settings:
    return Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        schema_registry_url="http://127.0.0.1:2",
        clickhouse_url="http://127.0.0.1:3/db",
        pii_hash_key=SecretStr(KEY),
        **more,
    )


def test_with_nothing_to_do_it_says_what_it_could_do(tmp_path: Path) -> None:
    ran = run("carriers", folder=tmp_path, env=NEEDED)
    assert ran.code == 2
    for name in ("CARRIER_LOOKUPS_PER_MONTH", "PII_HASH_KEY_PREVIOUS", "ANALYTICS_NUMBER_TENANTS"):
        assert name in ran.stderr
    assert KEY not in ran.stderr


def test_looking_up_needs_somebody_to_ask_as(tmp_path: Path) -> None:
    ran = run("carriers", folder=tmp_path, env=NEEDED | {"CARRIER_LOOKUPS_PER_MONTH": "5"})
    assert ran.code == 2
    assert "TWILIO_ACCOUNT_SID is not set" in ran.stderr


def test_a_key_that_is_not_changed_is_refused(tmp_path: Path) -> None:
    ran = run("carriers", folder=tmp_path, env=NEEDED | {"PII_HASH_KEY_PREVIOUS": KEY})
    assert ran.code == 2
    assert "nothing to link" in ran.stderr
    assert KEY not in ran.stderr


def test_every_setting_of_the_carriers_reaches_them() -> None:
    chosen = _settings(
        pii_hash_key_previous=SecretStr(OLD_KEY),
        analytics_number_tenants=["acme"],
        carrier_lookups_per_month=7,
        carrier_lookups_per_s=3.0,
        carrier_lookup_days=30,
        twilio_lookups_url="http://127.0.0.1:4",
        twilio_account_sid="AC" + "0" * 32,
        twilio_api_key_sid="SK" + "0" * 32,
        twilio_api_key_secret=SecretStr("secret"),
        twilio_region="ie1",
        twilio_edge="dublin",
        twilio_connect_timeout_s=1.0,
        twilio_read_timeout_s=2.0,
    )
    config = configs.carriers(chosen)
    assert config == CarriersConfig(
        kafka=Kafka(bootstrap_servers="127.0.0.1:1"),
        schema_registry_url="http://127.0.0.1:2",
        clickhouse_url="http://127.0.0.1:3/db",
        pii_hash_key=KEY.encode(),
        pii_hash_key_previous=OLD_KEY.encode(),
        number_tenants=frozenset({"acme"}),
        lookups=LookupConfig(
            account=TwilioAccount(
                account_sid="AC" + "0" * 32,
                username="SK" + "0" * 32,
                password="secret",
                api_url="http://127.0.0.1:4",
                region="ie1",
                edge="dublin",
                connect_timeout_s=1.0,
                read_timeout_s=2.0,
            ),
            lookups_per_month=7,
            lookups_per_s=3.0,
            ask_again_after_ms=30 * DAY_MS,
        ),
    )
    for secret in (KEY, OLD_KEY, "secret"):
        assert secret not in repr(config)


def test_look_ups_go_where_messages_go_when_that_is_not_twilio() -> None:
    account: dict[str, Any] = {
        "carrier_lookups_per_month": 1,
        "twilio_account_sid": "AC" + "0" * 32,
        "twilio_auth_token": SecretStr("t"),
    }
    twilio, simulator = (
        configs.carriers(_settings(**account, **more)).lookups
        for more in ({}, {"twilio_api_url": "http://127.0.0.1:5"})
    )
    assert twilio is not None
    assert simulator is not None
    assert (twilio.account.api_url, simulator.account.api_url) == (
        "https://lookups.twilio.com",
        "http://127.0.0.1:5",
    )
