"""How the demo's sandbox is set up: time runs faster there, so that a day fits into a minute.

Every number stands for one of production's; what they are to each other is kept: a message is asked about
well after a report usually comes, given up well after that, and a call's absence is proof only when it can no
longer be made.
"""

import json
from pathlib import Path

import msgspec

from sandbox.demo.plan import SENDERS, TEMPLATES
from sandbox.supervisor import SandboxOptions

# The slowest carrier reports after 120 s at scale 1; 15 s are then enough to call a silent one silent.
TIME_SCALE = 0.1
QUIET_AFTER_S = 5
# Nobody waits for a morning: without this, what is said to half the world would depend on when the demo runs.
POLICY: dict[str, dict[str, dict[str, dict[str, str]]]] = {
    "tenants": {"*": {"quiet_hours": {}, "retry": {"base": "1s", "settle": "1s"}}}
}


def options(folder: Path, *, seed: int, chaos: str, kafka: str | None) -> SandboxOptions:
    """The sandbox of a demo whose state is in `folder`."""
    templates = folder / "templates.yaml"
    templates.write_bytes(msgspec.yaml.encode(TEMPLATES))
    policy = folder / "streams-policy.yaml"
    policy.write_bytes(msgspec.yaml.encode(POLICY))
    return SandboxOptions(
        folder=folder,
        kafka=kafka,
        carrier=("--seed", str(seed), "--chaos", chaos, "--time-scale", str(TIME_SCALE)),
        settings={
            "SENDER_TENANTS": json.dumps(SENDERS),
            "TEMPLATES_FILE": str(templates.resolve()),
            "STREAMS_POLICY_FILE": str(policy.resolve()),
            "SENDER_RATE": "20",
            "SENDER_BURST": "20",
            "QUIET_AFTER_S": str(QUIET_AFTER_S),
            "UNCONFIRMED_AFTER_S": "15",
            "ADMISSION_AGAIN_S": "5",
            "TWILIO_CONNECT_TIMEOUT_S": "1",
            "TWILIO_READ_TIMEOUT_S": "2",
            "CALL_WINDOW_S": "2",
            "SETTLE_AFTER_S": "6",
            "ANALYTICS_BATCH_S": "0.5",
            # Every message is asked for its price, so that what is reported is what is billed.
            "PRICE_AFTER_S": "3",
            "HEALTH_EVERY_S": "5",
            "HEALTH_GRACE_S": "15",
            "FETCHES_PER_S": "50",
        },
    )
