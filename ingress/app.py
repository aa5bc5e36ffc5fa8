"""The ingress as an ASGI application: its routes, and the parts behind them from start to end.

Guarantees: starts whether or not the broker and the registry are there, answers 503 until they are, and at
the end waits for what the broker has not acknowledged yet.
Leaves to others: the server it runs on (`ingress.server`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ingress.callback_url import INBOUND_PATH, STATUS_PATH
from ingress.config import IngressConfig
from ingress.encoding import Encoder
from ingress.metrics import CONTENT_TYPE, Metrics
from ingress.publisher import Publisher
from ingress.readiness import ReadinessCheck
from ingress.reading import Reader
from ingress.webhooks import Webhooks
from schemas.codec import Codec

REGISTRY_TIMEOUT_S = 5.0


def create_app(config: IngressConfig) -> Starlette:
    """The application for one event loop and one run of its lifespan."""
    metrics = Metrics()
    publisher = Publisher(config.kafka, ack_timeout_s=config.ack_timeout_s)
    journal = Encoder(Codec(config.schema_registry_url, timeout_s=REGISTRY_TIMEOUT_S), publisher)
    readiness = ReadinessCheck(publisher, journal, config.schema_registry_url)
    webhooks = Webhooks(Reader(config), config.sender_tenants, journal, metrics)

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        found = await readiness.check()
        return Response(
            msgspec.json.encode(found), 200 if found.ready else 503, media_type="application/json"
        )

    async def exposition(request: Request) -> Response:
        return Response(metrics.exposition(), headers={"content-type": CONTENT_TYPE})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        publisher.start()
        journal.start()
        try:
            yield
        finally:
            journal.close()
            readiness.close()
            await publisher.close()

    return Starlette(
        routes=[
            Route(STATUS_PATH, webhooks.status, methods=["GET", "POST"]),
            Route(INBOUND_PATH, webhooks.inbound, methods=["GET", "POST"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", exposition),
        ],
        lifespan=lifespan,
    )
