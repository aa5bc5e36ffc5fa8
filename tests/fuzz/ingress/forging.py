"""What a forger can do without the token, and what honest clients do to a request on its way.

Each function takes a genuine draft and spoils it; some changes (another order of the same parameters) leave
it genuine, which is for the oracle to say.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha1, sha256

from tests.fuzz.ingress.genuine import EVENTS, FORM_ROUTES, by_get, sealed_body
from tests.fuzz.ingress.sdk import TOKENS, signature
from tests.fuzz.ingress.values import Rng, encoded, odd_text, oddly_encoded
from tests.fuzz.ingress.wire import Draft, Pair
from tests.ingress.twilio_side import ACCOUNT, OTHER_ACCOUNT

_SETTINGS = b"X-Twilio-Webhooks-Signature-Settings"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def wrong_token(rng: Rng, draft: Draft) -> None:
    """Signed with another account's token, one that nobody has, or the token and something more."""
    foreign = [token for account in TOKENS if account != draft.account for token in TOKENS[account]]
    odd = (draft.token[:-1], draft.token + " ", draft.token.upper(), "0", "12345", draft.account, "None")
    token = rng.choice((*foreign, *odd))
    draft.signature = signature(draft.target, _signed_pairs(draft), token)


def wrong_account(rng: Rng, draft: Draft) -> None:
    """The token is right for another account than the one that is named."""
    named = rng.choice(
        (OTHER_ACCOUNT, ACCOUNT, "AC" + "9" * 32, "", ACCOUNT.lower(), ACCOUNT + " ", "AC", "*", "%", "\0")
    )
    draft.pairs = [(name, named if name == "AccountSid" else value) for name, value in draft.pairs]
    if rng.random() < 0.3:  # both accounts are named: the first one counts
        draft.pairs.insert(rng.randrange(len(draft.pairs) + 1), ("AccountSid", draft.account))
    draft.body = encoded(draft.pairs)
    if draft.method == "GET":
        by_get(draft)
    draft.signature = signature(draft.target, _signed_pairs(draft), draft.token)


def odd_signature(rng: Rng, draft: Draft) -> None:
    """The right signature, written in another way, or a part of it."""
    right = draft.signature or b""
    digest = base64.b64decode(right)
    last = _BASE64.index(right[-2:-1])
    draft.signature = rng.choice(
        (
            b"",
            None,
            right[:-1],
            right + b"=",
            right.rstrip(b"="),
            right[:-2] + _BASE64[(last ^ 1) : (last ^ 1) + 1] + b"=",  # the same 20 bytes in other letters
            right[:14] + b" " + right[14:],
            right[:14] + b"\t" + right[14:],
            right.swapcase(),
            right[::-1],
            base64.urlsafe_b64encode(digest) + b"!",
            right.replace(b"+", b"-").replace(b"/", b"_") + b"\xff",
            binascii.hexlify(digest),
            digest.replace(b"\r", b"a").replace(b"\n", b"b").replace(b"\0", b"c"),
            b'"' + right + b'"',
            b"sha1=" + right,
            right + b"," + right,
            right + b"\xc3\xa9",
            right * rng.randrange(2, 100),
            b"A" * 27 + b"=",
            base64.b64encode(bytes(20)),
            base64.b64encode(rng.randbytes(20)),
            base64.b64encode(sha1(draft.body, usedforsecurity=False).digest()),
        )
    )


def wrong_algorithm(rng: Rng, draft: Draft) -> None:
    """Another algorithm is named than the one that signed, or one that nobody knows."""
    named = rng.choice(
        (
            *(b"HMAC_SHA256", b"hmac_sha256", b"HMAC_SHA1", b"HMAC_MD5", b"none", b"", b"NONE", b"sha1"),
            *(b"HMAC_SHA512", b"\xff", b"HMAC_SHA1 HMAC_SHA256", b"HMAC_SHA256;q=1", b"__class__"),
        )
    )
    draft.headers.append((_SETTINGS, b"key=webhooks_sharedkey_1,algorithm=" + named))
    if rng.random() < 0.5:
        used = rng.choice(("HMAC_SHA1", "HMAC_SHA256"))
        draft.signature = signature(draft.target, _signed_pairs(draft), draft.token, used)
    elif rng.random() < 0.3:
        draft.signature = b""


