"""The compose file, checked as far as that goes without a container engine.

Guarantees: what it refers to exists — services, volumes, health checks that are waited for, subcommands,
settings, files to copy. With the compose client installed (no engine needed) also that the file is valid.
Leaves to a machine with an engine: that the images exist and start.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from notifystream.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = ROOT / "docker-compose.yml"
TEXT = COMPOSE.read_text()
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "notifystream"}
SETTINGS = {name.upper() for name in Settings.model_fields}
# What the file itself asks the caller for, beyond the settings.
OF_THE_FILE = {"CLICKHOUSE_PASSWORD"}


def test_the_services_and_what_they_stand_on_are_there() -> None:
    assert set(OURS) == {"topics", "ingress", "streams", "outbound", "analytics", "health", "carriers"}
    assert set(SERVICES) - set(OURS) == {"kafka", "schema-registry", "clickhouse"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_exists_and_can_come_true(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        waited_for = SERVICES[other]
        match how["condition"]:
            case "service_healthy":
                assert waited_for["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
            case "service_completed_successfully":
                assert waited_for["restart"] == "no", f"{other} would be started again and never complete"
            case unknown:
                pytest.fail(f"{name} waits for {other} with the unknown condition {unknown!r}")


def test_no_service_waits_for_itself_through_others() -> None:
    waits = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    started: set[str] = set()
    while ready := {name for name in waits.keys() - started if waits[name] <= started}:
        started |= ready
    assert started == set(SERVICES)


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_subcommand_that_exists(name: str) -> None:
    command = [str(Path(sys.executable).parent / "notifystream"), *OURS[name]["command"], "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(command)} says: {done.stdout}{done.stderr}"


def test_the_console_command_starts_without_the_sandbox_s_packages() -> None:
    # The image installs the dependencies of the project without its extras.
    blocked = "import sys; sys.modules.update(dict.fromkeys(('chdb', 'avro', 'psutil')))"
    program = f"{blocked}; sys.argv = ['notifystream', '--help']; from notifystream.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_a_setting_the_code_knows(name: str) -> None:
    assert set(OURS[name]["environment"]) - SETTINGS == set()


def test_every_variable_taken_from_the_caller_is_a_setting_or_belongs_to_the_file() -> None:
    assert set(re.findall(r"\$\{(\w+)", TEXT)) - SETTINGS == OF_THE_FILE


def test_a_secret_has_no_default_in_the_file() -> None:
    defaults = re.findall(r"\$\{(\w+):-", TEXT)
    assert defaults
    assert [name for name in defaults if re.search("TOKEN|SECRET|KEY|PASSWORD", name)] == []


def test_only_what_asks_paid_questions_waits_to_be_asked_for() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["carriers"]
    assert "docker compose --profile carriers up" in TEXT
    assert "CARRIER_LOOKUPS_PER_MONTH" in OURS["carriers"]["environment"]


def test_each_service_gets_only_the_secrets_of_its_own_work() -> None:
    holders = {
        secret: {name for name, service in OURS.items() if secret in service["environment"]}
        for secret in ("TWILIO_AUTH_TOKEN", "TWILIO_API_KEY_SECRET", "PII_HASH_KEY", "CLICKHOUSE_URL")
    }
    assert holders == {
        "TWILIO_AUTH_TOKEN": {"ingress", "outbound", "carriers"},
        "TWILIO_API_KEY_SECRET": {"outbound", "carriers"},
        "PII_HASH_KEY": {"analytics", "carriers"},
        "CLICKHOUSE_URL": {"analytics", "health", "carriers"},
    }


def test_ports_are_published_to_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_named_volumes_are_declared_and_used() -> None:
    used = {v.split(":")[0] for service in SERVICES.values() for v in service.get("volumes", [])}
    assert used == set(FILE["volumes"])


def test_what_the_ingress_keeps_without_a_broker_is_on_a_volume() -> None:
    (mounted,) = OURS["ingress"]["volumes"]
    name, _, folder = mounted.partition(":")
    assert name in FILE["volumes"]
    assert OURS["ingress"]["environment"]["INGRESS_JOURNAL_DIR"].startswith(f"{folder}/")
    # A new volume has the owner of this folder in the image, so it must be there and the user's own.
    assert f"--create-home --home-dir {folder} notifystream" in (ROOT / "Dockerfile").read_text()


def test_images_from_elsewhere_name_a_version() -> None:
    for name in set(SERVICES) - set(OURS):
        assert re.search(r":\d+\.\d+", SERVICES[name]["image"]), f"{name} runs whatever is newest"


def test_the_image_copies_only_what_exists_and_what_dockerignore_lets_through() -> None:
    copied = [
        source
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert [source for source in copied if not (ROOT / source).exists()] == []
    assert set(copied) == let_through


def test_the_compose_client_accepts_the_file_and_demands_what_has_no_default() -> None:
    compose = compose_client()
    if compose is None:
        pytest.skip("no compose client here (neither `docker compose` nor `docker-compose` of version 2)")
    wanted = set(re.findall(r"\$\{(\w+):\?", TEXT))
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    full = {**environment, **dict.fromkeys(wanted, "value")}
    command = [*compose, "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, env=full, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for name in wanted:
        without = {key: value for key, value in full.items() if key != name}
        refused = subprocess.run(
            command, env=without, capture_output=True, text=True, timeout=60, check=False
        )
        assert refused.returncode != 0
        assert name in refused.stderr


def compose_client() -> list[str] | None:
    """The command of a Compose 2 client, plugin or stand-alone; it needs no engine to check a file."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run([*command, "version"], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode == 0 and "Compose version" in done.stdout:
            return command
    return None
