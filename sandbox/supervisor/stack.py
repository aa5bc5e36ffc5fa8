"""What a sandbox is: the world outside (broker, registry, ClickHouse, Twilio) and the services.

Guarantees: everything listens on 127.0.0.1; secrets are new for each sandbox and travel by environment only;
the services run as in production, by the same command and the same settings. State begins empty: the embedded
broker forgets, so whatever was kept of its offsets would be wrong. Leaves to the callers what it is for.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.supervisor.child import ChildSpec
from sandbox.supervisor.children import Children
from sandbox.supervisor.ports import free_ports

SERVICES = ("ingress", "streams", "outbound", "analytics")
"""What every notification goes through."""

BESIDE = ("carriers", "health")
"""What only analysts and operators miss."""

SENDER = "+14155550100"
# What a Python process needs from whoever started it; no setting of the pipeline.
_INHERITED = frozenset({"PATH", "HOME", "LANG", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH"})
_INHERITED_PREFIXES = ("LC_", "PYTHON", "COVERAGE_", "NOTIFYSTREAM_DEBUG")


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """`kafka` names a broker that is there instead of the embedded one; `settings` are added to every
    service's environment; `carrier` are options of `python -m sandbox.carrier`."""

    folder: Path
    kafka: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    carrier: tuple[str, ...] = ()
    services: tuple[str, ...] = (*SERVICES, *BESIDE)


class Sandbox:
    """Started by `start`, ended by `stop`; between the two, `env` is what an outside client needs."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        for stale in ("clickhouse", "faust", "logs"):
            shutil.rmtree(options.folder / stale, ignore_errors=True)
        self.children = Children(options.folder)
        ingress, registry, clickhouse, carrier = free_ports(4)
        self._ports = {"registry": registry, "clickhouse": clickhouse, "carrier": carrier}
        self.env: dict[str, str] = {
            "TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
            "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
            "TWILIO_API_KEY_SID": f"SK{secrets.token_hex(16)}",
            "TWILIO_API_KEY_SECRET": secrets.token_urlsafe(24),
            "TWILIO_FROM": SENDER,
            "PII_HASH_KEY": secrets.token_hex(32),
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{ingress}",
            "INGRESS_PORT": str(ingress),
            "INGRESS_LOCAL": "true",
            "FAUST_DATADIR": str(options.folder.resolve() / "faust"),
            # The simulator's look-ups cost nothing, and nobody wants to wait for them.
            "CARRIER_LOOKUPS_PER_MONTH": "1000000",
            "CARRIER_LOOKUPS_PER_S": "100",
        }
        self.env |= options.settings

    @property
    def carrier_url(self) -> str:
        return self.env["TWILIO_API_URL"]

    def start(self, on_step: Callable[[str], None] = lambda step: None) -> None:
        """Bring everything up; returns when all of it answers. `on_step` gets what is being done.

        Raises SupervisorError, naming the process and the end of its log, after stopping what was started.
        """
        on_step("starting Kafka, schema registry, ClickHouse and Twilio")
        world = self.children.start(self._world())
        self.env |= {
            "KAFKA_BOOTSTRAP_SERVERS": self._options.kafka or world["broker"],
            "SCHEMA_REGISTRY_URL": world["registry"],
            "CLICKHOUSE_URL": world["clickhouse"],
            "TWILIO_API_URL": world["carrier"],
        }
        try:
            on_step("creating topics and registering schemas")
            self.children.run(self._command("topics", "apply"))
            on_step(f"starting {', '.join(self._options.services)}")
            self.children.start([self._service(name) for name in self._options.services])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, services first."""
        self.children.stop()

    def _world(self) -> list[ChildSpec]:
        specs = [
            self._server("registry"),
            self._server("clickhouse", "--data", "clickhouse"),
            self._server(
                "carrier",
                "--inbound-url",
                f"{self.env['PUBLIC_BASE_URL']}/twilio/inbound",
                *self._options.carrier,
            ),
        ]
        return specs if self._options.kafka else [self._server("broker"), *specs]

    def _server(self, name: str, *options: str) -> ChildSpec:
        port = ("--port", str(self._ports[name])) if name in self._ports else ()
        argv = (sys.executable, "-m", f"sandbox.{name}", "--exit-with-stdin", *port, *options)
        return ChildSpec(name, argv, self._environment())

    def _service(self, name: str) -> ChildSpec:
        return ChildSpec(
            name, (sys.executable, "-m", "notifystream", name, "--exit-with-stdin"), self._environment()
        )

    def _command(self, *arguments: str) -> ChildSpec:
        return ChildSpec(
            arguments[0], (sys.executable, "-m", "notifystream", *arguments), self._environment()
        )

    def _environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
        }
        # Empty: no env file of another sandbox may fill in what is not set here.
        return inherited | self.env | {"NOTIFYSTREAM_ENV_FILE": ""}
