"""One synchronous JSON call to the simulator's own endpoints; shared by its typed clients."""

import http.client
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from sandbox.carrier.errors import SimulatorError

T = TypeVar("T")
_TIMEOUT_S = 30.0


def call(base_url: str, method: str, path: str, body: msgspec.Struct | None, answer: type[T]) -> T:
    """Send `body` as JSON and read the answer as `answer`.

    Raises SimulatorError naming the URL when nobody answers, on any status but 200, and on an answer
    of another shape.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname:
        raise SimulatorError(f"{base_url!r} is no simulator's address; it looks like http://127.0.0.1:8088")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request(
            method,
            path,
            body=None if body is None else msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise SimulatorError(f"{method} {base_url}{path}: no answer ({error}); is it running?") from error
    finally:
        connection.close()
    if response.status != 200:
        raise SimulatorError(
            f"{method} {base_url}{path}: {response.status} {text[:300].decode(errors='replace')}"
        )
    try:
        return msgspec.json.decode(text, type=answer)
    except msgspec.MsgspecError as error:
        raise SimulatorError(f"{method} {base_url}{path}: an answer of another shape: {error}") from error
