"""The units: valid, hardened, and starting commands that exist with settings that work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from ingress.config import IngressConfig
from notifystream import configs
from notifystream.settings import Settings
from tests.ingress.twilio_side import ACCOUNT, TOKEN
from tests.servers import ROOT

UNITS = ROOT / "deploy" / "systemd"
INGRESS = UNITS / "notifystream-ingress.service"
TEMPLATE = UNITS / "notifystream@.service"
KINDS = ["streams", "outbound", "analytics", "carriers", "health"]
"""What the template is installed for."""
EXAMPLE = UNITS / "ingress.env.example"
OF_ANALYTICS = UNITS / "analytics.env.example"
# What a process that talks to the internet has no use for.
HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "UMask": "0077",
    "LimitCORE": "0",
    "User": "notifystream",
    "Restart": "always",
}
# Of 100; 100 is a service without any hardening.
MOST_EXPOSED = 15


def service(unit: Path) -> list[tuple[str, str]]:
    """The assignments of a unit's [Service]; a name may be there several times."""
    _, _, rest = unit.read_text().partition("[Service]\n")
    lines = rest.partition("[Install]")[0].splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return [(name, value) for name, _, value in pairs]


@pytest.mark.parametrize("unit", [INGRESS, TEMPLATE], ids=lambda unit: unit.name)
def test_a_unit_is_hardened(unit: Path) -> None:
    assert dict(service(unit)).items() >= HARDENING.items()
    filters = [value for name, value in service(unit) if name == "SystemCallFilter"]
    assert filters == ["@system-service", "~@privileged @resources"]


def test_a_unit_may_write_its_state_alone() -> None:
    assert [value for name, value in service(INGRESS) if name.startswith("ReadWrite")] == []
    assert dict(service(INGRESS))["StateDirectory"].split()[-1] == "notifystream/ingress"
    (journal,) = re.findall(r"^INGRESS_JOURNAL_DIR=(.*)$", EXAMPLE.read_text(), re.M)
    assert journal == "/var/lib/notifystream/ingress"


@pytest.mark.parametrize("kind", ["ingress", *KINDS])
def test_a_unit_starts_a_command_that_exists(kind: str) -> None:
    started = dict(service(INGRESS if kind == "ingress" else TEMPLATE))["ExecStart"].replace("%j", kind)
    program, *words = started.split()
    assert (program, words) == ("/opt/notifystream/bin/notifystream", [kind])
    command = [str(Path(sys.executable).parent / "notifystream"), *words, "--help"]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def test_the_template_says_how_every_kind_is_installed() -> None:
    (loop,) = re.findall(r"^#   for kind in (.*); do +# and (\w+),", TEMPLATE.read_text(), re.M)
    assert {*loop[0].split(), loop[1]} == set(KINDS)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units under the names they are installed under, with a program that is on this machine."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here to ask")
    names = {"notifystream-ingress.service": INGRESS}
    names |= {f"notifystream-{kind}@.service": TEMPLATE for kind in KINDS}
    for name, unit in names.items():
        (tmp_path / name).write_text(
            unit.read_text().replace("/opt/notifystream/bin/notifystream", "/bin/true")
        )
    return tmp_path


@pytest.mark.parametrize(
    "name",
    ["notifystream-ingress.service", "notifystream-streams@1.service", "notifystream-carriers@1.service"],
)
def test_systemd_understands_every_line(installed: Path, name: str) -> None:
    done = analyze("verify", "--man=no", str(installed / name))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["notifystream-ingress.service", "notifystream-streams@.service"])
def test_systemd_finds_little_exposed(installed: Path, name: str) -> None:
    if int(analyze("--version").stdout.split()[1]) < 250:
        pytest.skip("this systemd judges only services that run")
    options = ("--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager")
    done = analyze("security", *options, str(installed / name))
    assert done.returncode == 0, done.stdout + done.stderr


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_example_of_an_environment_is_one_the_ingress_starts_with(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yaml"
    accounts.touch(mode=0o600)
    accounts.write_text(f"- account_sid: {ACCOUNT}\n  tenant: acme\n  auth_token: {TOKEN}\n")
    example = tmp_path / "ingress.env"
    example.write_text(EXAMPLE.read_text().replace("/etc/notifystream/accounts.yaml", str(accounts)))
    config = configs.ingress(Settings(_env_file=example))  # type: ignore[call-arg]  # pydantic-settings' own
    assert isinstance(config, IngressConfig)
    assert (config.public_base_url, config.metrics_port, config.local) == (
        "https://hooks.example.com",
        9464,
        False,
    )


def test_the_example_of_an_environment_is_one_that_analytics_and_health_start_with() -> None:
    chosen = Settings(_env_file=OF_ANALYTICS)  # type: ignore[call-arg]  # pydantic-settings' own
    assert configs.analytics(chosen).clickhouse_url == chosen.clickhouse_url
    assert configs.health(chosen).every_ms == 60_000


def test_the_example_has_all_that_carriers_need_once_a_thing_to_do_is_named(tmp_path: Path) -> None:
    example = tmp_path / "carriers.env"
    example.write_text(
        OF_ANALYTICS.read_text().replace("#ANALYTICS_NUMBER_TENANTS=[]", 'ANALYTICS_NUMBER_TENANTS=["acme"]')
    )
    chosen = Settings(_env_file=example)  # type: ignore[call-arg]  # pydantic-settings' own
    assert configs.carriers(chosen).number_tenants == {"acme"}


@pytest.mark.parametrize("example", [EXAMPLE, OF_ANALYTICS], ids=lambda path: path.name)
def test_what_an_example_says_is_the_default_is_the_default(example: Path) -> None:
    said = re.findall(r"^#([A-Z_]+)=(.*)$", example.read_text(), re.M)
    shown = {
        name: value for name, value in said if re.match("INGRESS|ANALYTICS|CARRIER|HEALTH", name) and value
    }
    fields = {name: Settings.model_fields[name.lower()] for name in shown}
    given = {
        name: value
        for name, value in shown.items()
        # A path or a list of an example, where the default is nothing at all.
        if fields[name].default is not None
    }
    assert len(given) >= 3
    for name, value in given.items():
        kind = TypeAdapter(fields[name].annotation)
        read = kind.validate_json(value) if value[0] in "[{" else kind.validate_python(value)
        assert read == fields[name].default, name
