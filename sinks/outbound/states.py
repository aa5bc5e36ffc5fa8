"""What is published of the senders: one `SenderState` each, when it changed, for whoever asks how they do.

Guarantees: a sender's state is written when it has changed, looked at every few seconds and soon after a
person's decision, and again at least every AGAIN_MS while it is ours, so that a state much older than that
tells of a process that is gone. Leaves to others: when it is committed (`turn`), and so that a process whose
partitions were taken over publishes nothing any more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from schemas.records import LaneState, PauseState, SenderState
from schemas.vocabulary import CommandResult, ControlScope
from sinks.outbound.journal import Journal
from sinks.outbound.pacing.pauses import Pause, Reach
from sinks.outbound.pacing.rate import SenderRate
from sinks.outbound.pacing.state import SenderPace

SOON_MS = 250
AGAIN_MS = 600_000


class States:
    """What was last published. Times in ms since the epoch."""

    def __init__(self, every_ms: int) -> None:
        self._every_ms = every_ms
        self._published: dict[str, SenderState] = {}
        self._looked_at = 0
        self._hurries = False

    def hurry(self) -> None:
        """Somebody wants to see what they decided."""
        self._hurries = True

    def due(self, now: int) -> bool:
        return now - self._looked_at >= (min(SOON_MS, self._every_ms) if self._hurries else self._every_ms)

    def news(self, current: Iterable[SenderState], now: int) -> Iterator[SenderState]:
        """Those to publish now. One that is not among the current ones is no longer ours to tell of."""
        self._looked_at = now
        self._hurries = False
        before, self._published = self._published, {}
        for state in current:
            known = before.get(state.sender)
            if known is None or now - known.at >= AGAIN_MS or _told(state) != _told(known):
                known = state
                yield state
            self._published[state.sender] = known


def open_by_sender(journals: Iterable[Journal]) -> Counter[tuple[str, CommandResult]]:
    """How many commands of each sender are under way, in doubt or held."""
    return Counter((entry.sender, entry.state) for journal in journals for entry in journal.open_entries())


def state_of(
    sender: str,
    owner: str,
    pace: SenderPace | None,
    rate: SenderRate,
    pauses: Iterable[Pause],
    open_ones: Counter[tuple[str, CommandResult]],
    now: int,
) -> SenderState:
    """A sender's state; `pace` is None when nothing was read for it since its partition came here.

    `rate` is what it is set to, and `pauses` are all that hold.
    """
    shown = pace.pauses if pace is not None else tuple(p for p in pauses if _binds(p, sender))
    return SenderState(
        sender=sender,
        owner=owner,
        at=now,
        segments_per_s=pace.segments_per_s if pace is not None else rate.segments_per_s,
        set_segments_per_s=rate.segments_per_s,
        tokens=pace.tokens if pace is not None else rate.burst,
        lanes=tuple(
            LaneState(
                lane=each.lane,
                waiting=each.waiting,
                oldest_at=now - each.oldest_ms if each.oldest_ms is not None else None,
            )
            for each in (pace.lanes if pace is not None else ())
        ),
        in_flight=pace.in_flight if pace is not None else 0,
        in_doubt=open_ones[sender, CommandResult.IN_DOUBT],
        held=open_ones[sender, CommandResult.HELD],
        spent_today=pace.spent_today if pace is not None else 0,
        daily_segments=rate.daily_segments,
        nothing_before=pace.nothing_before if pace is not None else None,
        pauses=tuple(
            PauseState(
                scope=ControlScope(p.scope.reach.value), target=p.scope.name, reason=p.reason, until=p.until
            )
            for p in shown
        ),
    )


def _binds(pause: Pause, sender: str) -> bool:
    return pause.scope.reach is Reach.EVERYTHING or (
        pause.scope.reach is Reach.SENDER and pause.scope.name == sender
    )


def _told(state: SenderState) -> SenderState:
    """Without what changes while nothing happens."""
    return msgspec.structs.replace(state, at=0, tokens=0.0)
