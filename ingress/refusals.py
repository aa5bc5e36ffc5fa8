"""Why a request is refused, as one closed list: the reason is a metric's label, the status is the answer."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Refused for good: the same request would be refused again."""

    MISSING_SIGNATURE = "missing-signature"
    UNKNOWN_ACCOUNT = "unknown-account"
    BAD_SIGNATURE = "bad-signature"
    TOO_LARGE = "too-large"
    WRONG_TYPE = "wrong-type"
    NOT_A_FORM = "not-a-form"
    NOT_A_BATCH = "not-a-batch"
    MISSING_PARAMETER = "missing-parameter"
    BAD_PARAMETER = "bad-parameter"
    HEADERS_TOO_LARGE = "headers-too-large"
    WRONG_METHOD = "wrong-method"

    @property
    def status(self) -> int:
        """The HTTP status this reason is answered with."""
        return _STATUS[self]


_STATUS = {
    Reason.MISSING_SIGNATURE: 403,
    Reason.UNKNOWN_ACCOUNT: 403,
    Reason.BAD_SIGNATURE: 403,
    Reason.TOO_LARGE: 413,
    Reason.WRONG_TYPE: 415,
    Reason.NOT_A_FORM: 400,
    Reason.NOT_A_BATCH: 400,
    Reason.MISSING_PARAMETER: 400,
    Reason.BAD_PARAMETER: 400,
    Reason.HEADERS_TOO_LARGE: 431,
    Reason.WRONG_METHOD: 405,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """`detail` says what was wrong and what to do. It holds no phone number, no token and no body."""

    reason: Reason
    detail: str
