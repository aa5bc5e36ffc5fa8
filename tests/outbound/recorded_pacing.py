"""Lanes and decisions that only remember what they were asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from sinks.outbound.pacing.pauses import Pause, Scope


@dataclass(slots=True)
class RecordedDecisions:
    """What was written down, by partition; nothing was ever resumed unless a test says so."""

    written: list[tuple[int, Scope]] = field(default_factory=list)
    resumed: dict[Scope, int] = field(default_factory=dict)

    def write_down(self, partition: int, scope: Scope, reason: str, now: int) -> None:
        self.written.append((partition, scope))

    def resumed_at(self, scope: Scope) -> int:
        return self.resumed.get(scope, 0)


@dataclass(slots=True)
class RecordedPacing:
    slowed: list[tuple[str, int | None]] = field(default_factory=list)
    held: list[Pause] = field(default_factory=list)

    def slow_down(self, sender: str, now: int, retry_after_ms: int | None = None) -> None:
        self.slowed.append((sender, retry_after_ms))

    def pause(self, scope: Scope, reason: str, until: int | None = None) -> None:
        self.held = [each for each in self.held if each.scope != scope] + [Pause(scope, reason, until)]

    def pauses(self) -> tuple[Pause, ...]:
        return tuple(self.held)
