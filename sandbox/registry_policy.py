"""The registry's calls about what may be changed: compatibility levels (/config) and modes (/mode).

Guarantees: without a subject a call is about the registry itself; a subject without its own answers 40408 or
40409, unless `defaultToGlobal=true` asks for what holds for it.
Leaves to `registry_routes` the calls about schemas.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox import registry_wire as wire
from sandbox.registry_store import Store
from sandbox.registry_wire import answer, flag


def policy_routes(store: Store) -> list[Route]:
    """The routes over `store`, for the application that has the other calls."""
    calls = _Calls(store)
    routes: list[Route] = []
    for path in ("/config", "/config/{subject:path}"):
        routes += [
            Route(path, calls.level),
            Route(path, calls.set_level, methods=["PUT"]),
            Route(path, calls.unset_level, methods=["DELETE"]),
        ]
    for path in ("/mode", "/mode/{subject:path}"):
        routes += [
            Route(path, calls.mode),
            Route(path, calls.set_mode, methods=["PUT"]),
            Route(path, calls.unset_mode, methods=["DELETE"]),
        ]
    return routes


class _Calls:
    __slots__ = ("_state", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = store.state

    async def level(self, request: Request) -> Response:
        subject = request.path_params.get("subject")
        if subject is None or flag(request, "defaultToGlobal"):
            return answer(wire.Level(self._state.level(subject).value))
        return answer(wire.Level(self._state.own_level(subject).value))

    async def set_level(self, request: Request) -> Response:
        body = await wire.read_body(request, wire.LevelBody)
        level = wire.read_level(body.compatibility)
        self._store.set_level(request.path_params.get("subject"), level)
        return answer(wire.LevelBody(level.value))

    async def unset_level(self, request: Request) -> Response:
        subject = request.path_params.get("subject")
        before = self._state.level(None) if subject is None else self._state.own_level(subject)
        self._store.set_level(subject, None)
        return answer(wire.Level(before.value))

    async def mode(self, request: Request) -> Response:
        subject = request.path_params.get("subject")
        if subject is None or flag(request, "defaultToGlobal"):
            return answer(wire.ModeBody(wire.mode_name(self._state.read_only(subject))))
        return answer(wire.ModeBody(wire.mode_name(self._state.own_mode(subject))))

    async def set_mode(self, request: Request) -> Response:
        body = await wire.read_body(request, wire.ModeBody)
        read_only = wire.read_mode(body.mode)
        self._store.set_mode(request.path_params.get("subject"), read_only)
        return answer(wire.ModeBody(wire.mode_name(read_only)))

    async def unset_mode(self, request: Request) -> Response:
        subject = request.path_params.get("subject")
        before = self._state.read_only(None) if subject is None else self._state.own_mode(subject)
        self._store.set_mode(subject, None)
        return answer(wire.ModeBody(wire.mode_name(before)))
