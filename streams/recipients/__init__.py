"""The recipients processor's decisions: one row per person, in which consent, hours and frequency meet.

`decide` is all that the processor calls; `decisions` says what it promises, `admission` in which order a
check is judged.
"""

from streams.recipients.decisions import Decision, Event, consent_key, decide
from streams.recipients.retention import idle_since, kept_for_ms

__all__ = ["Decision", "Event", "consent_key", "decide", "idle_since", "kept_for_ms"]
