"""How a create request ended: every refusal, broken answer and failure of the network in its place. Pure.

One question decides: can a message exist? Facts, Twilio sections 4 and 5: Twilio has no idempotency key.

| what came back                                               | what it is                              |
|--------------------------------------------------------------|-----------------------------------------|
| no connection: DNS, refused, TLS, connect time-out            | not sent, nobody can be reached         |
| the call's last moment passed before the wire was reached     | not sent                                |
| 429, with or without Twilio's code                            | not sent, throttled (never processed)   |
| 4xx with a code of Twilio's                                   | rejected, as the code says              |
| 4xx with a code of the class ambiguous; 408                   | ambiguous                               |
| 4xx without one: a proxy's, a gateway's                       | ambiguous: who refused, and what before? |
| 1xx, 3xx, 5xx, with or without a code                         | ambiguous                               |
| reset, time-out, end or rubbish once a connection was in hand | ambiguous                               |
| 2xx without a SID of Twilio's form                            | ambiguous                               |
"""

import re

from schemas.vocabulary import ErrorClass
from sinks.outbound.provider import Accepted, Ambiguous, NotSent, Rejected, SendAnswer
from sinks.outbound.twilio_codes import THROTTLED, verdict
from sinks.outbound.twilio_http import Call

_SID = re.compile(r"(?:SM|MM)[0-9a-fA-F]{32}")
_REQUEST_TIMEOUT, _TOO_MANY = 408, 429


def is_message_sid(sid: object) -> bool:
    return isinstance(sid, str) and _SID.fullmatch(sid) is not None


def accepted(sid: object, status: object, call: Call) -> SendAnswer:
    """A 2xx that could be read."""
    if not isinstance(sid, str) or not is_message_sid(sid):
        return Ambiguous("an answer without a message's SID", call.request_id, call.status)
    return Accepted(sid, str(status), call.request_id)


def refused(status: int, code: object, call: Call) -> SendAnswer:
    """An answer that is not 2xx. `code` is what its body gives as one, or the SDK in its place."""
    known = code_of_twilio(status, code)
    what = (
        f"HTTP {status}, code {known}" if known is not None else f"HTTP {status} without a code of Twilio's"
    )
    is_refusal = 400 <= status < 500 and status != _REQUEST_TIMEOUT
    if status == _TOO_MANY or (is_refusal and known == THROTTLED):
        return NotSent("throttled (429)", throttled=True, retry_after_s=call.retry_after_s)
    if is_refusal and known is not None:
        means = verdict(known)
        if means.error_class is not ErrorClass.AMBIGUOUS:
            return Rejected(known, means, what, call.request_id)
    return Ambiguous(what, call.request_id, status, call.retry_after_s)


def broken(failure: Exception, call: Call) -> SendAnswer:
    """No answer, or none that could be read. The failure's own text may hold what a person was written."""
    what = type(failure).__name__
    if call.may_be_written:
        return Ambiguous(f"{what} after the request may have left", call.request_id, call.status)
    return NotSent(f"{what} before a connection was made", unreachable=True)


def code_of_twilio(status: int, code: object) -> int | None:
    """The code if it can be one of Twilio's: five digits. The SDK puts the HTTP status where there is none,
    and gateways have small numbers of their own."""
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code)
    if not isinstance(code, int) or isinstance(code, bool) or not 10_000 <= code <= 99_999:
        return None
    return code
