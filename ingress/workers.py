"""Several workers behind one address: a parent that starts them, starts dead ones again, and ends them all.

Guarantees: the parent alone binds the address, so that a worker's death refuses no connection; worker n has
the journal `worker-n` and the metrics on METRICS_PORT + n; `on_ready` is called when all of them answer; one
that dies is started again, soon the first time and less and less often; SIGTERM or SIGINT to the parent ends
all gracefully, and so does the parent's own death, however it came: each worker reads the end of a pipe.
Leaves to others: the life of a worker (`ingress.worker`), and restarting the parent.

The order of a key's records holds within a worker. Across workers an outage can break it: what one has in
its journal may be written behind what another took later and gave to a broker that is back. Whoever folds
statuses does so whatever their order. What a worker that is no more (fewer are set than before) left in its
journal, worker 0 drains (`ingress.app`).

uvicorn's own `Multiprocess` knows no number of a worker and no pause between restarts, and its workers
outlive a parent that was killed: they hold both ends of the pipe that would tell them.
"""

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType

import structlog

from ingress.config import IngressConfig
from ingress.errors import IngressError
from ingress.server import grace_s
from ingress.worker import Ready, Refused, work

log = structlog.get_logger("ingress.workers")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
# One that ran this long did not fail because of how it is set up.
STEADY_S = 60.0
# Beyond the grace of requests: for the producer's last records and the journal's last fsync.
END_S = 15.0

_spawn = get_context("spawn")  # a fork would copy the threads' locks of whatever the parent had begun


class CannotStart(IngressError):
    """A worker refused its settings before all were up; the message is the worker's."""


