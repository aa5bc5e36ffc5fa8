"""Which attempt a message in the simulator's ledger was: its StatusCallback URL says so.

Read by hand, not by the pipeline's own reader: the judge shares nothing with the accused.
"""

import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class AttemptOf:
    notification_id: str
    attempt: int


def attempt_of(status_callback: str | None) -> AttemptOf | None:
    """The attempt in `…/twilio/status?n=<notification id>&a=<attempt>`, or None when there is none."""
    parameters = parse_qs(urlsplit(status_callback or "").query)
    try:
        return AttemptOf(str(uuid.UUID(parameters["n"][0])), int(parameters["a"][0]))
    except (KeyError, ValueError):
        return None
