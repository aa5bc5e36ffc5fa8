"""The ingress as an ASGI application: its routes, and the parts behind them from start to end.

Guarantees: starts whether or not the broker and the registry are there; at the end waits for what the broker
has not acknowledged yet, and leaves the rest in the journal for the next start.
Leaves to others: the server it runs on (`ingress.server`), and more processes (`ingress.workers`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingress.accounts_file import AccountsFile
from ingress.answers.config import load_answers
from ingress.config import IngressConfig
from ingress.draining import Drain
from ingress.encoding import Encoder
from ingress.exchanges import Endpoint
from ingress.journal import Journal, JournalError, left_behind
from ingress.keeping import Keeper
from ingress.metrics import CONTENT_TYPE, Metrics
from ingress.publisher import Publisher
from ingress.readiness import ReadinessCheck
from ingress.routes import webhooks
from ingress.watching import watch
from ingress.webhooks import Reports
from schemas.codec import Codec

log = structlog.get_logger("ingress")

REGISTRY_TIMEOUT_S = 5.0
SCHEMAS_WAIT_S = 2.0
ACCOUNTS_REFRESH_S = 1.0
MEGABYTE = 2**20


class App:
    """For one event loop and one run of the lifespan of `rest`.

    `endpoints` are Twilio's routes by path, there while that runs; everything else goes to `rest`.
    """

    def __init__(self, config: IngressConfig, worker: int = 0, metrics: Metrics | None = None) -> None:
        """`metrics` are where it counts.

        Raises ConfigError for accounts or answers that cannot be used, JournalUnusable for such a directory.
        """
        self._config = config
        self._worker = worker
        self._accounts = AccountsFile(config)
        self._answers = load_answers(config.answers_file, config.sender_tenants)
        self._metrics = metrics or Metrics()
        self.endpoints: dict[str, Endpoint] = {}
        self._readiness: ReadinessCheck | None = None
        routes = [Route("/healthz", self._healthz), Route("/readyz", self._readyz)]
        if config.metrics_port is None:
            routes.append(Route("/metrics", self._exposition))
        self.rest = Starlette(routes=routes, lifespan=self._lifespan)
        self._directory = config.journal_dir / f"worker-{worker}"
        self._journal = Journal.open(self._directory, most_bytes=config.journal_max_mb * MEGABYTE)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Parts end in the opposite order of their start: the routes' requests are over by then."""
        config = self._config
        wanted = asyncio.Event()
        async with AsyncExitStack() as at_end, asyncio.TaskGroup() as tasks:
            journal = self._journal
            journal.start()
            at_end.push_async_callback(journal.close)
            encoder = Encoder(
                Codec(config.schema_registry_url, timeout_s=REGISTRY_TIMEOUT_S),
                config.schema_registry_url,
                config.journal_dir / "schema-ids.json",
            )
            encoder.start()
            at_end.callback(encoder.close)
            # Who connects from now on waits a moment longer, instead of being put off.
            await asyncio.to_thread(encoder.wait_for_answer, SCHEMAS_WAIT_S)

            def outage(why: str) -> None:
                keeper.broker_away(why)
                wanted.set()

            publisher = Publisher(config.kafka, on_outage=outage)
            keeper = Keeper(publisher, journal, ack_timeout_s=config.ack_timeout_s, on_journaled=wanted.set)
            publisher.start()
            watch(self._metrics, self._accounts, journal, keeper, publisher)
            self._readiness = ReadinessCheck(publisher, encoder, journal)
            self.endpoints.update(
                webhooks(
                    config,
                    lambda: self._accounts.accounts,
                    self._answers,
                    encoder,
                    keeper,
                    Reports(self._metrics),
                )
            )
            running = [
                tasks.create_task(Drain(journal, publisher, keeper, wanted).run()),
                tasks.create_task(self._refresh_accounts()),
                tasks.create_task(self._drain_left_behind(publisher, keeper)),
            ]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
                await publisher.close(config.ack_timeout_s)

    async def _refresh_accounts(self) -> None:
        while True:
            await asyncio.sleep(ACCOUNTS_REFRESH_S)
            await asyncio.to_thread(self._accounts.refresh)

    async def _drain_left_behind(self, publisher: Publisher, keeper: Keeper) -> None:
        """What workers that are no more left on this host, by the first one that is."""
        if self._worker:
            return
        in_use = {f"worker-{number}" for number in range(self._config.workers)}
        # What is kept now does not depend on these: the next start tries again.
        try:
            found = await asyncio.to_thread(_left_behind, self._config.journal_dir, in_use)
        except JournalError as trouble:
            log.error("journal.not_adopted", detail=str(trouble))
            return
        for directory in found:
            try:
                await self._adopt(directory, publisher, keeper)
            except JournalError as trouble:
                log.error("journal.not_adopted", detail=str(trouble))

    async def _adopt(self, directory: Path, publisher: Publisher, keeper: Keeper) -> None:
        journal = await asyncio.to_thread(
            Journal.open, directory, most_bytes=self._config.journal_max_mb * MEGABYTE
        )
        log.info("journal.adopted", directory=str(directory))
        journal.start()
        try:
            await Drain(journal, publisher, keeper, asyncio.Event()).empty()
        finally:
            await journal.close()

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        if self._readiness is None:
            return PlainTextResponse("starting\n", 503)
        found = await self._readiness.check()
        return Response(
            msgspec.json.encode(found), 200 if found.ready else 503, media_type="application/json"
        )

    async def _exposition(self, request: Request) -> Response:
        return Response(self._metrics.exposition(), headers={"content-type": CONTENT_TYPE})


def _left_behind(root: Path, in_use: set[str]) -> list[Path]:
    return left_behind(root, in_use=in_use)
