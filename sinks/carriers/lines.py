"""What a look-up can answer, and what is due to be asked. Pure.

Source of the answers: facts, Twilio section 9 (Lookup v2, line_type_intelligence).
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from schemas.records import NotificationRequest

# A number's first look-up also stands for requests made so much earlier: those of other partitions, which
# are read in no order with the one that caused it. Nothing is known of the number before, so nothing is
# overruled.
FIRST_STANDS_BACK_MS = 600_000
# 2000-01-01: no request is older, and no column has to hold what is.
EARLIEST_MS = 946_684_800_000
_HOUR_MS, _HOUR_S = 3_600_000, 3600
# What a DateTime of ClickHouse holds.
_LAST_HOUR = 2**32 - _HOUR_S


class Line(NamedTuple):
    """What the provider says of a number. Empty texts for what it does not tell; `error_code` 0 for none."""

    carrier: str
    mcc: str
    mnc: str
    line_type: str
    country: str
    error_code: int


class NotNow(NamedTuple):
    """No answer; it may be asked again. `maybe_charged`: unless False, the request may be on the bill."""

    reason: str
    maybe_charged: bool
    after_s: float | None = None


Answer: TypeAlias = Line | NotNow


class Seen(NamedTuple):
    """One request to a number, with the time that counts for the number (`at`), that which the request says
    (both ms) and the hour (s) its figures are counted in."""

    number: str
    tenant: str
    notification_id: str
    at: int
    requested_at: int
    hour: int

    @classmethod
    def of(cls, request: NotificationRequest, now: int) -> "Seen":
        """With an impossible time made possible: one in the future would keep a number for ever."""
        requested = request.requested_at
        at = min(max(requested, EARLIEST_MS), now)
        hour = requested // _HOUR_MS * _HOUR_S
        return cls(request.recipient, request.tenant, request.notification_id, at, requested, hour)


class Observation(NamedTuple):
    """A line of a person from a moment on: a row of recipient_carriers."""

    recipient_hash: str
    valid_from: int
    checked_at: int
    line: Line


class Attribution(NamedTuple):
    """What stands for one request: a row of notification_carriers. A notification may have been requested
    more than once, of different people."""

    hour: int
    notification_id: str
    requested_at: int
    valid_from: int
    line: Line


class Due(NamedTuple):
    """A number to ask about, the request that causes it, and what was known."""

    number: str
    recipient_hash: str
    at: int
    before: Observation | None


def first_requests(seen: Iterable[Seen]) -> dict[str, int]:
    """The time of the earliest of these requests, by number."""
    first: dict[str, int] = {}
    for request in seen:
        first[request.number] = min(first.get(request.number, request.at), request.at)
    return first


def due(
    first: Mapping[str, int],
    hashes: Mapping[str, str],
    known: Mapping[str, Observation],
    now: int,
    ask_again_after_ms: int,
) -> tuple[Due, ...]:
    """The numbers of which nothing is known, or what is known is too old; oldest request first."""
    asked = []
    for number, at in first.items():
        before = known.get(hashes[number])
        if before is None or now - before.checked_at >= ask_again_after_ms:
            asked.append(Due(number, hashes[number], at, before))
    return tuple(sorted(asked, key=lambda one: one.at))


def observed(asked: Due, line: Line, now: int) -> Observation:
    """The row of an answer given at `now`.

    It stands from the request that caused it; from now on when that request is older than what is known,
    which stays as it was for its own time.
    """
    if asked.before is None:
        valid_from = asked.at - FIRST_STANDS_BACK_MS
    elif asked.at > asked.before.checked_at:
        valid_from = asked.at
    else:
        valid_from = now
    return Observation(asked.recipient_hash, valid_from, now, line)


def attributed(
    seen: Iterable[Seen], hashes: Mapping[str, str], history: Iterable[Observation]
) -> tuple[Attribution, ...]:
    """What stood for each request's number when it was made, for those of which something did.

    A look-up that failed says nothing against an older one that did not. A request of an hour that no table
    can hold has none.
    """
    known: dict[str, list[Observation]] = {}
    for one in history:
        if one.line.error_code == 0:
            known.setdefault(one.recipient_hash, []).append(one)
    rows = []
    for request in seen:
        stood = [one for one in known.get(hashes[request.number], ()) if one.valid_from <= request.at]
        if stood and 0 <= request.hour <= _LAST_HOUR:
            latest = max(stood, key=lambda one: (one.valid_from, one.checked_at))
            rows.append(
                Attribution(
                    request.hour,
                    request.notification_id,
                    request.requested_at,
                    latest.valid_from,
                    latest.line,
                )
            )
    return tuple(rows)
