"""Looks at the routes every so often and tells what changed: one process does, the others stand by.

Guarantees: the owner of partition 0 of route.health, as the group gives it, is the only one that tells; it
begins with what was told before, whoever told it, so that a restart neither forgets a route nor tells a
change twice under another id. An absence of ClickHouse, registry or broker costs looks and decides nothing.
Leaves to `look` what is decided, to whoever reads the topic what is done about it.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from clickhouse_connect.driver.exceptions import Error
from confluent_kafka import Consumer, TopicPartition
from urllib3.exceptions import HTTPError

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable
from schemas.records import RouteHealth
from schemas.topics import Topic
from schemas.vocabulary import RouteStatus
from sinks.analytics.clickhouse import connect, judged, said
from sinks.analytics.errors import AnalyticsError, ClickHouseAway
from sinks.health import metrics
from sinks.health.book import Book
from sinks.health.config import HealthConfig
from sinks.health.decide import State
from sinks.health.errors import HealthError, Unremembered, Untold
from sinks.health.figures import figures
from sinks.health.look import look
from sinks.health.telling import Figures, Route, route_of, spans, state_of

log = logging.getLogger(__name__)

# Also how long a stop may go unnoticed.
POLL_S = 0.2
AWAY_MS = 2_000
LEADING = 0
"""Whoever has this partition tells."""


def run(config: HealthConfig, on_ready: Callable[[str], None], stop: threading.Event) -> None:
    """Look and tell until `stop` is set. Blocks; may run in any thread.

    `on_ready` is called once, when the group has answered: with what this process does. Raises HealthError
    when the broker ends the consumer for good.
    """
    watcher = _Watcher(config, on_ready)
    try:
        while not stop.is_set():
            watcher.turn(_now_ms())
    finally:
        watcher.close()


class _Watcher:
    def __init__(self, config: HealthConfig, on_ready: Callable[[str], None]) -> None:
        self._config = config
        self._on_ready: Callable[[str], None] | None = on_ready
        self._codec = Codec(config.schema_registry_url)
        self._book = Book(config.kafka, self._codec)
        # None: not ours to tell, or not yet remembered what was told.
        self._states: dict[Route, State] | None = None
        self._leads = False
        self._next = 0
        self._consumer = Consumer(config.kafka.consumer("notifystream-health", config.group))
        self._consumer.subscribe(
            [Topic.ROUTE_HEALTH], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def turn(self, now: int) -> None:
        """Keep the membership, and look when a look is due."""
        message = self._consumer.poll(POLL_S)
        error = message.error() if message is not None else None
        if error is not None:
            if error.fatal():
                raise HealthError(f"the broker ended this consumer for good: {error}; start it again")
            log.warning("kafka: %s", error)
        if not self._leads or now < self._next:
            return
        try:
            self._look(now)
        except (ClickHouseAway, RegistryUnavailable, Unremembered, Untold) as away:
            metrics.MISSED.labels(type(away).__name__).inc()
            log.warning("no look: %s; trying again in %d s", away, AWAY_MS // 1000)
            self._next = now + AWAY_MS

    def close(self) -> None:
        self._consumer.close()
        self._book.close()
        self._codec.close()

    def _look(self, now: int) -> None:
        """Remember, count, decide, tell, take over. What a crash after each step leaves behind:

        Steps 1 to 3, nothing written: the next process does them again.
        Step 4, told and acknowledged: the next process remembers it, and finds nothing new in the same look.
        Step 5, taken over: the next look is due one period later.
        A part told (Untold) is told again with the rest: the same ids, and the last one counts.
        """
        every = self._config.every_ms
        at = now - now % every
        if self._states is None:
            self._states = {route_of(told): state_of(told) for told in self._book.remembered().values()}
        found = self._figures(at)
        made = look(self._states, found, at, self._config.policy)
        self._book.tell(made.told)
        self._show(made.states, made.told)
        self._states = made.states
        self._next = at + every

    def _figures(self, at: int) -> dict[Route, Figures]:
        client = connect(self._config.clickhouse_url)
        try:
            return figures(client, spans(at, self._config.policy))
        except Error as failed:
            raise _away(failed) from failed
        except (HTTPError, OSError) as away:
            raise ClickHouseAway(f"route figures: {said(away)}") from away
        finally:
            client.close()

    def _show(self, states: dict[Route, State], told: tuple[RouteHealth, ...]) -> None:
        counted = Counter(state.status for state in states.values())
        for status in RouteStatus:
            metrics.ROUTES.labels(status).set(counted[status])
        for each in told:
            if each.since == each.at:
                metrics.CHANGES.labels(each.status, each.reason).inc()
                log.info("route %s: %s, was %s: %s", each.route, each.status, each.previous, each.reason)
        metrics.LOOKS.inc()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # The membership alone is wanted: what the topic holds is read apart.
        consumer.assign(partitions)
        if partitions:
            consumer.pause(partitions)
        self._leads = any(each.partition == LEADING for each in partitions)
        self._states = None
        if self._on_ready is not None:
            self._on_ready("looks at the routes" if self._leads else "stands by")
            self._on_ready = None

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if any(each.partition == LEADING for each in partitions):
            self._leads = False
            self._states = None
            for status in RouteStatus:
                metrics.ROUTES.labels(status).set(0)


def _away(failed: Error) -> AnalyticsError:
    """Whatever ClickHouse refuses here is for somebody to mend; the next look asks again."""
    found = judged(failed, "route figures")
    return found if isinstance(found, ClickHouseAway) else ClickHouseAway(str(found))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
