"""The messages Twilio holds: one mutable record each, found by SID or listed with the API's filters.

Holds no clock and does no I/O. What a record looks like on the wire is `resource`'s, what happens to
it `exchange`'s.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sandbox.carrier.carriers import UNSERVED, Carrier
from sandbox.carrier.errors import ApiError
from sandbox.carrier.fate import Step
from sandbox.carrier.request import Status


@dataclass(slots=True, eq=False, kw_only=True)
class Message:
    """A message as it stands now, and what is planned for it.

    Times are Unix milliseconds, those of the plan milliseconds from its start (`due_ms`, or at once).
    An inbound message has no plan.
    """

    sid: str
    to: str
    sender: str
    service: str | None
    body: str
    body_sha256: str
    media: int
    created_ms: int
    updated_ms: int
    status: Status
    direction: str = "outbound-api"
    sent_ms: int | None = None
    error_code: int | None = None
    status_callback: str | None = None
    due_ms: int | None = None
    carrier: Carrier = UNSERVED
    steps: tuple[Step, ...] = ()
    callbacks: tuple[Step, ...] = ()
    in_turn: bool = False
    reached_ms: float | None = None
    reached: bool = False
    steps_pending: int = 0
    callbacks_pending: int = 0

    @property
    def final(self) -> Step:
        """The step its plan ends with; what it is now when there is no plan."""
        return self.steps[-1] if self.steps else Step(0.0, self.status, self.error_code)

    @property
    def done(self) -> bool:
        """Whether neither its truth nor its callbacks will change any more."""
        return self.steps_pending == 0 and self.callbacks_pending == 0


@dataclass(frozen=True, slots=True)
class Window:
    """The DateSent filters of a list, as [from, to) in Unix milliseconds; None is open."""

    since_ms: int | None = None
    before_ms: int | None = None


def window_of(same_day: str, until: str, since: str) -> Window:
    """From the values of `DateSent`, `DateSent<` (on or before) and `DateSent>` (on or after).

    A date means the whole UTC day, a date-time its whole second. Raises ApiError 20001 for neither.
    """
    low, high = [], []
    if same_day:
        start, _ = _span(same_day)
        midnight = start.replace(hour=0, minute=0, second=0)
        low.append(midnight)
        high.append(midnight + timedelta(days=1))
    if since:
        low.append(_span(since)[0])
    if until:
        high.append(_span(until)[1])
    return Window(
        int(max(low).timestamp() * 1000) if low else None,
        int(min(high).timestamp() * 1000) if high else None,
    )


def _span(text: str) -> tuple[datetime, datetime]:
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(20001, f"DateSent {text}") from None
    start = (start if start.tzinfo else start.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    return start, start + (timedelta(days=1) if len(text) == 10 else timedelta(seconds=1))


@dataclass(slots=True)
class Messages:
    """Every message, in the order of creation."""

    _by_sid: dict[str, Message] = field(default_factory=dict)
    _by_to: defaultdict[str, dict[str, Message]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, message: Message) -> None:
        """Take a message in; its SID is new."""
        self._by_sid[message.sid] = message
        self._by_to[message.to][message.sid] = message

    def get(self, sid: str) -> Message | None:
        """The message, or None when there is none."""
        return self._by_sid.get(sid)

    def remove(self, message: Message) -> None:
        """Forget a message; its SID answers 404 from now on."""
        del self._by_sid[message.sid]
        del self._by_to[message.to][message.sid]

    def __iter__(self) -> Iterator[Message]:
        return iter(self._by_sid.values())

    def find(
        self,
        to: str,
        sender: str,
        window: Window,
        after_sid: str,
        limit: int,
        created_before: float = float("inf"),
    ) -> tuple[list[Message], bool]:
        """Up to `limit` messages, newest first, that follow `after_sid` (empty: from the start).

        Also whether there are more. A message not sent yet is judged by its creation. Later arrivals
        do not move a page that is continued by SID. Messages created after `created_before` (Unix
        milliseconds) are not shown yet.
        """
        pool = self._by_to.get(to, {}) if to else self._by_sid
        newest: Iterator[Message] = reversed(pool.values())
        if after_sid:
            newest = itertools.dropwhile(lambda message: message.sid != after_sid, newest)
            next(newest, None)
        found: list[Message] = []
        for message in newest:
            if message.created_ms > created_before or (sender and message.sender != sender):
                continue
            # Seconds, as the API shows them: a caller can only filter by what it was shown.
            at = (message.sent_ms or message.created_ms) // 1000 * 1000
            if window.since_ms is not None and at < window.since_ms:
                continue
            if window.before_ms is not None and at >= window.before_ms:
                continue
            if len(found) == limit:
                return found, True
            found.append(message)
        return found, False
