"""What one simulator is started with: the account's secrets (environment) and its options.

Secrets come from the environment only, so that none shows in a process list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.carrier.chaos import Chaos
from sandbox.carrier.errors import SettingError


@dataclass(frozen=True, slots=True)
class Account:
    """The one account that exists, with its optional API key."""

    sid: str
    auth_token: str = field(repr=False)
    key_sid: str | None = None
    key_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Throttling:
    """Bursts of 429: the last `for_ms` of every `every_ms` of the clock; none when `every_ms` is 0."""

    every_ms: int = 0
    for_ms: int = 0

    def throttles(self, now_ms: int) -> bool:
        return self.every_ms > 0 and now_ms % self.every_ms >= self.every_ms - self.for_ms


@dataclass(frozen=True, slots=True)
class Settings:
    """One simulator. `max_concurrency` 0 is no limit; `hang_s` bounds an answer that never comes.

    `list_lag_ms`: so long after its creation a message is not in the lists yet.
    """

    account: Account
    seed: int = 0
    chaos: Chaos = field(default_factory=Chaos)
    time_scale: float = 1.0
    max_concurrency: int = 0
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inbound_url: str | None = None
    ledger_file: Path | None = None
    hang_s: float = 60.0
    throttling: Throttling = field(default_factory=Throttling)
    list_lag_ms: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.time_scale <= 1000.0:
            raise SettingError(f"--time-scale is {self.time_scale}; it lies between 0 and 1000")
        if self.list_lag_ms < 0:
            raise SettingError(f"--list-lag is {self.list_lag_ms} ms; 0 is none")
        if self.max_concurrency < 0:
            raise SettingError(f"--max-concurrency is {self.max_concurrency}; 0 is no limit, 1 the least")


def account_of(environment: Mapping[str, str]) -> Account:
    """The account in TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_API_KEY_SID, TWILIO_API_KEY_SECRET.

    Raises SettingError naming the variable that is missing or has another form.
    """
    sid = _required(environment, "TWILIO_ACCOUNT_SID", "the account to simulate, AC and 32 hex digits")
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", sid):
        raise SettingError(f"TWILIO_ACCOUNT_SID is {sid!r}; it is AC and 32 hex digits")
    token = _required(environment, "TWILIO_AUTH_TOKEN", "the secret webhooks are signed with, any text")
    key, secret = environment.get("TWILIO_API_KEY_SID"), environment.get("TWILIO_API_KEY_SECRET")
    if bool(key) != bool(secret):
        raise SettingError("set both TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET, or neither")
    return Account(sid, token, key or None, secret or None)


def throttling_of(option: str) -> Throttling:
    """From `EVERY,FOR` in seconds, FOR the shorter. Raises SettingError for anything else."""
    try:
        every_ms, for_ms = (int(float(part) * 1000) for part in option.split(","))
    except ValueError:
        every_ms, for_ms = 0, 0
    if not 0 < for_ms < every_ms:
        raise SettingError(f"--throttle-bursts {option!r}: write two numbers of seconds, as 10,1")
    return Throttling(every_ms, for_ms)


def services_of(options: list[str]) -> dict[str, tuple[str, ...]]:
    """Services from `MG…=+1…,+1…` options. Raises SettingError for another form."""
    services: dict[str, tuple[str, ...]] = {}
    for option in options:
        sid, _, numbers = option.partition("=")
        pool = tuple(number.strip() for number in numbers.split(",") if number.strip())
        if not re.fullmatch(r"MG[0-9a-fA-F]{32}", sid) or not pool:
            raise SettingError(
                f"--service {option!r}: write MG and 32 hex digits, =, and numbers with commas"
            )
        services[sid] = pool
    return services


def _required(environment: Mapping[str, str], name: str, meaning: str) -> str:
    value = environment.get(name)
    if not value:
        raise SettingError(f"{name} is not set: {meaning}")
    return value
