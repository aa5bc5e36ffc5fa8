"""The ingress as it is deployed: the console command, its settings, nginx with TLS in front."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ingress.accepted import RECORDS
from tests import servers
from tests.deploy import nginx
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import ACCOUNT, BASE, TOKEN
from tests.kafka.external import skip_or_fail


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of an embedded broker and registry of our own."""
    logs = tmp_path_factory.mktemp("bus")
    topics = [option for topic in RECORDS for option in ("--topic", topic)]
    with (
        servers.running("sandbox.broker", *topics, log=logs / "broker.log") as broker,
        servers.running("sandbox.registry", log=logs / "registry.log") as registry,
    ):
        yield {"KAFKA_BOOTSTRAP_SERVERS": broker.address, "SCHEMA_REGISTRY_URL": registry.address}


@pytest.fixture(scope="session")
def ingress(bus: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """`notifystream ingress`, which believes its proxy: so it is the proxy's doing when nobody lies to it."""
    folder = tmp_path_factory.mktemp("deployed")
    settings = bus | {
        "NOTIFYSTREAM_ENV_FILE": "",
        "PUBLIC_BASE_URL": BASE,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "INGRESS_PORT": "0",
        "INGRESS_JOURNAL_DIR": str(folder / "journal"),
        "INGRESS_TRUSTED_PROXIES": "127.0.0.1",
    }
    with servers.running("notifystream", "ingress", log=folder / "stderr.log", env=settings) as server:
        yield server


@pytest.fixture(scope="session")
def nginx_there() -> None:
    """Skips where there is no nginx; where nothing may be skipped, fails."""
    reason = nginx.why_no_nginx()
    if reason is not None:
        skip_or_fail(reason)


@pytest.fixture(scope="session")
def proxy(
    nginx_there: None, ingress: servers.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[nginx.Proxy]:
    port = urlsplit(ingress.address).port
    assert port is not None
    with nginx.running(tmp_path_factory.mktemp("nginx"), port) as running:
        yield running


@pytest.fixture
def written(bus: dict[str, str]) -> Iterator[TopicReader]:
    with TopicReader(bus["KAFKA_BOOTSTRAP_SERVERS"], bus["SCHEMA_REGISTRY_URL"]) as reader:
        yield reader
