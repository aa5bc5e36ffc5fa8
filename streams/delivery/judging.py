"""How an attempt ended badly, if it did, and what its class of error allows next.

Pure. Source of the classes: `streams.error_codes`.
"""

import hashlib

from schemas.records import NotificationRequest
from schemas.vocabulary import ErrorClass, NotificationState
from streams.delivery.attempt import ABSENT, BadEnd
from streams.delivery.policy import DeliveryPolicy
from streams.error_codes import RETRIED_ONCE

RETRIED = frozenset({ErrorClass.TRANSIENT, ErrorClass.RATE})
_NEXT_STEP = frozenset({ErrorClass.TERMINAL, ErrorClass.BAD_NUMBER, ErrorClass.CHANNEL}) | RETRIED
# A try that the provider never took cost nothing and tells nothing of the recipient.
_PATIENCE = 5


def may_retry(end: BadEnd, tries: int, policy: DeliveryPolicy) -> bool:
    """Whether the same step may be tried once more after so many tries of it."""
    if end.error_class not in RETRIED or end.result in ("expired", "canceled"):
        return False
    if end.error_code in RETRIED_ONCE:
        return tries < 2
    untaken = end.error_class is ErrorClass.RATE or end.result == ABSENT
    return tries < policy.max_attempts * (_PATIENCE if untaken else 1)


def may_move_on(end: BadEnd) -> bool:
    """Whether another channel may be tried. A filtered text is not sneaked in by another door; a mistake of
    ours is mended, not worked around; what may have arrived is not repeated."""
    return end.error_class in _NEXT_STEP and end.result not in ("expired", "canceled")


def state_after(end: BadEnd) -> NotificationState:
    """What the notification is when nothing more is tried."""
    if end.error_class is ErrorClass.OPT_OUT:
        return NotificationState.SUPPRESSED
    match end.result:
        case "undelivered":
            return NotificationState.UNDELIVERED
        case "expired":
            return NotificationState.EXPIRED
        case "not_admitted":
            return NotificationState.SUPPRESSED
    return NotificationState.FAILED


def reason_after(end: BadEnd) -> str:
    match end.result:
        case "expired":
            return "waited-too-long"
        case "absent":
            return "not-accepted"
        case "canceled":
            return "canceled"
        case "suppressed" | "not_admitted":
            return end.detail or "opted-out"
    return "opted-out" if end.error_class is ErrorClass.OPT_OUT else end.error_class.value


def retry_wait(request: NotificationRequest, attempt: int, tries: int, policy: DeliveryPolicy) -> int:
    """The back-off doubles, with up to a fifth of jitter, the same for every replay of the attempt."""
    wait = min(policy.retry_base_ms << (tries - 1), policy.longest_retry_ms)
    seed = f"{request.notification_id}:{attempt}".encode()
    return wait + int.from_bytes(hashlib.sha256(seed).digest()[:4], "big") % max(1, wait // 5)
