"""All child processes of one supervisor: started in stages, stopped in reverse, killed and restarted by name.

Guarantees: the processes of one stage start at the same time, and the next stage starts when all of them are
ready; a start that fails stops what was started; `stop` leaves nothing running. Leaves to `stack` what they
are.
"""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from sandbox.supervisor.child import Child, ChildSpec, SupervisorError

# Longer than any graceful end here takes: the ingress waits for requests under way, Faust for its flush.
STOP_S = 15.0


class Children:
    """Processes working in `folder`, with their logs in `folder/logs`. Not for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._stages: list[list[str]] = []
        self._running: dict[str, Child] = {}
        self._specs: dict[str, ChildSpec] = {}
        self._addresses: dict[str, str] = {}
        # Killed on purpose: their end is no surprise until they are restarted.
        self._killed: set[str] = set()

    @property
    def addresses(self) -> dict[str, str]:
        """What each process printed after READY."""
        return dict(self._addresses)

    def start(self, specs: Sequence[ChildSpec]) -> dict[str, str]:
        """Start a stage and wait until all of it is ready; returns the addresses.

        Raises SupervisorError (ChildDied) with the log of the one that did not, after stopping everything.
        """
        self._stages.append([spec.name for spec in specs])
        try:
            for spec in specs:
                self._specs[spec.name] = spec
                self._running[spec.name] = Child(spec, self.log(spec.name), self._folder)
            for spec in specs:
                self._addresses[spec.name] = self._running[spec.name].wait_ready()
        except BaseException:
            self.stop()
            raise
        return {spec.name: self._addresses[spec.name] for spec in specs}

    def run(self, spec: ChildSpec) -> None:
        """Run one that ends by itself, within its `ready_s`. Raises SupervisorError unless it exits 0."""
        with open(self.log(spec.name), "wb") as log:
            try:
                done = subprocess.run(
                    spec.argv,
                    cwd=self._folder,
                    env=dict(spec.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=spec.ready_s,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise SupervisorError(
                    f"{spec.name} did not end within {spec.ready_s:g} s{self._said(spec.name)}"
                ) from None
        if done.returncode != 0:
            raise SupervisorError(f"{spec.name} failed with {done.returncode}{self._said(spec.name)}")

    def check(self) -> None:
        """Raises ChildDied for a process that ended and was not killed here."""
        for name, child in self._running.items():
            if name not in self._killed:
                child.check()

    def kill(self, name: str) -> None:
        """SIGKILL, as when the machine goes away; `restart` brings it back. Raises SupervisorError."""
        child = self._child(name)
        child.check()
        self._killed.add(name)
        child.kill()

    def restart(self, name: str) -> None:
        """Start it again as it was, ending it first if it runs; returns when it is ready.

        Raises SupervisorError when it is not ready, or not at the address the others know.
        """
        child = self._child(name)
        if child.exit_code is None:
            child.terminate()
            child.wait_ended(time.monotonic() + STOP_S)
        fresh = Child(self._specs[name], self.log(name), self._folder)
        self._running[name] = fresh
        self._killed.discard(name)
        address = fresh.wait_ready()
        if address != self._addresses[name]:
            raise SupervisorError(
                f"{name} came back at {address} instead of {self._addresses[name]}, where nobody looks for it"
            )

    def stop(self) -> None:
        """End everything, the last stage first; what does not end in 15 s is killed. May be called twice."""
        for stage in reversed(self._stages):
            children = [self._running[name] for name in stage if name in self._running]
            for child in children:
                child.terminate()
            deadline = time.monotonic() + STOP_S
            for child in children:
                child.wait_ended(deadline)
        self._stages.clear()
        self._running.clear()

    def pid(self, name: str) -> int:
        return self._child(name).pid

    def log(self, name: str) -> Path:
        """Where the process's output is."""
        return self._logs / f"{name}.log"

    def _child(self, name: str) -> Child:
        try:
            return self._running[name]
        except KeyError:
            running = ", ".join(self._running) or "none"
            raise SupervisorError(f"there is no process {name!r}; running are: {running}") from None

    def _said(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").splitlines()
        return ":\n" + "\n".join(lines[-20:])
