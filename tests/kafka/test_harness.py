"""The harness itself: it skips or fails for the reason it says, fetches whole, and leaves no Java behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests import servers
from tests.kafka import jars
from tests.kafka.broker import BrokerFailedError, KafkaBroker
from tests.kafka.external import REQUIRE, ExternalKafka
from tests.waiting import wait_until

# Fetches as Maven does, as far as the harness looks at it.
MAVEN = """#!/bin/sh
for argument in "$@"; do case $argument in -DoutputDirectory=*) into=${argument#*=};; esac; done
mkdir -p "$into" && : > "$into/kafka_2.13-0.jar"
"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def path_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only directory before the system's on PATH; nothing has been fetched."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(jars, "STORE", tmp_path / "store")
    return tmp_path / "bin"


def test_an_interrupted_fetch_is_redone_and_its_rest_removed(path_dir: Path) -> None:
    half = jars.STORE / "partial-1"
    half.mkdir(parents=True)
    executable(path_dir / "mvn", MAVEN)
    libs = jars.fetch()
    assert [jar.name for jar in libs.iterdir()] == ["kafka_2.13-0.jar"]
    assert not half.exists()


def test_a_fetch_that_is_done_is_not_repeated(path_dir: Path) -> None:
    executable(path_dir / "mvn", MAVEN)
    first = jars.fetch()
    executable(path_dir / "mvn", "#!/bin/sh\nexit 1\n")
    assert jars.fetch() == first


def test_a_failed_fetch_says_what_maven_said_and_leaves_nothing_that_looks_whole(path_dir: Path) -> None:
    executable(path_dir / "mvn", "#!/bin/sh\necho 'no such artifact'; exit 1\n")
    with pytest.raises(jars.KafkaUnavailableError, match="no such artifact"):
        jars.fetch()
    assert list(jars.STORE.glob("libs-*")) == []


def test_a_java_that_is_too_old_is_named(path_dir: Path) -> None:
    executable(path_dir / "java", "#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    with pytest.raises(jars.KafkaUnavailableError, match=r"11\.0\.2.*needs Java 17"):
        jars.java()


@pytest.mark.parametrize(("required", "exit_code", "word"), [("", 0, "1 skipped"), ("1", 1, "1 error")])
def test_without_java_a_broker_test_is_skipped_or_where_required_fails_with_the_reason(
    tmp_path: Path, required: str, exit_code: int, word: str
) -> None:
    left_out = {"JAVA_HOME", "KAFKA_BOOTSTRAP_SERVERS"}
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    inner = "tests/test_real_kafka.py::test_a_topic_nobody_declared_is_refused"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inner'}", inner],
        cwd=servers.ROOT,
        env={**kept, "PATH": str(tmp_path), REQUIRE: required},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout
    assert word in done.stdout
    assert "there is no java on PATH" in done.stdout


def test_a_broker_of_somebody_else_is_never_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE, raising=False)
    theirs = ExternalKafka("kafka.example:9092")
    for disturb in (theirs.stop, theirs.kill, theirs.pause, theirs.resume, theirs.restart):
        with pytest.raises(pytest.skip.Exception, match=r"kafka\.example:9092 is not ours"):
            disturb()


def test_waiting_in_vain_says_for_what_and_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.01 s for rain; the last value was 0"):
        wait_until(lambda: 0, 0.01, "rain")


def test_a_server_that_says_nothing_is_reported_with_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(servers.ServerFailedError, match=r"No module named tests\.no_such_server"),
        servers.running("tests.no_such_server", log=tmp_path / "log"),
    ):
        pytest.fail("it cannot have started")


@pytest.mark.broker
def test_no_java_outlives_a_killed_starter_and_its_directory_is_taken_up_again(tmp_path: Path) -> None:
    directory = tmp_path / "kafka"
    options = ("run", "--directory", str(directory))
    with servers.running("tests.kafka", *options, log=tmp_path / "log") as starter:
        [java] = psutil.Process(starter.pid).children()
        assert "kafka.Kafka" in java.cmdline()
        psutil.Process(starter.pid).kill()
        wait_until(lambda: not alive(java), 10, "Java to end with the process that started it")
    with KafkaBroker(directory) as again:
        assert again.bootstrap == starter.address


@pytest.mark.broker
def test_a_broker_that_cannot_start_says_why_with_its_log(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    broker.start()
    broker.kill()
    config = tmp_path / "server.properties"
    config.write_text(config.read_text() + "\nnum.io.threads=none\n")
    with pytest.raises(BrokerFailedError, match=r"Invalid value none for configuration num\.io\.threads"):
        broker.start()
    assert broker.pid is None


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
