"""The hash of a JSON body, which Twilio puts into the URL it signs.

Guarantees: true only for the body whose SHA-256 is in `bodySHA256` of the query, written as Twilio writes it;
compares in constant time; never raises. Agrees with `RequestValidator` (SDK 9.13): of repeated parameters the
first that is not empty counts, and the hash is in lower case.
Leaves to others: the signature over the URL, without which this proves nothing; check it first, as it is
cheaper. (facts, Twilio section 3; usage/webhooks/webhooks-security)
"""

import hmac
from hashlib import sha256
from urllib.parse import parse_qsl

PARAMETER = "bodySHA256"
# Twilio adds this one parameter to those of the URL it was given.
MOST_PARAMETERS = 100


def verify_body(query: bytes, body: bytes) -> bool:
    """Whether `query`, as it was asked for, holds the hash of exactly these bytes."""
    try:
        parameters = parse_qsl(query.decode("utf-8", "replace"), max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return False
    for name, value in parameters:
        if name == PARAMETER:
            given = value.encode("utf-8", "replace")
            return hmac.compare_digest(sha256(body).hexdigest().encode(), given)
    return False
