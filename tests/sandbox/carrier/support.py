"""What the carrier's tests share: the account, a receiver of webhooks, a handle on a simulator."""

import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from sandbox.carrier.ledger import Ledger, SimMessage, fetch_ledger, fetch_pending
from tests.waiting import wait_until

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "a-token-of-the-tests"
KEY, SECRET = "SK" + "f" * 32, "a-secret-of-the-tests"
SENDER = "+15005550006"
SERVICE = "MG" + "5" * 32
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook as it arrived."""

    path: str
    headers: dict[str, str]
    params: dict[str, str]

    @property
    def status(self) -> str:
        return self.params["MessageStatus"]


@dataclass(slots=True)
class Receiver:
    """Answers 204, or for a path what was scripted: statuses in turn, 0 for silence, 302 for a redirect."""

    url: str
    hooks: list[Hook] = field(default_factory=list)
    script: defaultdict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    twiml: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def of(self, path: str) -> list[Hook]:
        return [hook for hook in self.hooks if hook.path.split("?")[0] == path]

    def await_statuses(self, path: str, *statuses: str) -> list[Hook]:
        wait_until(lambda: len(self.of(path)) >= len(statuses), PATIENCE_S, f"{statuses} at {path}")
        hooks = self.of(path)
        assert [hook.status for hook in hooks] == list(statuses)
        return hooks


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator."""

    url: str
    log: Path

    @property
    def messages_url(self) -> str:
        return f"{self.url}/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

    def client(self, user: str = ACCOUNT, secret: str = TOKEN, account: str = ACCOUNT) -> Client:
        client = Client(user, secret, account, http_client=TwilioHttpClient(timeout=10))
        client.api.base_url = self.url
        return client

    def ledger(self) -> Ledger:
        return fetch_ledger(self.url)

    def message(self, sid: str) -> SimMessage:
        return next(message for message in self.ledger().messages if message.sid == sid)

    def settle(self) -> Ledger:
        wait_until(lambda: fetch_pending(self.url).total == 0, PATIENCE_S, "nothing pending")
        return self.ledger()

    def settle_one(self, sid: str) -> SimMessage:
        wait_until(lambda: self.message(sid).done, PATIENCE_S, f"the end of {sid}")
        return self.message(sid)
