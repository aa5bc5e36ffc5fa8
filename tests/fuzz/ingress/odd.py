"""Genuine forms with odd content or of odd size: signed as Twilio would, so none of them is a forgery.

Guarantees: the return value says whether the ingress has to accept what it was made of.
"""

from __future__ import annotations

from tests.fuzz.ingress.genuine import FORM_ROUTES, by_get, sealed, signed
from tests.fuzz.ingress.limits import (
    LARGEST_FORM,
    LONGEST_HEAD,
    LONGEST_URL,
    MOST_HEADERS,
    MOST_PARAMETERS,
)
from tests.fuzz.ingress.values import Rng, odd_pairs, odd_text, oddly_encoded
from tests.fuzz.ingress.wire import Draft

_IDENTIFYING = ("MessageSid", "SmsSid", "SmsMessageSid", "CallSid", "AccountSid")
_TRACED = ("AccountSid", "Marker")
_ID = "00000000-0000-0000-0000-000000000001"
_QUERIES = (
    *("n=&a=", "n=x&a=1", "a=1", "n=n&n=n&a=a", "%", "%00", "%zz", "=", "&" * 200, "?", "??", "é"),
    *("n=%ff&a=%c0%80", "bodySHA256=", "bodySHA256=0&a", f"n={_ID}&a=0", f"n={_ID}&a=" + "9" * 5000),
    *(f"n={{{_ID}}}&a=1_0", "n=urn:uuid:" + "0" * 32 + "&a=%D9%A3", f"a=1&n={_ID[:-1]}A", f"n={_ID}&a=+1"),
)


def odd_values(rng: Rng, draft: Draft) -> bool:
    """Any value but those that identify is odd; names that nobody knows."""
    taken = {name for name, _ in draft.pairs}
    draft.pairs += [pair for pair in odd_pairs(rng, 12) if pair[0] not in taken]
    _seal(rng, draft)
    return _fits(draft)


def odd_identity(rng: Rng, draft: Draft) -> bool:
    """The values that identify, too."""
    for at, (name, value) in enumerate(draft.pairs):
        if name not in _TRACED and rng.random() < 0.3:
            draft.pairs[at] = (name, rng.choice((odd_text(rng), value.lower(), value[:-1], value + "0", "")))
    draft.pairs = [pair for pair in draft.pairs if pair[0] in _TRACED or rng.random() < 0.9]
    _seal(rng, draft)
    return False


def odd_escapes(rng: Rng, draft: Draft) -> bool:
    """Other escapes than Twilio's, of the same parameters."""
    draft.pairs += odd_pairs(rng, 3) if rng.random() < 0.5 else []
    draft.body = oddly_encoded(rng, draft.pairs)
    as_url = draft.body.decode()
    if rng.random() < 0.2 and as_url.isascii() and as_url.isprintable() and "#" not in as_url:
        draft.method, draft.query = "GET", as_url
    signed(draft)
    repeats = len({name for name, _ in draft.pairs}) < len(draft.pairs)
    return not repeats and _fits(draft)


def repeated(rng: Rng, draft: Draft) -> bool:
    """Names more than once, with the same and with other values, in any order."""
    again = rng.choices([pair for pair in draft.pairs if pair[0] not in _IDENTIFYING], k=rng.randrange(1, 6))
    draft.pairs += [(name, rng.choice((value, odd_text(rng)))) for name, value in again]
    if rng.random() < 0.3:
        draft.pairs.append(("AccountSid", odd_text(rng)))  # the first one counts
    _seal(rng, draft)
    return False


def odd_query(rng: Rng, draft: Draft) -> bool:
    """What a callback URL never says."""
    draft.query = rng.choice(_QUERIES)
    signed(draft)
    return False


def unidentified(rng: Rng, draft: Draft) -> bool:
    """A webhook of one kind, sent to the URL of another."""
    draft.path = rng.choice(FORM_ROUTES)
    sid = next(value for name, value in draft.pairs if name in _IDENTIFYING)
    draft.pairs.append(("SmsMessageSid", sid))
    sealed(draft)
    return False


def at_a_limit(rng: Rng, draft: Draft) -> bool:
    """One below, at, and one above what is taken; seldom far above."""
    over = rng.choice((-2, -1, 0, 0, 1, 2))
    chance = rng.random()
    if chance < 0.35:
        draft.pairs.append(("Filler", ""))
        space = LARGEST_FORM - len(sealed(draft).body)
        draft.pairs[-1] = ("Filler", "x" * (space + over))
    elif chance < 0.7:
        missing = MOST_PARAMETERS - len(draft.pairs) + over
        draft.pairs += [(f"P{at}", "") for at in range(missing)]
    elif chance < 0.9:
        missing = MOST_HEADERS - len(draft.all_headers()) + over
        draft.headers += [(b"X-%d" % at, b"") for at in range(missing)]
    else:
        over *= rng.choice((1, 1, 100, 5000))
        name = rng.choice((b"X-Long", b"X" * 300, b"Cookie"))
        draft.headers.append((name, b""))
        space = LONGEST_HEAD - (len(draft.encode()) - len(draft.body))
        draft.headers[-1] = (name, b"x" * max(0, space + over))
    sealed(draft)
    return over <= 0


def _seal(rng: Rng, draft: Draft) -> None:
    by_get(draft) if rng.random() < 0.1 else sealed(draft)


def _fits(draft: Draft) -> bool:
    return len(draft.target) <= LONGEST_URL