def pause_s(deaths: int) -> float:
    """Seconds to wait before a start after so many deaths (at least one) in a row."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(deaths - 1, 16))


def supervise(
    config: IngressConfig,
    listener: socket.socket,
    on_ready: Callable[[str], None],
    prepare: Callable[[], None] | None,
) -> None:
    """Run `config.workers` workers on the listening socket until SIGTERM or SIGINT; in the main thread.

    `prepare` is called first in each worker. Raises CannotStart when one refuses its settings before all were
    up; later that is logged, and tried again.
    """
    _Supervisor(config, listener, on_ready, prepare).run()


@dataclass(slots=True)
class _Worker:
    number: int
    process: SpawnProcess | None = None
    reports: "Connection[object, object] | None" = None
    ready: bool = False
    started_at: float = 0.0
    start_at: float = field(default_factory=time.monotonic)
    deaths: int = 0  # in a row


class _Supervisor:
    def __init__(
        self,
        config: IngressConfig,
        listener: socket.socket,
        on_ready: Callable[[str], None],
        prepare: Callable[[], None] | None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._on_ready: Callable[[str], None] | None = on_ready
        self._prepare = prepare
        self._workers = [_Worker(number) for number in range(config.workers)]
        self._ending = False
        # Nobody writes to it: its end is this process's.
        self._alive, self._life = _spawn.Pipe(duplex=False)

    def run(self) -> None:
        # multiprocessing's own helper, now: its start would undo the mask around the first worker's.
        resource_tracker.ensure_running()
        woken, wake = socket.socketpair()
        with woken, wake:
            wake.setblocking(False)
            before = {
                handled: signal.signal(handled, self._end) for handled in (signal.SIGTERM, signal.SIGINT)
            }
            signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
            try:
                self._watch(woken)
            finally:
                self._end_all()
                signal.set_wakeup_fd(-1)
                for handled, handler in before.items():
                    signal.signal(handled, handler)
                self._alive.close()
                self._life.close()

    def _end(self, signum: int, frame: FrameType | None) -> None:
        self._ending = True

    def _watch(self, woken: socket.socket) -> None:
        while not self._ending:
            now = time.monotonic()
            for worker in self._workers:
                if worker.process is None and worker.start_at <= now:
                    self._start(worker)
            waiting = [worker.start_at - now for worker in self._workers if worker.process is None]
            reporting = [worker.reports for worker in self._workers if worker.reports is not None]
            sentinels = [worker.process.sentinel for worker in self._workers if worker.process is not None]
            wait([woken, *reporting, *sentinels], max(0.0, min(waiting)) if waiting else None)
            for worker in self._workers:
                self._hear(worker)

    def _start(self, worker: _Worker) -> None:
        worker.started_at = time.monotonic()
        worker.ready = False
        try:
            self._spawn_process(worker)
        except OSError as trouble:  # no memory or no process left: the other workers go on
            worker.deaths += 1
            worker.start_at = worker.started_at + pause_s(worker.deaths)
            log.error("worker.not_started", worker=worker.number, detail=trouble.strerror)

    def _spawn_process(self, worker: _Worker) -> None:
        heard, reports = _spawn.Pipe(duplex=False)
        process = _spawn.Process(
            target=work,
            args=(self._config, worker.number, self._listener, reports, self._alive, self._prepare),
            name=f"ingress-{worker.number}",
        )
        # Blocked in the worker for its life: Ctrl-C in a terminal reaches all processes, and the parent's
        # SIGTERM is what ends a worker, also while it is still importing.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        except BaseException:
            heard.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            reports.close()  # the worker has its own: so its end shows here
        worker.process, worker.reports = process, heard

    def _hear(self, worker: _Worker) -> None:
        refused: Refused | None = None
        if worker.reports is not None and worker.reports.poll():
            try:
                report = worker.reports.recv()
            except (EOFError, OSError):  # OSError: killed in the middle of a report
                worker.reports.close()
                worker.reports = None
            else:
                if isinstance(report, Ready):
                    self._is_ready(worker, report.address)
                elif isinstance(report, Refused):
                    refused = report
        if refused is not None and self._on_ready is not None:
            raise CannotStart(refused.why)
        if refused is not None:
            log.error("worker.refused", worker=worker.number, detail=refused.why)
        if worker.process is not None and not worker.process.is_alive():
            self._died(worker, worker.process)

    def _is_ready(self, worker: _Worker, address: str) -> None:
        worker.ready = True
        log.info("worker.ready", worker=worker.number, pid=worker.process.pid if worker.process else None)
        if self._on_ready is not None and all(other.ready for other in self._workers):
            self._on_ready(address)
            self._on_ready = None

    def _died(self, worker: _Worker, process: SpawnProcess) -> None:
        if worker.reports is not None and worker.reports.poll():
            return  # what it said last is heard first
        now = time.monotonic()
        worker.deaths = 1 if now - worker.started_at >= STEADY_S else worker.deaths + 1
        worker.start_at = now + pause_s(worker.deaths)
        log.error(
            "worker.died",
            worker=worker.number,
            pid=process.pid,
            exit_code=process.exitcode,
            again_in_s=round(worker.start_at - now, 1),
        )
        self._forget(worker, process)

    def _forget(self, worker: _Worker, process: SpawnProcess) -> None:
        process.close()
        worker.process = None
        if worker.reports is not None:
            worker.reports.close()
            worker.reports = None

    def _end_all(self) -> None:
        # Who connects from now on is refused at once, so that a proxy asks another ingress.
        self._listener.close()
        running = [(worker, worker.process) for worker in self._workers if worker.process is not None]
        for _, process in running:
            process.terminate()
        give_up = time.monotonic() + grace_s(self._config) + self._config.ack_timeout_s + END_S
        for worker, process in running:
            process.join(max(0.0, give_up - time.monotonic()))
            if process.is_alive():
                log.error("worker.killed", worker=worker.number, pid=process.pid, detail="it did not end")
                process.kill()
                process.join()
            elif process.exitcode:
                log.warning("worker.ended", worker=worker.number, exit_code=process.exitcode)
            self._forget(worker, process)
