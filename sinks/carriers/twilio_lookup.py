"""Twilio's Lookup v2 through Twilio's own SDK: one number, its line type and carrier.

Source: facts, Twilio section 9 (GET /v2/PhoneNumbers/{n}?Fields=line_type_intelligence). Guarantees:
nothing the network or Twilio does is raised from `ask`; no number is in what it returns or logs (the SDK's
errors carry the URL, and with it the number, and are dropped here). Leaves to the caller: the budget, the
pace, asking again.
"""

from typing import Any, Protocol

import aiohttp
from twilio.base.exceptions import TwilioRestException, TwilioServiceException
from twilio.rest import Client

from sinks.carriers.lines import Answer, Line, NotNow
from sinks.outbound.config import TwilioAccount
from sinks.outbound.twilio_http import Call, TwilioHttp, current_call

TWILIO_LOOKUPS = "https://lookups.twilio.com"
_FIELD = "line_type_intelligence"
_REFUSALS = (TwilioRestException, TwilioServiceException)
# Not who we say we are, or not allowed to: somebody mends it. Asking again each second does not.
_UNAUTHORIZED = frozenset({401, 403})
UNAUTHORIZED_AFTER_S = 60.0


class Lookups(Protocol):
    """Whoever can tell a number's line."""

    async def ask(self, number: str) -> Answer: ...

    async def close(self) -> None: ...


class TwilioLookups:
    """Must be created on the running event loop; `close` it there."""

    def __init__(self, account: TwilioAccount) -> None:
        base_url = None if account.api_url.rstrip("/") == TWILIO_LOOKUPS else account.api_url
        self._http = TwilioHttp(base_url, account.connect_timeout_s, account.read_timeout_s, pool=1)
        self._client = Client(
            account.username, account.password, account_sid=account.account_sid, http_client=self._http
        )
        self._client.region, self._client.edge = account.region, account.edge
        self._numbers = self._client.lookups.v2.phone_numbers

    async def ask(self, number: str) -> Answer:
        call = Call()
        current_call.set(call)
        try:
            found = await self._numbers(number).fetch_async(fields=_FIELD)
            return line_of(found.valid, found.country_code, found.line_type_intelligence)
        except _REFUSALS as refused:
            return refusal(call.status or refused.status, refused.code, call.retry_after_s)
        except (aiohttp.ClientError, TimeoutError, OSError) as broken:
            return NotNow(type(broken).__name__, maybe_charged=call.may_be_written)
        except Exception as unreadable:  # whatever the SDK makes of an answer that is none
            return NotNow(f"an answer nobody can read: {type(unreadable).__name__}", maybe_charged=True)

    async def close(self) -> None:
        await self._http.close()


def line_of(valid: bool | None, country: str | None, intelligence: Any) -> Line:
    """The line in Twilio's answer. An invalid number is an answer too: 200 with valid=false."""
    told = intelligence if isinstance(intelligence, dict) else {}
    if valid is False:
        return Line("", "", "", "invalid", country or "", 0)
    code = told.get("error_code")
    return Line(
        carrier=str(told.get("carrier_name") or ""),
        mcc=str(told.get("mobile_country_code") or ""),
        mnc=str(told.get("mobile_network_code") or ""),
        line_type=str(told.get("type") or ""),
        country=country or "",
        error_code=int(code) if code else 0,
    )


def refusal(status: int | None, code: int | None, retry_after_s: float | None) -> Answer:
    """What an HTTP error means. 400 and 404 are about the number and stand; the rest is about the moment."""
    if status in (400, 404):
        return Line("", "", "", "", "", code or status)
    if status == 429:
        return NotNow("throttled (429)", maybe_charged=False, after_s=retry_after_s)
    if status in _UNAUTHORIZED:
        return NotNow(
            f"HTTP {status}, code {code}: check TWILIO_* and that the key may use the Lookup API",
            maybe_charged=False,
            after_s=UNAUTHORIZED_AFTER_S,
        )
    return NotNow(f"HTTP {status}, code {code}", maybe_charged=True, after_s=retry_after_s)
