"""What was answered to whom lately: two machines that answer each other must not do so for long.

Guarantees: remembers at most `most` pairs of people and senders, the least recent forgotten first; time is
passed in. A copy of a message (the platform's second try) finds the answer of the first and counts once.
Leaves to others: which answer it would be. Each process has a guard of its own: with several workers a limit
holds per worker.
"""

from collections import OrderedDict

import msgspec

from ingress.accepted import Reply

MOST_PAIRS = 50_000
"""Some 400 bytes each: 20 MB when full."""


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `replies` automatic answers to one person from one sender within `window_s` seconds."""

    replies: int = 5
    window_s: int = 3600


class Exchange(msgspec.Struct, frozen=True):
    """One message somebody wrote, as far as the guard is concerned. Texts are folded (`words.fold`).

    `machine`: the writer has no ordinary phone number, so it may well be one. `now` is in milliseconds.
    """

    recipient: str
    sender: str
    message_sid: str
    words: str
    machine: bool
    now: int


class _Past(msgspec.Struct):
    """Texts are kept as their hashes: what somebody wrote stays nowhere in memory."""

    answered_at: tuple[int, ...] = ()
    said: int | None = None
    heard: int | None = None
    answered_sid: str | None = None


class LoopGuard:
    """The memory. Not for several threads at once."""

    __slots__ = ("_most", "_pasts")

    def __init__(self, most: int = MOST_PAIRS) -> None:
        self._most = most
        self._pasts: OrderedDict[tuple[str, str], _Past] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pasts)

    def objection(self, exchange: Exchange, limit: Limit) -> Reply | None:
        """Why this must not be answered; None when it may be. Changes nothing."""
        past = self._pasts.get((exchange.recipient, exchange.sender))
        if past is None:
            return None if limit.replies > 0 else Reply.LOOP_LIMIT
        if exchange.message_sid == past.answered_sid:
            return None
        heard = hash(exchange.words)
        if heard == past.said:
            return Reply.LOOP_ECHO
        if exchange.machine and heard == past.heard:
            return Reply.LOOP_MACHINE
        since = exchange.now - limit.window_s * 1000
        lately = sum(1 for at in past.answered_at if at > since)
        return None if lately < limit.replies else Reply.LOOP_LIMIT

    def note(self, exchange: Exchange, said: str | None, limit: Limit) -> None:
        """Remember what was heard, and what was said to it: the folded answer, or None for nothing."""
        pair = (exchange.recipient, exchange.sender)
        past = self._pasts.get(pair)
        if past is None:
            # Silence to a person needs no memory, or a flood of strangers would push out what does.
            if said is None and not exchange.machine:
                return
            past = self._pasts[pair] = _Past()
            if len(self._pasts) > self._most:
                self._pasts.popitem(last=False)
        else:
            self._pasts.move_to_end(pair)
        past.heard = hash(exchange.words)
        if said is None or exchange.message_sid == past.answered_sid:
            return
        past.said = hash(said)
        past.answered_sid = exchange.message_sid
        since = exchange.now - limit.window_s * 1000
        past.answered_at = (*(at for at in past.answered_at if at > since), exchange.now)[-limit.replies :]
