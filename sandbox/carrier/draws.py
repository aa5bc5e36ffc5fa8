"""The single decisions a fate is made of: how the call is answered, how the carrier treats the message.

Pure. Each is either forced by a magic number or drawn from a number in [0, 1) that belongs to it alone.
"""

import enum
from collections.abc import Callable

from sandbox.carrier.carriers import Carrier
from sandbox.carrier.chaos import Chaos
from sandbox.carrier.magic import Magic
from sandbox.carrier.request import Channel

Draw = Callable[[str], float]
"""A decision's name to its number in [0, 1)."""


class Answer(enum.Enum):
    """How the API call ends."""

    CREATED = "created"
    CALLBACK_FIRST = "callback_first"  # 201, after the first callback was posted
    SLOW = "slow"  # 201, late
    ACCEPTED_RESET = "accepted_reset"  # accepted; the connection is reset instead of an answer
    ACCEPTED_HANG = "accepted_hang"  # accepted; nothing is ever answered
    ERROR_AFTER = "error_after"  # accepted; 500/20500 is answered
    ERROR_BEFORE = "error_before"  # 500/20500, never processed
    UNAVAILABLE = "unavailable"  # 503/20503, never processed
    THROTTLED = "throttled"  # 429/20429, never processed
    RESET_BEFORE = "reset_before"  # never processed; the connection is reset instead of an answer

    @property
    def accepts(self) -> bool:
        """Whether a message exists afterwards, whatever the caller was told."""
        return self not in _NEVER_PROCESSED


_NEVER_PROCESSED = frozenset({Answer.ERROR_BEFORE, Answer.UNAVAILABLE, Answer.THROTTLED, Answer.RESET_BEFORE})


class End(enum.Enum):
    """How the carrier treats the message."""

    DELIVERED = enum.auto()
    UNDELIVERED = enum.auto()
    FAILED = enum.auto()
    SILENT_REACHED = enum.auto()
    SILENT_LOST = enum.auto()


_FAILED_CODES = ((30001, 1.0), (30450, 1.0), (30500, 2.0))
_WHATSAPP_CODES = ((63003, 3.0), (63024, 3.0), (63032, 1.0))
_MAGIC_ENDS = {
    Magic.UNREACHABLE: (End.UNDELIVERED, 30003),
    Magic.UNKNOWN_HANDSET: (End.UNDELIVERED, 30005),
    Magic.LANDLINE: (End.UNDELIVERED, 30006),
    Magic.FILTERED: (End.UNDELIVERED, 30007),
    Magic.UNKNOWN_ERROR: (End.UNDELIVERED, 30008),
    Magic.FAILED: (End.FAILED, 30500),
    Magic.SILENT_REACHED: (End.SILENT_REACHED, None),
    Magic.SILENT_LOST: (End.SILENT_LOST, None),
}
_MAGIC_ANSWERS = {
    Magic.CALLBACK_FIRST: Answer.CALLBACK_FIRST,
    Magic.ACCEPTED_RESET: Answer.ACCEPTED_RESET,
    Magic.ACCEPTED_HANG: Answer.ACCEPTED_HANG,
    Magic.ERROR_BEFORE: Answer.ERROR_BEFORE,
    Magic.ERROR_AFTER: Answer.ERROR_AFTER,
    Magic.UNAVAILABLE: Answer.UNAVAILABLE,
    Magic.THROTTLED: Answer.THROTTLED,
    Magic.SLOW: Answer.SLOW,
}
_MAGIC_FIRST_ANSWERS = {
    Magic.ERROR_BEFORE_ONCE: Answer.ERROR_BEFORE,
    Magic.UNAVAILABLE_ONCE: Answer.UNAVAILABLE,
    Magic.THROTTLED_ONCE: Answer.THROTTLED,
}


def chaos_of(magic: Magic) -> Chaos:
    """What a magic number does to the callbacks."""
    return Chaos(
        duplicates=float(magic is Magic.DUPLICATES),
        reversed_order=float(magic is Magic.REVERSED),
        callbacks_lost=float(magic is Magic.CALLBACKS_LOST),
    )


def forced_answer(magic: Magic, ordinal: int) -> Answer:
    """How the call to a magic number is answered, the `ordinal`-th time."""
    answer = _MAGIC_ANSWERS.get(magic, Answer.CREATED)
    return _MAGIC_FIRST_ANSWERS.get(magic, answer) if ordinal == 1 else answer


def forced_end(magic: Magic) -> tuple[End, int | None]:
    """How a message to a magic number ends, and its error code."""
    return _MAGIC_ENDS.get(magic, (End.DELIVERED, None))


def drawn_answer(draw: Draw, chaos: Chaos) -> Answer:
    """How an ordinary call is answered."""
    left = draw("answer")
    for answer, probability in (
        (Answer.CALLBACK_FIRST, chaos.callback_first),
        (Answer.ACCEPTED_RESET, chaos.accepted_reset),
        (Answer.ACCEPTED_HANG, chaos.accepted_hang),
        (Answer.ERROR_BEFORE, chaos.error_before),
        (Answer.ERROR_AFTER, chaos.error_after),
        (Answer.UNAVAILABLE, chaos.unavailable),
        (Answer.THROTTLED, chaos.throttled),
        (Answer.SLOW, chaos.slow),
        (Answer.RESET_BEFORE, chaos.reset_before),
    ):
        left -= probability
        if left < 0:
            return answer
    return Answer.CREATED


def drawn_end(draw: Draw, carrier: Carrier, chaos: Chaos, channel: Channel) -> tuple[End, int | None]:
    """How an ordinary message ends, and its error code."""
    if draw("silent") < 1 - (1 - carrier.silent) * (1 - chaos.silent):
        return (End.SILENT_REACHED if draw("silent-reached") < 0.5 else End.SILENT_LOST), None
    if draw("failed") < carrier.failed:
        return End.FAILED, _pick(draw("code"), _FAILED_CODES)
    if draw("undelivered") < carrier.undelivered:
        codes = _WHATSAPP_CODES if channel is Channel.WHATSAPP else carrier.errors
        return End.UNDELIVERED, _pick(draw("code"), codes)
    return End.DELIVERED, None


def _pick(number: float, weights: tuple[tuple[int, float], ...]) -> int:
    left = number * sum(weight for _, weight in weights)
    for code, weight in weights:
        left -= weight
        if left < 0:
            return code
    return weights[-1][0]
