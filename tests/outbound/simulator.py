"""The carrier simulator as the tests reach it: its account, and its ledger by command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sandbox.carrier.ledger import SeenRequest, fetch_ledger
from schemas.identity import command_id
from sinks.outbound.config import TwilioAccount
from tests import servers
from tests.ingress.closed_port import closed_port

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "a-token-of-the-tests"
KEY, SECRET = "SK" + "f" * 32, "a-secret-of-the-tests"
SERVICE, SERVICE_NUMBER = "MG" + "5" * 32, "+13085550155"


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator."""

    url: str

    def account(self, *, connect_timeout_s: float = 2.0, read_timeout_s: float = 5.0) -> TwilioAccount:
        return account_at(self.url, connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)

    def requests(self, *commands: str) -> list[SeenRequest]:
        """The create requests of these commands, known by their callback URL; all when none is named."""
        return [
            request
            for request in fetch_ledger(self.url).requests
            if not commands or command_of(request.status_callback) in commands
        ]

    def accepted(self) -> dict[str, list[str]]:
        """The messages that exist, by the command that made them."""
        made: dict[str, list[str]] = {}
        for request in fetch_ledger(self.url).requests:
            if request.sid is not None:
                made.setdefault(command_of(request.status_callback), []).append(request.sid)
        return made


def command_of(callback_url: str | None) -> str:
    query = parse_qs(urlsplit(callback_url or "").query)
    return command_id(query["n"][0], int(query["a"][0])) if "n" in query else ""


def account_at(url: str, *, connect_timeout_s: float = 2.0, read_timeout_s: float = 5.0) -> TwilioAccount:
    return TwilioAccount(
        account_sid=ACCOUNT,
        username=KEY,
        password=SECRET,
        api_url=url,
        connect_timeout_s=connect_timeout_s,
        read_timeout_s=read_timeout_s,
    )


@contextmanager
def simulating(log: Path, *options: str) -> Iterator[Simulator]:
    secrets = {
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_KEY_SID": KEY,
        "TWILIO_API_KEY_SECRET": SECRET,
    }
    service = ("--service", f"{SERVICE}={SERVICE_NUMBER}")
    with servers.running("sandbox.carrier", *service, *options, log=log, env=secrets) as server:
        yield Simulator(server.address)


def nowhere() -> str:
    """A URL at which nobody answers: callbacks are not what these tests are about."""
    return f"http://{closed_port()}"
