"""The requests of a run, each from the run's seed and its own number alone.

Guarantees: `make(seed, number)` gives the same bytes whenever it is asked, so that one request of a run can
be sent again without the others.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import TypeAlias

from tests.fuzz.ingress import batches, forging, framing, garbage, heads, odd
from tests.fuzz.ingress.genuine import batch, by_get, form, genuine
from tests.fuzz.ingress.values import Rng
from tests.fuzz.ingress.wire import Draft, Framed, Request, Sending

STALLED = "the client stalls"

Maker: TypeAlias = Callable[[Rng, int, str], Request]


def make(seed: int, number: int) -> Request:
    rng = random.Random(seed * 2**32 + number)
    kind, maker = _MAKERS[bisect(_BOUNDS, rng.random() * _BOUNDS[-1])]
    return maker(rng, number, kind)


def _accepted(make_draft: Callable[[Rng, int], Draft]) -> Maker:
    def maker(rng: Rng, number: int, kind: str) -> Request:
        return Request(number, kind, make_draft(rng, number).encode(), must_accept=True)

    return maker


def _oddly(change: Callable[[Rng, Draft], bool]) -> Maker:
    def maker(rng: Rng, number: int, kind: str) -> Request:
        draft = form(rng, number)
        must_accept = change(rng, draft)
        return Request(number, kind, draft.encode(), must_accept=must_accept)

    return maker


def _made(make_odd: Callable[[Rng, int], tuple[Draft, bool]]) -> Maker:
    def maker(rng: Rng, number: int, kind: str) -> Request:
        draft, must_accept = make_odd(rng, number)
        return Request(number, kind, draft.encode(), must_accept=must_accept)

    return maker


def _forged(spoil: Callable[[Rng, Draft], None], base: Callable[[Rng, int], Draft] = genuine) -> Maker:
    def maker(rng: Rng, number: int, kind: str) -> Request:
        draft = base(rng, number)
        spoil(rng, draft)
        return Request(number, kind, draft.encode())

    return maker


def _framed(frame: Callable[[Rng, Draft], Framed], base: Callable[[Rng, int], Draft] = genuine) -> Maker:
    def maker(rng: Rng, number: int, kind: str) -> Request:
        raw, sending = frame(rng, base(rng, number))
        return Request(number, kind, raw, sending)

    return maker


def _form_or_get(rng: Rng, number: int) -> Draft:
    draft = form(rng, number)
    return by_get(draft) if rng.random() < 0.15 else draft


def _noise(rng: Rng, number: int, kind: str) -> Request:
    raw, sending = garbage.noise(rng, number)
    return Request(number, kind, raw, sending)


def _chunked(rng: Rng, number: int, kind: str) -> Request:
    return Request(number, kind, framing.chunked(rng, genuine(rng, number)), must_accept=True)


def _pieces(rng: Rng, number: int, kind: str) -> Request:
    raw = genuine(rng, number).encode()
    return Request(number, kind, raw, Sending.PIECES, must_accept=True)


def _pipelined(rng: Rng, number: int, kind: str) -> Request:
    raw = b"".join(form(rng, number).encode() for _ in range(2))
    return Request(number, kind, raw, must_accept=True, answers=2)


_TABLE: tuple[tuple[float, str, Maker], ...] = (
    # genuine
    (14, "a genuine form", _accepted(form)),
    (3, "a genuine form by GET", _accepted(lambda rng, number: by_get(form(rng, number)))),
    (2, "a genuine batch", _accepted(batch)),
    (2, "genuine, chunked", _chunked),
    (2, "genuine, in pieces", _pieces),
    (1, "two at once", _pipelined),
    # signed, and odd
    (7, "odd values, signed", _oddly(odd.odd_values)),
    (4, "odd identity, signed", _oddly(odd.odd_identity)),
    (6, "odd escapes, signed", _oddly(odd.odd_escapes)),
    (3, "repeated names, signed", _oddly(odd.repeated)),
    (2, "odd query, signed", _oddly(odd.odd_query)),
    (1.5, "at a limit, signed", _oddly(odd.at_a_limit)),
    (1, "of another route, signed", _oddly(odd.unidentified)),
    (3, "odd JSON, signed", _made(batches.odd_batch)),
    (0.1, "a batch at a limit, signed", _made(batches.batch_at_a_limit)),
    # forged
    (5, "a wrong token", _forged(forging.wrong_token)),
    (3, "a wrong account", _forged(forging.wrong_account, _form_or_get)),
    (6, "an odd signature", _forged(forging.odd_signature)),
    (3, "a wrong algorithm", _forged(forging.wrong_algorithm)),
    (8, "changed parameters", _forged(forging.changed_parameters, _form_or_get)),
    (4, "replayed elsewhere", _forged(forging.replayed, _form_or_get)),
    (3, "a forged batch", _forged(forging.forged_batch, batch)),
    # malformed
    (3, "bad escapes", _framed(garbage.bad_escapes, form)),
    (2, "content types", _framed(heads.content_type)),
    (3, "content lengths", _framed(framing.odd_lengths)),
    (2, "odd chunks", _framed(framing.odd_chunks)),
    (1, "smuggled", _framed(framing.smuggled, form)),
    (2, "odd request lines", _framed(heads.odd_line)),
    (2, "odd headers", _framed(heads.odd_head, form)),
    (4, "changed bytes", _framed(garbage.changed_bytes)),
    (1, "noise", _noise),
    (1, "cut off", _framed(framing.cut)),
    (0.02, STALLED, _framed(framing.stalled)),
)
_MAKERS = [(kind, maker) for _, kind, maker in _TABLE]
_BOUNDS = list(accumulate(weight for weight, _, _ in _TABLE))
KINDS = tuple(kind for kind, _ in _MAKERS)
