"""All that is known of a demo without asking the pipeline. Times in milliseconds since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sandbox.carrier.ledger import Ledger
from sandbox.demo.plan import Plan


@dataclass(frozen=True, slots=True)
class Bill:
    """What the simulator charges for a message; `price` is negative, and None for what never left."""

    segments: int
    price: Decimal | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`requested_at`: the time of the first event of each notification, by its id. `answered_by`: by
    when the answer to a callback's POST was certainly there, by the callback's token and attempt. `bills` by
    SID. `quiet_ms`: so long after its acceptance a message is asked about, which may tell a status before its
    callback does. `looked_up`: whether carriers were asked of the Lookup API."""

    plan: Plan
    ledger: Ledger
    requested_at: Mapping[str, int]
    answered_by: Mapping[tuple[str, int], int]
    bills: Mapping[str, Bill]
    quiet_ms: int
    looked_up: bool
