"""An address at which nobody answers."""

from __future__ import annotations

import socket


def closed_port() -> str:
    """host:port of a port that was free a moment ago."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"
