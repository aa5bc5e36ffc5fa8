"""The fold of one message's statuses into one truth, whatever order they come in.

Guarantees: commutative, associative, idempotent. What is kept is the first sight of each status; everything
else is computed from that set. A higher rank wins; a good end beats a bad one when it is not earlier; `read`
beats `delivered`; an error code counts only on a bad end (design, section 4; facts, Twilio section 1).
"""

from typing import NamedTuple

import msgspec

_RANK = {"accepted": 1, "scheduled": 2, "queued": 3, "sending": 4, "sent": 5, "partially_delivered": 5}
BAD_ENDS = frozenset({"undelivered", "failed", "canceled"})
GOOD_ENDS = frozenset({"delivered", "read"})
KNOWN = frozenset(_RANK) | BAD_ENDS | GOOD_ENDS


class StatusMark(msgspec.Struct, frozen=True, array_like=True):
    """First sight of one status: when it was received (ms) and the error code that came with it."""

    status: str
    at: int
    error_code: int | None = None


class Folded(NamedTuple):
    """The truth so far. `status` is None before anything known has been seen."""

    status: str | None
    error_code: int | None = None
    at: int | None = None

    @property
    def bad(self) -> bool:
        return self.status in BAD_ENDS

    @property
    def good(self) -> bool:
        return self.status in GOOD_ENDS

    @property
    def ended(self) -> bool:
        return self.bad or self.good


def add_mark(marks: tuple[StatusMark, ...], new: StatusMark) -> tuple[StatusMark, ...]:
    """The marks with the new one in: one per status, the earliest (by time, then code), sorted."""
    by_status = {mark.status: mark for mark in marks}
    known = by_status.get(new.status)
    if known is None or _order(new) < _order(known):
        by_status[new.status] = new
    return tuple(sorted(by_status.values(), key=_order))


def fold(marks: tuple[StatusMark, ...]) -> Folded:
    """The one status these marks amount to."""
    bad = good = progress = None
    rank, good_until = 0, 0
    for mark in marks:  # one pass without helpers: it is asked several times for each of the many callbacks
        status = mark.status
        mark_rank = _RANK.get(status, 0)
        if mark_rank:
            if progress is None or mark_rank > rank or (mark_rank == rank and status > progress.status):
                progress, rank = mark, mark_rank
        elif status in GOOD_ENDS:
            good_until = mark.at if good is None else max(good_until, mark.at)
            if good is None or (status == "read", mark.at) > (good.status == "read", good.at):
                good = mark
        elif status in BAD_ENDS and (bad is None or _order(mark) < _order(bad)):
            bad = mark
    if good is not None and (bad is None or good_until >= bad.at):
        return Folded(good.status, None, good.at)
    if bad is not None:
        return Folded(bad.status, bad.error_code, bad.at)
    return Folded(progress.status, None, progress.at) if progress is not None else Folded(None)


def first_seen(marks: tuple[StatusMark, ...], status: str) -> int | None:
    """When that status was first received, or None."""
    return next((mark.at for mark in marks if mark.status == status), None)


def _order(mark: StatusMark) -> tuple[int, str, int]:
    return (mark.at, mark.status, -1 if mark.error_code is None else mark.error_code)
