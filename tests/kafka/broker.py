"""A real Apache Kafka as a child process, to be stopped, killed, paused and restarted by tests.

Guarantees: `start()` returns when the broker answers; the address and the data stay the same for the life
of the directory, so `restart()` is what a machine coming back is; no Java process outlives the thread that
called `start()`. Leaves to the caller: creating topics (the broker makes none by itself), and calling
`start()` from a thread that lives as long as the broker is wanted.
"""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka import server
from tests.waiting import wait_until

HEAP_MB = 512
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_TRIES_FOR_A_PORT = 3

# librdkafka reports each refused connection while the broker starts; nobody needs those lines.
_silent = logging.getLogger("tests.kafka.probe")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class BrokerFailedError(Exception):
    """The broker did not do what was asked; the message ends with the tail of its log."""


class KafkaHandle(Protocol):
    """What a test may do with the broker it is given, whoever runs it."""

    @property
    def bootstrap(self) -> str: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def ensure_running(self) -> None: ...
    def log_tail(self, lines: int = 40) -> str: ...


class KafkaBroker:
    """One broker whose data, configuration and `server.log` are in `directory`, made if missing.

    A directory that was a broker's before is taken up as it is, address included. As a context manager it
    starts, and stops cleanly. Methods raise BrokerFailedError, or jars.KafkaUnavailableError when there is no
    Java or the jars cannot be fetched. Not for use from several threads.
    """

    def __init__(self, directory: Path, *, port: int = 0, heap_mb: int = HEAP_MB) -> None:
        self._directory = directory
        self._port = port
        self._heap_mb = heap_mb
        self._ports = server.written_ports(directory)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`, known from the first start on."""
        if self._ports is None:
            raise BrokerFailedError("the broker has no address before its first start()")
        return f"127.0.0.1:{self._ports.broker}"

    @property
    def pid(self) -> int | None:
        """The Java process, or None when none runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> Self:
        """Run the broker on its data; returns when it answers (about 3 s). No effect on a running one."""
        if self.pid is not None:
            return self
        if self._ports is not None:
            self._launch()
            return self
        for tries_left in reversed(range(_TRIES_FOR_A_PORT)):
            self._ports = server.choose_ports(self._port)
            server.format_directory(self._directory, self._ports)
            try:
                self._launch()
                return self
            except BrokerFailedError:
                # Another process may have taken a port between the choice and the bind: then choose again.
                self._ports = None
                if tries_left == 0 or "BindException" not in self.log_tail(400):
                    raise
        raise AssertionError("the last try returns or raises")

    def stop(self) -> None:
        """A clean shutdown by SIGTERM, waited for. One that takes too long is killed and reported."""
        if self._process is None or self.pid is None:
            return
        if self._is_stopped():
            self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failed(
                f"it did not stop in {STOP_TIMEOUT_S:g} s after SIGTERM and was killed"
            ) from None

    def kill(self) -> None:
        """SIGKILL, and wait for the end. Loses what the process held, not what the kernel was given."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """The same address and data in a new process; stops the old one cleanly if it still runs."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers. Returns once the process stands still."""
        self._running("pause").send_signal(signal.SIGSTOP)
        wait_until(self._is_stopped, 10, "the broker to stand still after SIGSTOP")

    def resume(self) -> None:
        """SIGCONT after `pause()`; returns when the broker answers again."""
        self._running("resume").send_signal(signal.SIGCONT)
        self._wait_for_answer()

    def ensure_running(self) -> None:
        """Bring it back to running and answering, whatever a test left behind."""
        if self._is_stopped():
            self.resume()
        self.start()

    def log_tail(self, lines: int = 40) -> str:
        """The end of the server's log, across restarts; empty before the first start."""
        log = self._directory / "server.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        self._process = server.spawn(self._directory, self._heap_mb)
        try:
            self._wait_for_answer()
        except BaseException:
            self.kill()
            raise

    def _wait_for_answer(self) -> None:
        host, port = self.bootstrap.split(":")
        self._wait(lambda: _accepts(host, int(port)), "accept a connection")
        admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=_silent)
        self._wait(lambda: _has_a_leader(admin), "be a member of its own cluster")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            # An ended process satisfies the wait, so that its end is reported at once.
            wait_until(lambda: self.pid is None or condition(), START_TIMEOUT_S, f"the broker to {what}")
        except AssertionError as late:
            raise self._failed(str(late)) from None
        if self._process is not None and self.pid is None:
            raise self._failed(f"it ended with {self._process.returncode} while it was to {what}")

    def _running(self, verb: str) -> subprocess.Popen[bytes]:
        if self._process is None or self.pid is None:
            raise BrokerFailedError(f"there is no running broker to {verb}")
        return self._process

    def _is_stopped(self) -> bool:
        return self.pid is not None and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED

    def _failed(self, what: str) -> BrokerFailedError:
        return BrokerFailedError(
            f"Kafka in {self._directory}: {what}; its log ends:\n{self.log_tail() or '(empty)'}"
        )


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _has_a_leader(admin: AdminClient) -> bool:
    # A broker lists itself only after the controller has unfenced it: then topics can be made.
    try:
        cluster = admin.list_topics(timeout=1)
    except KafkaException:
        return False
    return bool(cluster.brokers) and cluster.controller_id >= 0
