"""Dead numbers: where a person cannot be reached, from what the provider answered, and when that is over.

A place is what an error is about: the number (`phone`: SMS, MMS and RCS share it), WhatsApp, or one of the
others alone. Guarantees: the same evidence in any order gives the same marks; a sign of life forgets every
failure up to its own time, whichever comes first.
"""

from collections.abc import Iterable

import msgspec

from schemas.records import DeliveryEvidence
from schemas.vocabulary import Channel
from streams.policy import DeadNumbers, Policies
from streams.policy.sections import MOST_REPEATS
from streams.state import Failure, LifeSign, RecipientRow

PHONE = "phone"


def places(channel: Channel) -> tuple[str, ...]:
    """The places a message on this channel must get through; none for a channel that is only received."""
    match channel:
        case Channel.WHATSAPP:
            return (channel,)
        case Channel.SMS | Channel.MMS | Channel.RCS:
            return (PHONE, channel)
        case Channel.OTHER:
            return ()


def alive(row: RecipientRow, channel: Channel, at: int) -> RecipientRow:
    """The row after a sign of life: a message of the person, or one that was delivered."""
    signs = {sign.place: sign.at for sign in row.life}
    for place in places(channel):
        signs[place] = max(at, signs.get(place, 0))
    life = tuple(LifeSign(place=place, at=signs[place]) for place in sorted(signs))
    return msgspec.structs.replace(row, life=life, failures=_since(row.failures, signs))


def learnt(row: RecipientRow, evidence: DeliveryEvidence, policies: Policies) -> RecipientRow:
    """The row after what one attempt taught; unchanged by a code that says nothing of the number."""
    code = evidence.error_code
    if code is None:
        return alive(row, evidence.channel, evidence.at)
    place = _place(code, evidence.channel, policies.of(evidence.tenant).dead_numbers)
    if place is None:
        return row
    failure = Failure(place=place, evidence_id=evidence.evidence_id, error_code=code, at=evidence.at)
    failures = _since((*row.failures, failure), {sign.place: sign.at for sign in row.life})
    return msgspec.structs.replace(row, failures=_kept(failures))


def dead(row: RecipientRow, channel: Channel, at: int, policy: DeadNumbers) -> bool:
    """Whether nobody can be reached on this channel, as far as is known at this time."""
    for place in places(channel):
        failures = [each for each in row.failures if each.place == place]
        terminal = policy.codes | policy.channel_codes
        if any(each.error_code in terminal and each.at > at - policy.forget_after_ms for each in failures):
            return True
        if _repeated(failures, at, policy):
            return True
    return False


def _repeated(failures: Iterable[Failure], at: int, policy: DeadNumbers) -> bool:
    rule = policy.repeated
    times = sorted(each.at for each in failures if each.error_code in rule.codes)
    return any(
        last - first <= rule.within_ms and last > at - rule.forget_after_ms
        for first, last in zip(times, times[rule.times - 1 :], strict=False)
    )


def _place(code: int, channel: Channel, policy: DeadNumbers) -> str | None:
    if channel is Channel.OTHER:
        return None
    if code in policy.channel_codes:
        return channel
    if code in policy.codes | policy.repeated.codes:
        return places(channel)[0]
    return None


def _since(failures: tuple[Failure, ...], signs: dict[str, int]) -> tuple[Failure, ...]:
    return tuple(each for each in failures if each.at > signs.get(each.place, 0))


def _kept(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """The latest of each place and code, and of each place as many as any policy counts."""
    copies: dict[tuple[str, int, str], Failure] = {}
    for each in sorted(failures, key=_age):
        copies[each.place, each.error_code, each.evidence_id] = each
    kept: list[Failure] = []
    number: dict[str, int] = {}
    codes: set[tuple[str, int]] = set()
    for each in sorted(copies.values(), key=_age, reverse=True):
        number[each.place] = number.get(each.place, 0) + 1
        if number[each.place] <= MOST_REPEATS or (each.place, each.error_code) not in codes:
            kept.append(each)
        codes.add((each.place, each.error_code))
    return tuple(kept)


def _age(failure: Failure) -> tuple[int, str, int, str]:
    return (failure.at, failure.place, failure.error_code, failure.evidence_id)
