"""Numbers that force a behaviour: Twilio's documented test numbers, and the simulator's own.

The simulator's own are +1 820 555 01NN: 555-0100…0199 is kept free for fiction in every North
American area code, and libphonenumber holds each of them for valid and possibly mobile, so that a
pipeline that refuses invalid numbers lets them through. (Twilio's +1 500 555 00NN are valid for
libphonenumber as well, of the type PERSONAL_NUMBER; +1 555 … is possible but not valid.)
A channel prefix before a magic number (`whatsapp:+1820…`) changes nothing. What each number does
is the table in the package's docstring.
"""

import enum


class Magic(enum.Enum):
    """A recipient whose message meets exactly one fate, whatever the seed and the chaos."""

    DELIVERED = 1
    UNREACHABLE = 2
    UNKNOWN_HANDSET = 3
    LANDLINE = 4
    FILTERED = 5
    UNKNOWN_ERROR = 6
    FAILED = 7
    SILENT_REACHED = 8
    SILENT_LOST = 9
    CALLBACK_FIRST = 10
    ACCEPTED_RESET = 11
    ACCEPTED_HANG = 12
    ERROR_BEFORE = 13
    ERROR_AFTER = 14
    UNAVAILABLE = 15
    THROTTLED = 16
    DUPLICATES = 17
    REVERSED = 18
    SLOW = 19
    CALLBACKS_LOST = 20
    ERROR_BEFORE_ONCE = 21
    UNAVAILABLE_ONCE = 22
    THROTTLED_ONCE = 23

    @property
    def number(self) -> str:
        """The recipient in E.164."""
        return f"+182055501{self.value:02d}"


_BY_NUMBER = {magic.number: magic for magic in Magic}


def magic_of(e164: str) -> Magic | None:
    """Which behaviour a bare E.164 recipient forces; None for an ordinary one."""
    return _BY_NUMBER.get(e164)


# Twilio's test numbers answer the create with an error (facts, section 11; iam/test-credentials).
REFUSED_RECIPIENTS: dict[str, int] = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
REFUSED_SENDERS: dict[str, int] = {
    "+15005550001": 21212,
    "+15005550007": 21606,
    "+15005550008": 21611,
}
