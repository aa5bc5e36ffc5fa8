"""Fetch the jars of Apache Kafka with Maven, once, into `.kafka/` of the clone.

Guarantees: a directory that `fetch()` returns is complete (it gets its name by one rename, after Maven
ended well), and two test runs never fetch at the same time. Leaves to the caller: Maven's own configuration
(mirrors, proxies, its local repository), and running the jars.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
STORE = HERE.parent.parent / ".kafka"
JAVA_NEEDED = 17  # Kafka 4 servers: KIP-1013
FETCH_TIMEOUT_S = 600.0


class KafkaUnavailableError(Exception):
    """There is no way to run Kafka here; the message says what is missing and what to do."""


def version() -> str:
    """The Kafka version that pom.xml names."""
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", (HERE / "pom.xml").read_text())
    if found is None:
        raise KafkaUnavailableError(f"{HERE / 'pom.xml'} has no <kafka.version> property")
    return found.group(1)


def java() -> str:
    """The path of a Java runtime that can run this Kafka. Raises KafkaUnavailableError."""
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=os.path.join(home, "bin")) if home else None
    path = path or shutil.which("java")
    if path is None:
        raise KafkaUnavailableError(
            f"there is no java on PATH; install a JRE of version {JAVA_NEEDED} or later "
            "(Debian: openjdk-17-jre-headless)"
        )
    told = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found.group(1)) < JAVA_NEEDED:
        raise KafkaUnavailableError(
            f"{path} says {told.splitlines()[0] if told else 'nothing'!r}; "
            f"Kafka {version()} needs Java {JAVA_NEEDED} or later"
        )
    return path


def fetch() -> Path:
    """The directory of the jars, fetched now if it is not there yet (about 7 s and 54 MB).

    Raises KafkaUnavailableError when Maven is missing or fails.
    """
    libs = STORE / f"libs-{version()}"
    if libs.is_dir():
        return libs
    with _lock():
        if libs.is_dir():  # the run that held the lock before this one fetched it
            return libs
        for left_behind in STORE.glob("partial-*"):
            shutil.rmtree(left_behind)
        partial = STORE / f"partial-{os.getpid()}"
        _copy_dependencies(partial)
        partial.rename(libs)
    return libs


def why_unavailable() -> str | None:
    """Why no broker can run here, or None when `fetch()` and `java()` have succeeded."""
    try:
        java()
        fetch()
    except KafkaUnavailableError as missing:
        return str(missing)
    return None


@contextmanager
def _lock() -> Iterator[None]:
    # The kernel drops the lock with the process that holds it, so a killed fetch blocks nobody.
    STORE.mkdir(exist_ok=True)
    with open(STORE / "fetch.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy_dependencies(into: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            "there is no mvn on PATH to fetch Kafka with; install Maven (Debian: maven)"
        )
    command = [maven, "-B", "-q", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={into}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise KafkaUnavailableError(f"Maven did not fetch Kafka in {FETCH_TIMEOUT_S:g} s") from slow
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise KafkaUnavailableError(f"Maven could not fetch Kafka (exit {done.returncode}):\n{tail}")
    if not any(into.glob("kafka_2.13-*.jar")):
        raise KafkaUnavailableError(f"Maven ended well but put no Kafka server into {into}")
