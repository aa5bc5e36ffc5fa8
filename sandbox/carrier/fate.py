"""What becomes of a message, decided the moment it is asked for.

Pure: a fate follows from the seed, the recipient, the sender or service, the content and how many
times that same combination was asked for before, and from nothing else: neither the order of arrival
nor the clock. So one seed repeats a run exactly, however its requests interleave. Each decision has
its own draw: changing one probability leaves all other decisions as they were.

All times are milliseconds before `--time-scale`. Carrying a fate out is `runner`'s.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from sandbox.carrier.carriers import Carrier, Delay, carrier_of
from sandbox.carrier.chaos import Chaos
from sandbox.carrier.draws import (
    Answer,
    Draw,
    End,
    chaos_of,
    drawn_answer,
    drawn_end,
    forced_answer,
    forced_end,
)
from sandbox.carrier.magic import magic_of
from sandbox.carrier.request import Channel, CreateRequest, Status


@dataclass(frozen=True, slots=True)
class Step:
    """The message takes `status` this long after it was accepted (or came due)."""

    at_ms: float
    status: Status
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """Everything that will happen to one request.

    `steps` is the truth in its order. `callbacks` are the same steps in the order and as often as
    they are posted; with `in_turn` each waits for the end of the one before it. `reached_ms` is when
    the handset shows the message, None when it never does.
    """

    sid: str
    answer: Answer
    answer_delay_ms: float
    carrier: Carrier
    steps: tuple[Step, ...]
    callbacks: tuple[Step, ...]
    in_turn: bool
    reached_ms: float | None

    @property
    def final(self) -> Step:
        """The last step: what the message's status will be for ever."""
        return self.steps[-1]


_NORMAL = NormalDist()
_COPY_AFTER = Delay(median_ms=400, sigma=0.8)
_READ_AFTER = Delay(median_ms=4000, sigma=0.7)


def fate(seed: int, request: CreateRequest, ordinal: int, chaos: Chaos | None = None) -> Fate:
    """The fate of the `ordinal`-th request (from 1) with this recipient, sender and content.

    Without `chaos` only the carriers' own faults happen. Raises ValueError when ordinal < 1.
    """
    if ordinal < 1:
        raise ValueError(f"the ordinal of a request counts from 1, not {ordinal}")
    identity = _identity(seed, request, ordinal)
    draw = _draws(identity)
    magic = magic_of(request.to.bare)
    carrier = carrier_of(request.to.bare)
    quirks = chaos or Chaos()
    if magic is not None:  # a magic number meets its own fault and no other
        quirks, carrier = chaos_of(magic), replace(carrier, duplicate=0.0)
        answer, (end, code) = forced_answer(magic, ordinal), forced_end(magic)
    else:
        answer = drawn_answer(draw, quirks)
        end, code = drawn_end(draw, carrier, quirks, request.to.channel)
    steps, reached_ms = _steps(draw, request, carrier, end, code, answer is Answer.CALLBACK_FIRST)
    reverse = draw("reversed") < quirks.reversed_order and len(steps) > 1
    return Fate(
        sid=("MM" if request.media_urls else "SM") + identity.hex()[:32],
        answer=answer,
        answer_delay_ms=(1500 + 3000 * draw("slow")) if answer is Answer.SLOW else 0.0,
        carrier=carrier,
        steps=steps,
        callbacks=_callbacks(draw, steps, carrier, quirks, reverse),
        in_turn=reverse,
        reached_ms=reached_ms,
    )


def _identity(seed: int, request: CreateRequest, ordinal: int) -> bytes:
    digest = hashlib.blake2b(digest_size=32)
    for part in (str(seed), *request.combination, str(ordinal)):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


def _draws(identity: bytes) -> Draw:
    def draw(name: str) -> float:
        number = hashlib.blake2b(name.encode(), key=identity, digest_size=8).digest()
        return int.from_bytes(number, "big") / 2**64

    return draw


def _wait(draw: Draw, name: str, delay: Delay) -> float:
    # Cut at three sigmas: a tail without an end would make a demo without one.
    quantile = min(max(draw(name), 0.00135), 0.99865)
    return delay.median_ms * math.exp(delay.sigma * _NORMAL.inv_cdf(quantile))


def _steps(
    draw: Draw, request: CreateRequest, carrier: Carrier, end: End, code: int | None, at_once: bool
) -> tuple[tuple[Step, ...], float | None]:
    steps: list[Step] = []
    now = 0.0
    if request.from_service:
        now = 0.0 if at_once else 20 + 60 * draw("queued")
        steps.append(Step(now, Status.QUEUED))
        at_once = False
    now += 0.0 if at_once else _wait(draw, "sent", carrier.sent)
    if end is End.FAILED:
        return (*steps, Step(now, Status.FAILED, code)), None
    if now > request.validity_s * 1000:
        return (*steps, Step(now, Status.FAILED, 30036)), None
    steps.append(Step(now, Status.SENT))
    now += _wait(draw, "delivered", carrier.delivered)
    if end is End.SILENT_REACHED:
        return tuple(steps), now
    if end is End.SILENT_LOST:
        return tuple(steps), None
    if end is End.UNDELIVERED:
        return (*steps, Step(now, Status.UNDELIVERED, code)), None
    steps.append(Step(now, Status.DELIVERED))
    reached = now
    if request.to.channel is not Channel.SMS and draw("read") < 0.6:
        steps.append(Step(now + _wait(draw, "read-after", _READ_AFTER), Status.READ))
    return tuple(steps), reached


def _callbacks(
    draw: Draw, steps: tuple[Step, ...], carrier: Carrier, chaos: Chaos, reverse: bool
) -> tuple[Step, ...]:
    if draw("callbacks-lost") < chaos.callbacks_lost:
        return ()
    posted = list(steps)
    if draw("duplicates") < 1 - (1 - carrier.duplicate) * (1 - chaos.duplicates):
        posted += [
            replace(step, at_ms=step.at_ms + _wait(draw, f"copy-{step.status.value}", _COPY_AFTER))
            for step in steps
        ]
        posted.sort(key=lambda step: step.at_ms)
    if reverse:
        last = posted[-1].at_ms
        posted = [replace(step, at_ms=last) for step in reversed(posted)]
    return tuple(posted)
