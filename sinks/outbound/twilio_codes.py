"""Of what Twilio's codes tell beside the one message, and for how long: what pacing must know of them.

Source: facts, Twilio section 5 (Twilio's api/errors/<code> pages); the reach of each is our inference there.
Guarantees: every code has a verdict; one that is not listed concerns nothing but its message, so that news
nobody knows stops nobody. The classes themselves are `streams.error_codes`'.

21xxx come as REST answers, and in callbacks when a Messaging Service was used (twilio-java #611), 30xxx and
63xxx in callbacks, some by REST: the verdict is the same wherever a code comes from.
"""

from schemas.vocabulary import ErrorClass
from sinks.outbound.provider import Concern, Lift, Verdict
from streams.error_codes import classify

THROTTLED = 20429
TOO_MANY_MEDIA = 21623
TOO_LONG = 21617

_ACCOUNT = frozenset(
    {
        20003,  # the credentials are wrong
        20404,  # the account in the path does not exist
        21609,  # the callback URL, the same for all, is none
        30002,  # suspended
        30037,  # outbound messaging disabled
    }
)
_SENDER = frozenset(
    {
        21212,  # no valid sender at all
        21659,  # not Twilio's number
        21660,  # another account's
        21661,  # not able to send
        21701,  # a service that does not exist
        21704,  # a service without any sender
        30032,  # toll-free, not verified
        30033,  # its campaign is suspended
        30034,  # of no campaign
        63001,  # its channel's credentials are wrong
        63007,  # no channel has it
    }
)
# One recipient abroad must not stop a sender that serves everybody else: `streaks` waits for more of them.
_DESTINATION = frozenset(
    {
        21606,  # not for this destination
        21703,  # a service without a suitable sender
        30018,  # not registered there beforehand
        30024,  # not provisioned at that carrier
        30040,  # not registered there beforehand
    }
)
_LIFTS = {
    30023: Verdict(ErrorClass.RATE, Concern.SENDER, Lift.NEXT_DAY),  # its daily cap
    30035: Verdict(ErrorClass.CONFIGURATION, Concern.SENDER, Lift.LATER),  # still being set up, up to a day
    63038: Verdict(ErrorClass.RATE, Concern.ACCOUNT, Lift.LATER),  # the account's cap, of a rolling day
}
# Concern the one sender, whose rate adapts.
_SLOWS = frozenset({THROTTLED, 21611, 30001, 30022, 63017, 63018})


def verdict(code: int) -> Verdict:
    """What this code means for the message, its sender and the account."""
    if (known := _LIFTS.get(code)) is not None:
        return known
    error_class = classify(code)
    if code in _ACCOUNT:
        return Verdict(error_class, Concern.ACCOUNT)
    if code in _SENDER:
        return Verdict(error_class, Concern.SENDER)
    if code in _DESTINATION:
        return Verdict(error_class, Concern.DESTINATION)
    if code in _SLOWS:
        return Verdict(error_class, Concern.SENDER, Lift.SOON)
    return Verdict(error_class)


def verdict_of_status(code: int, *, by_service: bool) -> Verdict:
    """What this code means where it came with a message's status. What is wrong with one of the numbers that
    a service chose from is not wrong with the service."""
    means = verdict(code)
    if by_service and means.concern is Concern.SENDER and means.error_class is ErrorClass.CONFIGURATION:
        return means._replace(concern=Concern.DESTINATION)
    return means
