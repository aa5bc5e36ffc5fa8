"""The Java side of a broker: free ports, a formatted data directory, a process that dies with this one.

Guarantees: a process from `spawn()` is killed by the kernel when the thread that called it ends (Linux), so
not even a kill -9 of a test run leaves a Java behind. Leaves to `broker`: when to start, how to know that it
answers.
"""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import socket
import string
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.kafka import jars

FORMAT_TIMEOUT_S = 60.0
# Below Linux's ephemeral range (32768 up), or an outgoing connection could take the port while a test has the
# broker down.
_PORTS = range(20_000, 32_000)

# Runs as `python -c`, asks the kernel to kill this process with its parent, then becomes Java. The comparison
# closes the gap in which the parent ended before the request.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that wanted a broker is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the two listeners of the node are, on 127.0.0.1."""

    broker: int
    controller: int


def choose_ports(broker: int = 0) -> Ports:
    """Two ports nobody listens on now; `broker` names the first one if it is not 0."""
    return Ports(broker or _free_port(), _free_port())


def written_ports(directory: Path) -> Ports | None:
    """The ports of the broker whose directory this is, or None when it was never formatted."""
    config = directory / "server.properties"
    if not config.exists():
        return None
    found = re.search(r"^listeners=.*?:(\d+),.*?:(\d+)$", config.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{config} has no line 'listeners=…:PORT,…:PORT'; remove {directory} to begin anew")
    return Ports(int(found.group(1)), int(found.group(2)))


def format_directory(directory: Path, ports: Ports) -> None:
    """Make `directory` an empty broker's, whatever it was. Raises RuntimeError with what Kafka said."""
    data = directory / "data"
    if data.exists():
        shutil.rmtree(data)
    directory.mkdir(parents=True, exist_ok=True)
    template = string.Template((jars.HERE / "server.properties").read_text())
    config = directory / "server.properties"
    config.write_text(
        template.substitute(broker_port=ports.broker, controller_port=ports.controller, log_dir=data)
    )
    # A cluster id is a UUID in URL-safe base64; one that began with '-' would be read as an option.
    cluster_id = "n" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", cluster_id, "-c", str(config)]
    command = _java(["-Xmx128m", "-XX:TieredStopAtLevel=1"], tool)
    done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_TIMEOUT_S, check=False)
    if done.returncode != 0:
        config.unlink()
        raise RuntimeError(f"formatting {directory} for Kafka failed:\n{done.stdout}{done.stderr}")


def spawn(directory: Path, heap_mb: int) -> subprocess.Popen[bytes]:
    """Start the server of a formatted directory; its output is appended to `directory/server.log`."""
    java = _java(
        [f"-Xmx{heap_mb}m", "-XX:+UseSerialGC"], ["kafka.Kafka", str(directory / "server.properties")]
    )
    with open(directory / "server.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _DIE_WITH_PARENT, str(os.getpid()), *java],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=directory,
            process_group=0,  # Ctrl-C goes to the tests, which then stop the broker in order
        )


def _java(options: list[str], arguments: list[str]) -> list[str]:
    logging = f"-Dlog4j2.configurationFile={jars.HERE / 'log4j2.properties'}"
    return [jars.java(), *options, logging, "-cp", f"{jars.fetch()}/*", *arguments]


def _free_port() -> int:
    for port in random.sample(_PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"50 ports tried between {_PORTS.start} and {_PORTS.stop}, all taken")
