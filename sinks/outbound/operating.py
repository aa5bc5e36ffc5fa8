"""The sink as the people who run it see and steer it: decisions in, states out.

Thin: what a decision does is decided in `controls`, what is told of a sender in `states`. Guarantees: a
decision about a command is in the turn that commits the offset it was read at.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import structlog
from confluent_kafka import Message

from schemas.codec import Codec
from schemas.errors import WireError
from schemas.records import OutboundControl, SenderState
from schemas.vocabulary import ControlScope
from sinks.outbound.books import Books
from sinks.outbound.controls import Controls, Numbered, Pausing, alarm, closing
from sinks.outbound.pacing.pauses import Pause, Reach, Scope
from sinks.outbound.pacing.rate import Rates
from sinks.outbound.pacing.state import SenderPace
from sinks.outbound.states import States, open_by_sender, state_of

log = structlog.get_logger(__name__)

_TIDY_EVERY_MS = 3_600_000


class Pacing(Pausing, Protocol):
    """What the lanes tell of themselves. Times in ms since the epoch."""

    def senders(self) -> Sequence[str]: ...

    def state(self, sender: str, now: int) -> SenderPace | None: ...

    def pauses(self) -> Sequence[Pause]: ...


class Operating:
    """For one event loop. `done` is called when a decision need not be read again."""

    def __init__(
        self,
        owner: str,
        states_every_s: float,
        codec: Codec,
        books: Books,
        lanes: Pacing,
        rates: Rates,
        done: Callable[[str, int, int], None],
    ) -> None:
        self._owner = owner
        self._codec = codec
        self._books = books
        self._lanes = lanes
        self._rates = rates
        self._done = done
        self._controls = Controls(lanes)
        self._states = States(int(states_every_s * 1000))
        self._tidied_at = 0

    def take_over(self, partition: int, written: Sequence[Numbered], now: int) -> None:
        self._controls.take_over(partition, written, now)
        self._tidied_at = 0  # what the partition's last owner held may be due to be written again

    def let_go(self, partition: int, now: int) -> None:
        self._controls.let_go(partition, now)

    def take(self, message: Message, now: int) -> None:
        """Take in a record of `outbound.controls`."""
        topic, partition, offset = str(message.topic()), message.partition() or 0, message.offset() or 0
        value = message.value()
        if value is not None:
            try:
                self._follow(partition, offset, self._codec.decode(value, OutboundControl), now)
            except WireError as unreadable:
                self._books.bury(message, unreadable)
        self._done(topic, partition, offset)

    def write_down(self, partition: int, scope: Scope, reason: str, now: int) -> None:
        """A pause that only a person ends, as the provider's answers demand one.

        A sender's stands on its own partition. What concerns more than one sender stands on all partitions
        that are owned here; another process learns it from an answer of its own.
        """
        concerned = [partition] if scope.reach is Reach.SENDER else list(self._books.journals)
        for each in concerned:
            self._books.decide(each, alarm(scope, reason, now))

    def resumed_at(self, scope: Scope) -> int:
        return self._controls.resumed_at(scope)

    def tick(self, now: int) -> None:
        """To be called every turn: publishes what has changed, forgets what may be forgotten."""
        if self._states.due(now):
            for state in self._states.news(self.states(now), now):
                self._books.show(state)
        if now - self._tidied_at >= _TIDY_EVERY_MS:
            self._tidied_at = now
            self._books.keep_in_mind(now)

    def states(self, now: int) -> Iterator[SenderState]:
        """Of every sender that has anything to tell here."""
        open_ones = open_by_sender(self._books.journals.values())
        pauses = self._lanes.pauses()
        senders = {sender for sender, _ in open_ones} | self._controls.paused_senders()
        for sender in sorted(senders.union(self._lanes.senders())):
            pace = self._lanes.state(sender, now)
            yield state_of(sender, self._owner, pace, self._rates.of(sender), pauses, open_ones, now)

    def _follow(self, partition: int, offset: int, control: OutboundControl, now: int) -> None:
        self._states.hurry()
        if control.scope is not ControlScope.COMMAND:
            self._controls.take(partition, offset, control, now)
            return
        journal = self._books.journals[partition]
        decided = closing(control, journal.open_entry(control.target))
        known = {"command_id": control.target, "action": control.action, "control_id": control.control_id}
        if decided is None:
            log.warning("a decision came too late, or about a command that is not held here", **known)
            return
        self._books.close(partition, decided.entry, decided.result, None, decided.detail)
        log.info("a held command was decided about", by=control.by, **known)
