"""The carriers process in this process, on the servers of the analytics tests and a carrier simulator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from schemas.topics import Topic
from sinks.carriers.config import CarriersConfig, LookupConfig
from sinks.carriers.worker import run
from sinks.outbound.config import TwilioAccount
from tests.analytics.world import KEY, WAIT_S, World
from tests.waiting import wait_until

GROUP = "notifystream-carriers"


def config(around: World, account: TwilioAccount | None = None, **changes: Any) -> CarriersConfig:
    lookups = {
        name: changes.pop(name) for name in ("lookups_per_month", "ask_again_after_ms") if name in changes
    }
    if account is not None:
        made = LookupConfig(account=account, **{"lookups_per_month": 1000, "lookups_per_s": 100.0, **lookups})
        changes["lookups"] = made
    return CarriersConfig(
        **{
            "kafka": around.kafka,
            "schema_registry_url": around.registry_url,
            "clickhouse_url": around.clickhouse.url,
            "pii_hash_key": KEY,
            **changes,
        }
    )


@contextmanager
def carrying(chosen: CarriersConfig, now_ms: Callable[[], int] | None = None) -> Iterator[None]:
    """A carriers process in a thread, from ready to ended; its error, if any, is raised here."""
    stop, ready = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            clock = () if now_ms is None else (now_ms,)
            run(chosen, lambda _: ready.set(), stop, *clock)
        except BaseException as error:
            errors.append(error)
            ready.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert ready.wait(WAIT_S), "the carriers process did not become ready"
        yield
    finally:
        stop.set()
        thread.join(WAIT_S)
        if errors:
            raise errors[0]
        assert not thread.is_alive(), "the carriers process did not end"


def wait_until_passed(around: World, requests: int) -> None:
    """Until the group has committed so many requests."""
    wait_until(
        lambda: around.committed(Topic.REQUESTS, GROUP) == requests,
        WAIT_S,
        f"{requests} requests to be passed",
    )
