"""How long things took, as far as the simulator knows: a least and a most for every wait. Pure.

We count from the time of the request's event, and by when news came to us. The simulator knows when it began
to post each status, which is the earliest the news can have come (but for an answer to a question, `quiet_ms`
after the acceptance at the earliest), and `answered_by` is the latest. Order statistics keep to such bounds:
the k-th least of the waits lies between the k-th least of the leasts and the k-th least of the mosts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sandbox.carrier.ledger import CallbackAttempt, SimMessage
from sandbox.demo.reckoning.evidence import Evidence
from sandbox.demo.reckoning.sheet import Between, Cell
from sandbox.demo.reckoning.tries import Try

# Reports have latencies in buckets of 5 %, so right to the root of that, and round them to four digits.
_BUCKET = 1.026
_HAS_SENT = frozenset({"sent", "delivered", "undelivered", "read"})
_ARRIVED = frozenset({"delivered", "read"})


class Span(NamedTuple):
    """At least and at most so many milliseconds; or two moments between which something was."""

    low: int
    high: int


class Waits(NamedTuple):
    """`spans` that were certainly counted, and how many `more` may have been: their news may be lost."""

    spans: tuple[Span, ...]
    more: int


class Wait(NamedTuple):
    """One wait of one attempt; `span` is None when it may or may not have been counted."""

    of: Try
    span: Span | None


def requested_to_sent(evidence: Evidence, tries: Sequence[Try]) -> tuple[Wait, ...]:
    """One for each notification that a carrier took, to the first time one did."""
    posts = _posts(evidence)
    found: dict[str, Wait] = {}
    for each in tries:
        message = each.message
        if message is None or message.final_status not in _HAS_SENT:
            continue
        heard = _heard(evidence, posts, message, "sent")
        requested = evidence.requested_at[each.notification_id]
        span = None if heard is None else Span(heard.low - requested, heard.high - requested)
        known = found.get(each.notification_id)
        if known is None:
            found[each.notification_id] = Wait(each, span)
        elif span is not None and known.span is not None:
            earliest = Span(min(span.low, known.span.low), min(span.high, known.span.high))
            found[each.notification_id] = Wait(known.of, earliest)
        else:
            # The other's news, which may be lost, may have come first: the earliest is not known to be this.
            found[each.notification_id] = Wait(known.of, None)
    return tuple(found.values())


def sent_to_delivered(evidence: Evidence, tries: Sequence[Try]) -> tuple[Wait, ...]:
    """One for each delivered attempt of which both news came."""
    posts = _posts(evidence)
    found: list[Wait] = []
    for each in tries:
        message = each.message
        if message is None or message.final_status not in _ARRIVED:
            continue
        sent = _heard(evidence, posts, message, "sent")
        delivered = _heard(evidence, posts, message, "delivered")
        if sent is None or delivered is None:
            found.append(Wait(each, None))
        else:
            # News that overtook each other count as no wait at all.
            low, high = delivered.low - sent.high, delivered.high - sent.low
            found.append(Wait(each, Span(max(0, low), max(0, high))))
    return tuple(found)


def together(waits: Iterable[Wait]) -> Waits:
    known = list(waits)
    spans = tuple(wait.span for wait in known if wait.span is not None)
    return Waits(spans, len(known) - len(spans))


def cells(waits: Waits, name: str, levels: Mapping[str, float]) -> dict[str, Cell]:
    """`<name>_count` and `<name>_<level>_s`, in seconds; quantiles only where it is certain what counts."""
    count = len(waits.spans)
    found: dict[str, Cell] = {f"{name}_count": Between(count, count + waits.more) if waits.more else count}
    if not waits.more:
        found |= {f"{name}_{label}_s": _quantile(waits.spans, level) for label, level in levels.items()}
    return found


def _quantile(spans: tuple[Span, ...], level: float) -> Cell:
    """The element at floor(level × n) of the sorted waits."""
    if not spans:
        return None
    place = min(int(level * len(spans)), len(spans) - 1)
    low, high = sorted(span.low for span in spans)[place], sorted(span.high for span in spans)[place]
    return Between(max(1, low) / _BUCKET / 1000, max(1, high) * _BUCKET / 1000)


def _posts(evidence: Evidence) -> dict[tuple[str, str], list[CallbackAttempt]]:
    posts: dict[tuple[str, str], list[CallbackAttempt]] = {}
    for post in evidence.ledger.callbacks:
        posts.setdefault((post.sid, post.status), []).append(post)
    return posts


def _heard(
    evidence: Evidence,
    posts: dict[tuple[str, str], list[CallbackAttempt]],
    message: SimMessage,
    status: str,
) -> Span | None:
    """Between which moments the first news of the status came; None when it is not certain that it did."""
    tried = posts.get((message.sid, status), [])
    answers = [
        evidence.answered_by[post.token, post.attempt]
        for post in tried
        if post.http_status is not None and 200 <= post.http_status < 300
    ]
    if not answers:
        return None
    earliest = min(min(post.at_ms for post in tried), message.created_ms + evidence.quiet_ms)
    return Span(earliest, min(answers))