def changed_parameters(rng: Rng, draft: Draft) -> None:
    """The signature stays, the parameters do not: fewer, more, others, or the same in another way."""
    pairs = _changed(rng, list(draft.pairs))
    written = encoded(pairs) if rng.random() < 0.8 else oddly_encoded(rng, pairs)
    if draft.method == "GET":
        draft.query = written.decode().replace(" ", "+")
        draft.query = draft.query if draft.query.isascii() and draft.query.isprintable() else "a=b"
    draft.body = written


def _changed(rng: Rng, pairs: list[Pair]) -> list[Pair]:
    at = rng.randrange(len(pairs))
    name, value = pairs[at]
    match rng.randrange(13):
        case 0:
            return pairs[:at]
        case 1:
            return pairs[:at] + pairs[at + 1 :]
        case 2:
            return [*pairs, (odd_text(rng), odd_text(rng))]
        case 3:
            rng.shuffle(pairs)
        case 4:
            pairs[at] = (name.swapcase(), value)
        case 5:
            pairs[at] = (name, value.swapcase())
        case 6:
            pairs[at] = (name, value + rng.choice((" ", "\0", "x", "\n", "=")))
        case 7:
            pairs[at] = (name + value[:1], value[1:])  # the same text behind the URL
        case 8:
            pairs[at] = (name[:-1], name[-1:] + value)
        case 9:
            pairs.insert(rng.randrange(len(pairs) + 1), (name, value))  # once more: signed as once
        case 10:
            pairs.insert(rng.randrange(len(pairs) + 1), (name, odd_text(rng)))
        case 11:
            pairs[at] = (name, odd_text(rng))
        case _:
            other = rng.randrange(len(pairs))  # values change places
            pairs[at], pairs[other] = (name, pairs[other][1]), (pairs[other][0], value)
    return pairs


def replayed(rng: Rng, draft: Draft) -> None:
    """A genuine request, sent to another URL or with another method."""
    match rng.randrange(8):
        case 0 | 1:
            draft.path = rng.choice([path for path in (*FORM_ROUTES, EVENTS) if path != draft.path])
        case 2:
            draft.query = rng.choice(
                ("x=1", draft.query + "&", draft.query.upper(), "n=" + "0" * 36 + "&a=1")
            )
        case 3:
            draft.query = "" if draft.query else "n=1"
        case 4:
            draft.path = rng.choice(
                (draft.path + "/", draft.path.upper(), "/" + draft.path, draft.path.replace("t", "%74"))
            )
        case 5:
            draft.path = draft.path + rng.choice((";x", "%00", "%3F", "%23", "//", "/..", "/../status", "#x"))
        case 6:
            draft.method = "GET" if draft.method == "POST" else "POST"
            draft.query = encoded(draft.pairs).decode() if draft.method == "GET" else draft.query
        case _:
            if draft.method == "POST":  # signed as GET would be: the URL without what is posted
                draft.signature = signature(draft.target, [], draft.token)


def forged_batch(rng: Rng, draft: Draft) -> None:
    """The hash does not fit, or is not under the signature."""
    digest = sha256(draft.body).hexdigest()
    before = draft.query
    match rng.randrange(9):
        case 0:
            draft.body = draft.body[:-1] + rng.choice((b" ]", b",{}]", b"", b"]\n"))
        case 1:
            draft.body = draft.body.replace(b"delivered", b"deliveret")
        case 2:
            draft.query = before.replace(digest, digest.upper())
        case 3:
            draft.query = before.replace("bodySHA256", "bodysha256")
        case 4:  # the URL is genuine, the hash is not a part of it
            draft.query = ""
            draft.signature = signature(draft.target, [], draft.token)
        case 5:
            draft.query = f"bodySHA256={sha256(b'[]').hexdigest()}&{before}"
            draft.signature = signature(draft.target, [], draft.token)
        case 6:
            draft.query = before + f"&bodySHA256={digest}"
        case 7:
            draft.query = before.replace(digest, rng.choice((digest[:-1], digest + "0", "", "0" * 64)))
            draft.signature = signature(draft.target, [], draft.token)
        case _:
            other = OTHER_ACCOUNT if draft.account == ACCOUNT else ACCOUNT
            sealed_body(draft, f"account={other}")


def _signed_pairs(draft: Draft) -> list[Pair]:
    return [] if draft.method == "GET" or draft.path == EVENTS else draft.pairs
