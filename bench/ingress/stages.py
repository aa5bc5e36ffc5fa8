"""The steps of a status callback one by one, over different requests, without server and broker.

Steps are timed in turns of 64 requests, as they are worked through at 256 connections; each figure is the
lower quartile of all turns, which other processes on the machine disturb least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from ingress.accounts import Account
from ingress.callback_url import attempt_of
from ingress.events import status_callback
from ingress.form import Form, parse_form
from schemas.codec import Codec
from schemas.records import ProviderStatus
from schemas.topics import Topic
from tests.ingress.twilio_side import ACCOUNT, BASE, TOKEN

TURN = 64

A = TypeVar("A")
B = TypeVar("B")


class Stage(msgspec.Struct, frozen=True):
    """One step of a request."""

    name: str
    microseconds: float


def measured_stages(requests: Sequence[bytes]) -> list[Stage]:
    account = Account(sid=ACCOUNT, tokens=(TOKEN,), public_base_urls=(BASE,))
    codec = Codec("http://nobody.invalid")
    codec.adopt(Topic.STATUS, ProviderStatus, 1)
    parsed = [_parts(request) for request in requests]
    times: dict[str, list[float]] = {}

    def step(name: str, work: Callable[[A], B], items: Sequence[A]) -> list[B]:
        began = time.perf_counter()
        done = [work(item) for item in items]
        times.setdefault(name, []).append((time.perf_counter() - began) / len(items))
        return done

    for at in range(0, len(parsed) - TURN, TURN):
        turn = parsed[at : at + TURN]
        forms = step("parse the form", lambda parts: _form(parts[2]), turn)
        genuine = step(
            "verify the signature",
            lambda both: account.signed(both[0][0] + both[1].signed_text, both[0][1]),
            list(zip(turn, forms, strict=True)),
        )
        assert all(genuine)
        attempts = step(
            "read the attempt", lambda parts: attempt_of(parts[0].partition(b"?")[2].decode()), turn
        )
        accepted = step(
            "make the record",
            lambda both: status_callback(both[0], both[1], 1_767_225_600_000),
            list(zip(forms, attempts, strict=True)),
        )
        step("encode it", lambda one: codec.encode(Topic.STATUS, one.records[0].record), accepted)  # type: ignore[union-attr]
    codec.close()
    stages = [Stage(name, round(sorted(of)[len(of) // 4] * 1e6, 2)) for name, of in times.items()]
    return [*stages, Stage("together", round(sum(stage.microseconds for stage in stages), 2))]


def _form(body: bytes) -> Form:
    form = parse_form(body)
    assert isinstance(form, Form)
    return form


def _parts(request: bytes) -> tuple[bytes, bytes, bytes]:
    """Target, signature and body."""
    head, _, body = request.partition(b"\r\n\r\n")
    signature = head.partition(b"X-Twilio-Signature: ")[2].partition(b"\r\n")[0]
    return head.split(b" ", 2)[1], signature, body
