"""What follows from a provider's answer: what is reported of the command, and what its sender must do.

Pure, and of no provider in particular: adapters say what their codes mean (`provider.Verdict`). The command
that was refused is reported as it is; it is those behind it that slow down or wait. What a single answer
cannot tell is `streaks`'. Leaves to others: slowing down and pausing (`brakes`), and the records (`reports`).
"""

from typing import NamedTuple

import msgspec

from schemas.records import OutboundCommand
from schemas.vocabulary import CommandResult, ErrorClass
from sinks.outbound.pacing.pauses import Reach, Scope
from sinks.outbound.provider import Ambiguous, Concern, Lift, NotSent, Rejected, SendAnswer, Verdict
from sinks.outbound.reports import THROTTLED, result_of

UNNAMED_WAIT_S = 1.0
"""How long a throttled sender waits when the provider does not say."""

_SOON_S, _LATER_S = 60.0, 3_600.0


class SlowDown(NamedTuple):
    """Send slower; and nothing at all for as long as the provider asked."""

    retry_after_s: float


class Halt(NamedTuple):
    """Send nothing. `lift` says whether that ends by itself; `for_s` is how long, where seconds can tell."""

    scope: Scope
    reason: str
    lift: Lift
    for_s: float | None = None


class Consequence(msgspec.Struct, frozen=True):
    """`result`, `error_class` and `error_code` are what is reported of the command."""

    result: CommandResult
    error_class: ErrorClass | None = None
    error_code: int | None = None
    slow_down: SlowDown | None = None
    halt: Halt | None = None


def consequence(command: OutboundCommand, answer: SendAnswer) -> Consequence:
    """What follows from the answer to a call of this command."""
    result = result_of(answer)
    match answer:
        case Rejected(code, verdict):
            return _of_verdict(command, result, code, verdict)
        case NotSent(throttled=True, retry_after_s=wait_s):
            slower = SlowDown(UNNAMED_WAIT_S if wait_s is None else wait_s)
            return Consequence(result, ErrorClass.RATE, THROTTLED, slow_down=slower)
        case Ambiguous(retry_after_s=float(wait_s)):
            scope = Scope(Reach.PROVIDER, command.provider)
            return Consequence(
                result, halt=Halt(scope, f"{command.provider} asks to wait", Lift.SOON, wait_s)
            )
    return Consequence(result)


def consequence_of_code(command: OutboundCommand, code: int, verdict: Verdict) -> Consequence:
    """What follows from a code that came later, with a status: the message was accepted and then failed."""
    return _of_verdict(command, CommandResult.ACCEPTED, code, verdict)


def _of_verdict(
    command: OutboundCommand, result: CommandResult, code: int | None, verdict: Verdict
) -> Consequence:
    error_class, concern, lift = verdict
    if error_class is ErrorClass.RATE and concern is Concern.SENDER and lift is Lift.SOON:
        return Consequence(result, error_class, code, slow_down=SlowDown(UNNAMED_WAIT_S))
    halt = None
    if concern in (Concern.SENDER, Concern.ACCOUNT):
        of_sender = concern is Concern.SENDER
        scope = Scope(Reach.SENDER, command.sender) if of_sender else Scope(Reach.PROVIDER, command.provider)
        for_s = {Lift.SOON: _SOON_S, Lift.LATER: _LATER_S}.get(lift)
        halt = Halt(scope, f"{command.provider} answers {code} ({error_class})", lift, for_s)
    return Consequence(result, error_class, code, halt=halt)
