"""`notifystream ingress|streams|outbound|analytics|carriers|health`: one process of a service, until SIGTERM.

Guarantees: `READY <address or name>` is the only line on stdout and comes when the service works; logs go to
stderr; SIGTERM and Ctrl-C end it with what it has begun completed. More processes of the same service share
the work.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Annotated

import typer

from notifystream import logs
from notifystream.console import WRONG_USE, configure_logging, fail, settings
from notifystream.settings import Settings

ExitWithStdin = Annotated[
    bool, typer.Option("--exit-with-stdin", hidden=True, help="End when stdin does, for whoever started it.")
]


def register(app: typer.Typer) -> None:
    for service in (ingress, streams, outbound, carriers, health):
        app.command(service.__name__)(service)


def ingress(exit_with_stdin: ExitWithStdin = False) -> None:
    """Take Twilio's webhooks in: verify, write to Kafka, answer.

    Needs KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN and PUBLIC_BASE_URL; listens on INGRESS_HOST and
    INGRESS_PORT. With INGRESS_WORKERS several processes share the address, each
    with a journal of its own and its metrics on the next port after
    METRICS_PORT; without METRICS_PORT metrics are at its own /metrics.

    [bold]Example[/]: PUBLIC_BASE_URL=https://hooks.example.com notifystream ingress
    """
    from notifystream import configs

    chosen = _prepared(exit_with_stdin, metrics=False)
    config = configs.ingress(chosen)
    from ingress.errors import IngressError
    from ingress.server import PartsEnded, run

    prepare_worker = partial(logs.configure, chosen.log_format, chosen.log_level)
    try:
        run(config, _ready_once(), prepare_worker)
    except PartsEnded as ended:
        fail(str(ended))
    except IngressError as unusable:
        fail(str(unusable), WRONG_USE)


def streams(exit_with_stdin: ExitWithStdin = False) -> None:
    """Decide: normalise requests, keep consent, fold statuses, plan attempts.

    Needs KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL and TWILIO_FROM. Several
    processes on one machine need a WORKER_INSTANCE and a FAUST_DATADIR each.

    [bold]Example[/]: TWILIO_FROM=+14155550100 notifystream streams
    """
    from notifystream import configs

    config = configs.streams(_prepared(exit_with_stdin))
    from streams.worker import run

    run(config, _ready_once())


def outbound(exit_with_stdin: ExitWithStdin = False) -> None:
    """Send through Twilio: paced per sender, journaled, never twice.

    Needs KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, PUBLIC_BASE_URL,
    TWILIO_ACCOUNT_SID and either TWILIO_API_KEY_SID with TWILIO_API_KEY_SECRET,
    or TWILIO_AUTH_TOKEN.

    [bold]Example[/]: SENDER_RATE=3 notifystream outbound
    """
    from notifystream import configs

    config = configs.outbound(_prepared(exit_with_stdin))
    from sinks.outbound.worker import run

    run(config, _ready_once())


def analytics(exit_with_stdin: bool = False) -> None:
    """The service itself; `warehousing` has its command, because it has subcommands."""
    from notifystream import configs

    stop = _stopping()
    config = configs.analytics(_prepared(exit_with_stdin))
    from sinks.analytics.errors import AnalyticsError
    from sinks.analytics.sink import run

    try:
        run(config, _ready_once(), stop)
    except AnalyticsError as error:
        fail(str(error))


def carriers(exit_with_stdin: ExitWithStdin = False) -> None:
    """Look carriers of recipients up for analytics, beside the pipeline: never in the way of a send.

    Needs KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL, CLICKHOUSE_URL and
    PII_HASH_KEY, and one thing to do at least: CARRIER_LOOKUPS_PER_MONTH, with
    TWILIO_ACCOUNT_SID and an API key or the auth token (each look-up is paid
    for); PII_HASH_KEY_PREVIOUS, while the key is changed;
    ANALYTICS_NUMBER_TENANTS, for tenants that opted in. Waits until
    `notifystream analytics` has made the tables.

    [bold]Example[/]: CARRIER_LOOKUPS_PER_MONTH=10000 notifystream carriers
    """
    from notifystream import configs

    stop = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for handled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(handled, end)
    config = configs.carriers(_prepared(exit_with_stdin))
    from sinks.analytics.errors import AnalyticsError
    from sinks.carriers.worker import run

    try:
        run(config, _ready_once(), stop)
    except AnalyticsError as error:
        fail(str(error))


def health(exit_with_stdin: ExitWithStdin = False) -> None:
    """Look at how every route delivers, and tell on route.health what changed.

    Needs KAFKA_BOOTSTRAP_SERVERS, SCHEMA_REGISTRY_URL and CLICKHOUSE_URL, and
    waits until `notifystream analytics` has made the tables. One process looks,
    more of them stand by. `notifystream routes` shows what it told.

    [bold]Example[/]: HEALTH_EVERY_S=60 notifystream health
    """
    from notifystream import configs

    stop = _stopping()
    config = configs.health(_prepared(exit_with_stdin))
    from sinks.health.errors import HealthError
    from sinks.health.worker import run

    try:
        run(config, _ready_once(), stop)
    except HealthError as error:
        fail(str(error))


def _stopping() -> threading.Event:
    """Set by SIGTERM and Ctrl-C from here on."""
    stop = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for handled in (signal.SIGTERM, signal.SIGINT):
        signal.signal(handled, end)
    return stop


def _prepared(exit_with_stdin: bool, *, metrics: bool = True) -> Settings:
    chosen = settings()
    configure_logging(chosen)
    if metrics and chosen.metrics_port is not None:
        from prometheus_client import start_http_server

        start_http_server(chosen.metrics_port, addr=chosen.metrics_host)
    if exit_with_stdin:
        from sandbox.serving import end_with_stdin

        end_with_stdin()
    return chosen


def _ready_once() -> Callable[[str], None]:
    """Prints READY the first time only: a service may become ready again after each rebalance.

    From here on whatever else is written to stdout goes to stderr: Faust writes terminal codes there.
    """
    said = threading.Event()
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def ready(address: str) -> None:
        if not said.is_set():
            said.set()
            os.write(answers, f"READY {address}\n".encode())

    return ready
