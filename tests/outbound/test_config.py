"""Times that do not fit together are refused before anything starts."""

import pytest

from schemas.clients import Kafka
from sinks.outbound.config import OutboundConfig, TwilioAccount, UnsafeSettings


def configured(**times: float) -> OutboundConfig:
    return OutboundConfig(
        kafka=Kafka(bootstrap_servers="kafka:9092"),
        schema_registry_url="http://registry:8081",
        twilio=TwilioAccount(account_sid="AC1", username="SK1", password="secret", read_timeout_s=10),
        public_base_url="https://hooks.example.com",
        streams_group="streams",
        **times,
    )


def test_a_doubt_is_looked_into_twice_before_it_is_held() -> None:
    with pytest.raises(UnsafeSettings, match="HOLD_AFTER_S is 100"):
        configured(settle_after_s=60, hold_after_s=100)
