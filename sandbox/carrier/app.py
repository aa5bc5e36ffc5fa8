"""One simulator as an ASGI application: the parts wired together, nothing decided."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from sandbox.carrier.books import Books
from sandbox.carrier.callbacks import Poster
from sandbox.carrier.control import Control
from sandbox.carrier.errors import ApiError
from sandbox.carrier.exchange import Exchange
from sandbox.carrier.lookups import LookupsApi
from sandbox.carrier.resource import error_body
from sandbox.carrier.rest import MessagesApi
from sandbox.carrier.runner import Runner
from sandbox.carrier.settings import Settings
from sandbox.carrier.wire import WithTransport


def now_ms() -> int:
    """The simulator's clock: Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Simulator:
    """Holds what lives as long as the server's event loop. Use through `application`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._exchange = Exchange(settings.seed, settings.chaos, settings.services)
        self._books = Books(settings.seed, settings.ledger_file)
        self._running: tuple[Runner, Poster] | None = None

    def application(self) -> ASGIApp:
        """The application; it works within its lifespan only."""
        api = MessagesApi(self._settings, self._exchange, self._books, self._runner, now_ms)
        control = Control(self._settings, self._exchange, self._books, self._runner, self._poster, now_ms)
        app = Starlette(
            routes=[*api.routes, *LookupsApi(self._settings, now_ms).routes, *control.routes],
            lifespan=self._lifespan,
            exception_handlers={404: _not_found},
        )
        return WithTransport(app)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        poster = Poster(self._settings.account.auth_token, now_ms)
        runner = Runner(
            self._settings.account.sid,
            self._exchange,
            self._books,
            poster,
            self._settings.time_scale,
            now_ms,
        )
        self._running = (runner, poster)
        try:
            yield
        finally:
            await runner.close()
            await poster.close()
            self._books.close()

    def _runner(self) -> Runner:
        return self._started()[0]

    def _poster(self) -> Poster:
        return self._started()[1]

    def _started(self) -> tuple[Runner, Poster]:
        if self._running is None:
            raise RuntimeError("the simulator is not started: run its application with a lifespan")
        return self._running


async def _not_found(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = msgspec.json.encode(error_body(ApiError(20404, request.url.path)))
    return Response(body, status_code=404, media_type="application/json")
