"""Who may ask the API, and how many at once (facts, section 11).

HTTP Basic with the account's SID and token, or an API key and its secret. Decides nothing about the
request itself.
"""

import base64
import binascii
import hmac

from starlette.requests import Request

from sandbox.carrier.errors import ApiError
from sandbox.carrier.settings import Settings


def admit(request: Request, settings: Settings, concurrent: int, now_ms: int) -> None:
    """Return when the request may be handled; `concurrent` counts those in hand, this one included.

    Raises ApiError: 20003 for wrong credentials, 20404 for another account's resource, 20429 above
    the limit of concurrent requests or in a burst of throttling (never processed).
    """
    account = settings.account
    user, secret = _credentials(request)
    known = {account.sid: account.auth_token}
    if account.key_sid is not None and account.key_secret is not None:
        known[account.key_sid] = account.key_secret
    if user not in known or not hmac.compare_digest(known[user].encode(), secret.encode()):
        raise ApiError(20003)
    # The Lookup API's resources belong to no account.
    if request.path_params.get("account", account.sid) != account.sid:
        raise ApiError(20404, request.url.path)
    if 0 < settings.max_concurrency < concurrent or settings.throttling.throttles(now_ms):
        raise ApiError(20429)


def _credentials(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise ApiError(20003)
    try:
        user, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(20003) from None
    return user, secret
