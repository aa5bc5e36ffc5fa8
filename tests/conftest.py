"""What every test may ask for: a real Kafka, the embedded one, a seed; and how a run reports about itself.

Guarantees: a test marked `broker` runs on a real Kafka, or is skipped with the exact reason, or, with
NOTIFYSTREAM_REQUIRE_BROKER=1, fails; it finds the broker running whatever the test before it did; a failed
one shows the end of the server's log; every run prints the seed that repeats it. Leaves to the tests: making
their topics under names of their own.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from tests import servers
from tests.kafka import jars
from tests.kafka.broker import KafkaBroker, KafkaHandle
from tests.kafka.external import ExternalKafka, required, skip_or_fail

SEED = int(os.environ.get("NOTIFYSTREAM_TEST_SEED") or random.SystemRandom().randrange(2**32))
os.environ["NOTIFYSTREAM_TEST_SEED"] = str(SEED)  # for the processes among which the tests are divided
_broker_key = pytest.StashKey[KafkaHandle]()

hypothesis.settings.register_profile("local", deadline=None, print_blob=True)
# On a shared machine a slow draw says nothing about the code.
hypothesis.settings.register_profile(
    "ci", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    chosen = config.getoption("--hypothesis-profile", default=None)
    hypothesis.settings.load_profile(str(chosen) if chosen else ("ci" if os.environ.get("CI") else "local"))
    if config.getoption("--hypothesis-seed", default=None) is None:
        config.option.hypothesis_seed = str(SEED)


def pytest_report_header(config: pytest.Config) -> list[str]:
    external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    kafka = f"at {external}" if external else f"{jars.version()}, of our own"
    return [
        f"seed: {SEED} (repeat with NOTIFYSTREAM_TEST_SEED={SEED})",
        f"real kafka: {kafka}{', required' if required() else ''}",
    ]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a real Kafka first: they take longest, and whoever works off the last file works alone."""
    slow = {item.path for item in items if item.get_closest_marker("broker") is not None}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("broker") is not None:
        reason = _why_no_broker()
        if reason is not None:
            skip_or_fail(f"needs a real Kafka: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("broker") is not None:
        if report.skipped and required() and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = f"a broker test was skipped where none may be: {report.longrepr}"
        broker = item.session.stash.get(_broker_key, None)
        if report.failed and broker is not None:
            report.sections.append(("end of the Kafka server's log", broker.log_tail()))
    return report


@pytest.fixture(scope="session")
def real_kafka(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KafkaHandle]:
    """A real Kafka for the whole run: one of our own, or the one KAFKA_BOOTSTRAP_SERVERS names.

    For tests marked `broker`. A broker of our own may be paused, killed and restarted; whatever a test leaves
    is put right before the next one.
    """
    external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if external:
        yield ExternalKafka(external)
        return
    reason = _why_no_broker()
    if reason is not None:
        skip_or_fail(f"needs a real Kafka: {reason}")
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        request.session.stash[_broker_key] = broker
        yield broker
        del request.session.stash[_broker_key]


@pytest.fixture
def untouched_kafka(tmp_path: Path) -> Iterator[KafkaHandle]:
    """A real Kafka no other test has made topics or records on, or the one KAFKA_BOOTSTRAP_SERVERS names.

    For what takes all our topics by their real names and reads them from their beginning.
    """
    external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if external:
        yield ExternalKafka(external)
        return
    with KafkaBroker(tmp_path / "untouched-kafka") as broker:
        yield broker


@pytest.fixture(autouse=True)
def _broker_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    broker = request.session.stash.get(_broker_key, None)
    if broker is not None:
        broker.ensure_running()


@pytest.fixture(scope="session")
def embedded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`host:port` of the sandbox's embedded broker: in memory, stores no offsets of a transaction."""
    log = tmp_path_factory.mktemp("embedded-kafka") / "stderr.log"
    with servers.running("sandbox.broker", log=log) as broker:
        yield broker.address


@pytest.fixture
def seed() -> int:
    """The run's seed, for anything random in a test that is not hypothesis's."""
    return SEED


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the services do."""
    return "asyncio"


@cache
def _why_no_broker() -> str | None:
    return None if os.environ.get("KAFKA_BOOTSTRAP_SERVERS") else jars.why_unavailable()
