"""What the outbound sink needs to know, resolved and checked once at start."""

import msgspec

from schemas.clients import Kafka
from streams.policy import DEFAULTS, Policies

GROUP = "notifystream-outbound"
TWILIO_API = "https://api.twilio.com"


class UnsafeSettings(Exception):
    """The times do not fit together: a doubt could be settled while the call may still be made."""


class TwilioAccount(msgspec.Struct, frozen=True, kw_only=True):
    """`username` and `password` are an API key and its secret, or the account SID and its auth token.

    `region` and `edge` say which of Twilio's machines are asked, at api.{edge}.{region}.twilio.com; another
    `api_url` than Twilio's own is asked as it is.
    """

    account_sid: str
    username: str
    password: str
    api_url: str = TWILIO_API
    region: str | None = None
    edge: str | None = None
    check_media: bool = False
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 10.0

    def __repr__(self) -> str:
        return f"TwilioAccount({self.account_sid}, {self.api_url})"


class OutboundConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are per sender, in segments per second; times in seconds.

    `call_window_s`: a call that has not begun this long after its journal entry was made is not made at
    all. `settle_after_s`: from then on absence at the provider proves that a command was not carried out.
    `policies` must be those of the stream processors: they say which senders one opt-out covers.
    """

    kafka: Kafka
    schema_registry_url: str
    twilio: TwilioAccount
    public_base_url: str
    streams_group: str
    sender_rate: float = 1.0
    sender_burst: float = 1.0
    concurrency: int = 128
    call_window_s: float = 5.0
    settle_after_s: float = 120.0
    hold_after_s: float = 3600.0
    fetches_per_s: float = 10.0
    instance: str = "0"
    session_timeout_s: float = 10.0
    states_every_s: float = 5.0
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    policies: Policies = DEFAULTS

    def __repr__(self) -> str:
        return f"OutboundConfig({self.instance}, {self.kafka.bootstrap_servers}, {self.twilio!r})"

    def __post_init__(self) -> None:
        last_answer = self.call_window_s + self.twilio.connect_timeout_s + self.twilio.read_timeout_s
        if self.settle_after_s <= last_answer:
            raise UnsafeSettings(
                f"SETTLE_AFTER_S is {self.settle_after_s:g}, but a call may still be answered "
                f"{last_answer:g} s after it was journaled (call window + connect + read time-outs): "
                "raise it, or lower these"
            )
        if self.hold_after_s < 2 * self.settle_after_s:
            raise UnsafeSettings(
                f"HOLD_AFTER_S is {self.hold_after_s:g}, less than twice SETTLE_AFTER_S "
                f"({self.settle_after_s:g}): a doubt would be held before it was looked into again; raise it"
            )
