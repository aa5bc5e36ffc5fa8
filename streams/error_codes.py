"""What a provider's error code means for the next step.

Source: facts, Twilio section 5, and Twilio's pages api/errors/21609 and 21701; the classes are our inference,
Twilio publishes none. The layer a code comes by (REST answer, callback) does not change its class: with a
Messaging Service 21xxx come by callback too (twilio-java #611). A code that is not listed is terminal for the
attempt and named in the outcome: guessing a retry could send twice.
"""

from schemas.vocabulary import ErrorClass

_CODES: dict[ErrorClass, frozenset[int]] = {
    ErrorClass.TRANSIENT: frozenset({30003, 30008, 30017, 30036, 30450, 30453, 30454, 30500}),
    ErrorClass.AMBIGUOUS: frozenset({20500, 20503, 30046, 30410}),
    ErrorClass.TERMINAL: frozenset(
        {21266, 21612, 21617, 21623, 30010, 30019, 63005, 63013, 63021, 63032, 63049}
    ),
    ErrorClass.BAD_NUMBER: frozenset({21211, 21265, 21614, 21635, 30005, 30006}),
    ErrorClass.OPT_OUT: frozenset({21610, 30004}),
    ErrorClass.CONFIGURATION: frozenset(
        {20003, 20404, 21212, 21408, 21606, 21608, 21609, 21659, 21660, 21661, 21701, 21703, 21704}
        | {30002, 30018, 30024, 30032, 30033, 30034, 30035, 30037, 30040, 30044, 63001, 63007, 63015}
    ),
    ErrorClass.FILTERED: frozenset({30007}),
    ErrorClass.RATE: frozenset({20429, 21611, 30001, 30022, 30023, 63017, 63018, 63038}),
    ErrorClass.CHANNEL: frozenset({63003, 63016, 63024, 63036}),
}
RETRIED_ONCE = frozenset({30008})
"""Unknown errors: once more tells whether it was a passing one."""

OF_THE_NUMBER = _CODES[ErrorClass.BAD_NUMBER] | {30003, 63003, 63024}
"""What says something of the number rather than of this message; 30003 only when it comes again and again."""

OUTSIDE_WINDOW = 63016
"""A text on WhatsApp 24 h or more after the recipient's last message; a template would have gone through."""

_CLASS_OF = {code: error_class for error_class, codes in _CODES.items() for code in codes}


def classify(code: int | None) -> ErrorClass:
    """The class of a code; no code at all (a bad end without one) counts as terminal."""
    return _CLASS_OF.get(code or 0, ErrorClass.TERMINAL)
