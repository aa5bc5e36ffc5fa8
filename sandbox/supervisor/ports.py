"""Ports chosen ahead, for servers whose address others must know before they run and after they come back."""

import random
import socket

# Below Linux's ephemeral range (32768 up): an outgoing connection could take the port while its server is
# down.
_RANGE = range(20_000, 32_000)
_TRIES = 200


class NoFreePort(Exception):
    """Every port tried is taken."""


def free_ports(count: int) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens on now. Raises NoFreePort."""
    found: list[int] = []
    for port in random.SystemRandom().sample(_RANGE, _TRIES):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise NoFreePort(
        f"{_TRIES} ports between {_RANGE.start} and {_RANGE.stop} tried, fewer than {count} free"
    )
