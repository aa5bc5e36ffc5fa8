"""What a process counts while it works: plain integers that become metrics when somebody asks (`metrics`)."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Changed on the event loop only. `late_ms` is how late the latest deadline was that fired."""

    events: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    conflicts: int = 0
    fired: int = 0
    late_ms: int = 0
