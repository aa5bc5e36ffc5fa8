"""Lanes that only remember what they were asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field

from sinks.outbound.pacing.pauses import Pause, Scope


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
