"""The address that clients call, before anybody serves there.

Guarantees: one that cannot be had is refused with a sentence. Leaves to others: to close it.
"""

import socket

from ingress.errors import ConfigError

# Connections that wait to be accepted: what arrives while all workers are being started again.
BACKLOG = 2048


def listening(host: str, port: int, setting: str) -> socket.socket:
    """A socket that accepts already: who connects before the start is complete waits instead of failing.

    Raises ConfigError, naming the `setting`.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as wrong:  # UnicodeError: what can be no host's name
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({_why(wrong)}); end what uses it, or change {setting}."
        ) from wrong


def _why(wrong: OSError | UnicodeError) -> str:
    return (wrong.strerror if isinstance(wrong, OSError) else None) or str(wrong)
