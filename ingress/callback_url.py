"""The URL given to the provider with each message, and what it says when it comes back.

Guarantees: the URL carries the notification id and the attempt, so that a status callback needs no look-up
and may arrive before the answer of the call that caused it; Twilio signs it, so nobody else can write one.
Pure; also used by the outbound sink, which is the only one to put the URL into a request.
"""

import re
from urllib.parse import parse_qs, urlencode

from schemas.identity import AttemptRef, parse_attempt

STATUS_PATH = "/twilio/status"
INBOUND_PATH = "/twilio/inbound"
VOICE_PATH = "/twilio/voice"
EVENTS_PATH = "/twilio/events"

_NOTIFICATION = "n"
_ATTEMPT = "a"
# The query as `status_callback_url` writes it; anything else is taken apart at twenty times the cost.
_OURS = re.compile(
    rf"{_NOTIFICATION}=([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})&{_ATTEMPT}=([1-9][0-9]{{0,3}})"
).fullmatch

# Twilio by itself retries only a failed connect, once: a 5xx or a time-out would lose the callback. So all
# failures five times, within the 15 s in total that Twilio allows at most; a connect that takes 3 s or an
# answer that takes 6 s leaves time for another try. The 6 s must exceed the longest time in which the ingress
# decides its answer (`config.LONGEST_ACK_TIMEOUT_S`): a 2xx that comes later is not heard.
# (facts, Twilio section 2, timing; usage/webhooks/webhooks-connection-overrides)
CONNECTION_OVERRIDES = "rc=5&rp=all&ct=3000&rt=6000&tt=15000"


def status_callback_url(public_base_url: str, notification_id: str, attempt: int) -> str:
    """The StatusCallback of one attempt: `{base}/twilio/status?n=…&a=…#…`.

    The fragment holds the connection overrides: Twilio reads it, and neither sends nor signs it.
    """
    query = urlencode({_NOTIFICATION: notification_id, _ATTEMPT: attempt})
    return f"{public_base_url.rstrip('/')}{STATUS_PATH}?{query}#{CONNECTION_OVERRIDES}"


def attempt_of(query: str) -> AttemptRef | None:
    """The attempt that the query of a callback URL names; None when it names none, or not in our form.

    Trustworthy only after the request's signature was verified. Never raises.
    """
    ours = _OURS(query)
    if ours is not None:
        return AttemptRef._make((ours[1], int(ours[2])))
    try:
        parameters = parse_qs(query, max_num_fields=100)
    except ValueError:
        return None
    notification, attempt = parameters.get(_NOTIFICATION), parameters.get(_ATTEMPT)
    return parse_attempt(notification[0], attempt[0]) if notification and attempt else None
