"""Frequency caps: how many notifications of a category a tenant may send one person in any time of a length.

What counts is what was admitted, each notification once, however often and on whatever channel it is tried.
"""

import msgspec

from schemas.records import AdmissionCheck
from schemas.vocabulary import Category
from streams.policy import Policies
from streams.state import Admitted, RecipientRow


def free_at(row: RecipientRow, check: AdmissionCheck, policies: Policies) -> int:
    """When no cap is against this check; its own time when none is already.

    Counts other notifications only: one that was admitted before takes no second place.
    """
    free = check.asked_at
    others = sorted(
        (each.at for each in _of(row, check) if each.notification_id != check.notification_id), reverse=True
    )
    for cap in policies.of(check.tenant).caps.get(check.category, ()):
        inside = [at for at in others if at > check.asked_at - cap.per_ms]
        if len(inside) >= cap.limit:
            free = max(free, inside[cap.limit - 1] + cap.per_ms)
    return free


def counted(row: RecipientRow, check: AdmissionCheck, policies: Policies) -> RecipientRow:
    """The row after this check was admitted.

    A notification that is tried again keeps its time while the shortest cap still sees it, and takes the new
    time after that: then the person hears of it anew.
    """
    caps = policies.of(check.tenant).caps.get(check.category, ())
    if not caps:
        return row
    shortest = min(cap.per_ms for cap in caps)
    known = next((e for e in _of(row, check) if e.notification_id == check.notification_id), None)
    if known is not None and known.at > check.asked_at - shortest:
        return row
    entry = Admitted(
        tenant=check.tenant,
        category=check.category,
        notification_id=check.notification_id,
        at=check.asked_at,
    )
    return msgspec.structs.replace(
        row, admitted=(*(each for each in row.admitted if each is not known), entry)
    )


def kept(row: RecipientRow, policies: Policies) -> tuple[Admitted, ...]:
    """What a cap may still count, the latest first, no more of each than the highest cap."""
    found: list[Admitted] = []
    number: dict[tuple[str, Category], int] = {}
    for each in sorted(row.admitted, key=lambda e: (e.at, e.notification_id, e.tenant), reverse=True):
        caps = policies.of(each.tenant).caps.get(each.category, ())
        longest = max((cap.per_ms for cap in caps), default=0)
        most = max((cap.limit for cap in caps), default=0)
        number[each.tenant, each.category] = number.get((each.tenant, each.category), 0) + 1
        if each.at > row.seen_at - longest and number[each.tenant, each.category] <= most:
            found.append(each)
    return tuple(found)


def _of(row: RecipientRow, check: AdmissionCheck) -> list[Admitted]:
    return [e for e in row.admitted if e.tenant == check.tenant and e.category is check.category]
