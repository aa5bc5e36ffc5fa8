"""Tokens are rotated on running workers: no genuine webhook is refused, and the old token ends."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.ingress import command
from tests.ingress.command import TIMEOUT_S, Ingress, environment
from tests.ingress.twilio_side import ACCOUNT, new_sid, post, status_form
from tests.waiting import wait_until

WORKERS = 2
OLD, NEXT = "the-token-that-goes", "the-token-that-comes"


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    path = tmp_path / "accounts"
    write(path, OLD)
    return path


@pytest.fixture
def ingress(kafka: str, registry: str, accounts: Path, tmp_path: Path) -> Iterator[Ingress]:
    file = {"TWILIO_ACCOUNTS_FILE": str(accounts), "TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": ""}
    settings = environment(kafka, registry, tmp_path / "journal", **file)
    with command.running(settings, tmp_path / "log", workers=WORKERS) as running:
        yield running


def write(path: Path, token: str, following: str | None = None) -> None:
    """As the documentation says: another file is renamed over it."""
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    next_line = f"\n  auth_token_next: {following}" if following else ""
    beside.write_text(f"- account_sid: {ACCOUNT}\n  auth_token: {token}{next_line}\n")
    beside.replace(path)


class Twilio:
    """Callbacks one after the other, signed with `token` as it is when each begins; counts the answers."""

    def __init__(self, address: str, token: str) -> None:
        self.token = token
        self.answers: Counter[tuple[str, int]] = Counter()
        self._address = address
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(keeps,)) for keeps in (True, False)]

    @contextmanager
    def calling(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join()

    def wait_for_more(self) -> None:
        """Until some more were answered that are signed with the token of now."""
        token, enough = self.token, self.answers[self.token, 204] + 20
        wait_until(lambda: self.answers[token, 204] >= enough, TIMEOUT_S, f"callbacks signed with {token}")

    def _call(self, keeps_connections: bool) -> None:
        limits = httpx2.Limits(max_keepalive_connections=None if keeps_connections else 0)
        with httpx2.Client(base_url=self._address, timeout=TIMEOUT_S, limits=limits) as client:
            while not self._ending.is_set():
                token = self.token
                answer = post(client, "/twilio/status", status_form(new_sid()), token=token)
                self.answers[token, answer.status_code] += 1


def wait_until_taken(ingress: Ingress, times: int) -> None:
    """All workers have taken this many files."""

    def taken() -> bool:
        by_worker = Counter(event["worker"] for event in ingress.events("accounts.replaced"))
        return [by_worker[worker] for worker in range(WORKERS)] == [times] * WORKERS

    wait_until(taken, TIMEOUT_S, f"accounts to be replaced {times} times by every worker")


def test_a_token_is_rotated_without_a_refused_webhook_and_the_old_one_ends(
    ingress: Ingress, accounts: Path
) -> None:
    twilio = Twilio(ingress.address, OLD)
    with twilio.calling():
        twilio.wait_for_more()
        write(accounts, OLD, NEXT)
        wait_until_taken(ingress, 1)
        twilio.wait_for_more()
        twilio.token = NEXT  # promoted at Twilio
        twilio.wait_for_more()
        write(accounts, NEXT)
        wait_until_taken(ingress, 2)
        twilio.wait_for_more()
    assert {status for _, status in twilio.answers} == {204}
    assert refusals(ingress) == 0
    with httpx2.Client(base_url=ingress.address, timeout=TIMEOUT_S) as client:
        late = [post(client, "/twilio/status", status_form(new_sid()), token=OLD) for _ in range(4)]
    assert {answer.status_code for answer in late} == {403}
    assert refusals(ingress) == 4


def refusals(ingress: Ingress) -> float:
    forged = 'ingress_refusals_total{reason="bad-signature"}'
    return sum(ingress.metric(forged, worker) or 0 for worker in range(WORKERS))
