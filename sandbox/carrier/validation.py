"""From the form of a create request to a CreateRequest, or to the error Twilio would answer.

Codes from the facts, sections 4, 5 and 11, and api/errors/<code>. Where Twilio documents no code for a
parameter (ValidityPeriod, an unknown ScheduleType) 20001 stands in. libphonenumber decides what a
number is; a merely possible one is accepted, so that +1 555 … can be used. Not judged: FallbackFrom,
the size of media, whether a sender belongs to the account.
Pure: `now_ms` is passed in.
"""

import functools
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import phonenumbers

from sandbox.carrier.errors import ApiError
from sandbox.carrier.magic import REFUSED_RECIPIENTS, REFUSED_SENDERS
from sandbox.carrier.request import Address, Channel, CreateRequest, address_of

Form = Mapping[str, Sequence[str]]

_SHORT_CODE = re.compile(r"[0-9]{3,8}")
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &_+-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_TEMPLATE = re.compile(r"HX[0-9a-fA-F]{32}")
_MAX_BODY, _MAX_MEDIA = 1600, 10
_SOONEST_MS, _LATEST_MS = 300_000, 35 * 86_400_000


def create_request_of(form: Form, now_ms: int) -> CreateRequest:
    """The request, every parameter judged as Twilio judges it. Raises ApiError on the first that fails."""
    to_text, from_text, service = _one(form, "To"), _one(form, "From"), _one(form, "MessagingServiceSid")
    body, content_sid, media = _one(form, "Body"), _one(form, "ContentSid"), tuple(form.get("MediaUrl", ()))
    if not to_text:
        raise ApiError(21604)
    if not from_text and not service:
        raise ApiError(21603)
    if not body and not content_sid and not media:
        raise ApiError(21602)
    if len(body) > _MAX_BODY:
        raise ApiError(21617)
    if len(media) > _MAX_MEDIA:
        raise ApiError(21623)
    for url in media:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ApiError(21620, url)
    _judge_template(content_sid, _one(form, "ContentVariables"))
    if service and not _SERVICE.fullmatch(service):
        raise ApiError(21701, service)
    sender = _sender(from_text) if from_text else None
    to = _recipient(to_text, forced=_one(form, "ForceDelivery") == "true")
    if sender is not None:
        if sender.channel is not to.channel and not service:
            raise ApiError(21910)
        if sender == to:
            raise ApiError(21266, to_text)
    return CreateRequest(
        to=to,
        sender=service or str(sender),
        from_service=bool(service),
        body=body,
        content_sid=content_sid or None,
        media_urls=media,
        status_callback=_callback(_one(form, "StatusCallback")),
        send_at_ms=_send_at(form, service, now_ms),
        validity_s=_validity(_one(form, "ValidityPeriod")),
        explicit_from=sender,
    )


def number_of(text: str) -> str | None:
    """The E.164 form of a possible number (its plus may be missing), else None."""
    return _number(text)[0]


def _one(form: Form, name: str) -> str:
    values = form.get(name, ())
    return values[0] if values else ""


@functools.lru_cache(maxsize=65_536)
def _number(text: str) -> tuple[str | None, bool]:
    try:
        number = phonenumbers.parse(text if text.startswith("+") else "+" + text, None)
    except phonenumbers.NumberParseException:
        return None, False
    if not phonenumbers.is_possible_number(number):
        return None, False
    landline = phonenumbers.number_type(
        number
    ) == phonenumbers.PhoneNumberType.FIXED_LINE and phonenumbers.region_code_for_number(number) not in (
        "US",
        "CA",
        "GB",
    )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), landline


def _recipient(text: str, *, forced: bool) -> Address:
    address = address_of(text)
    if _SHORT_CODE.fullmatch(address.bare):
        raise ApiError(21265, text)
    refused = REFUSED_RECIPIENTS.get(address.bare)
    if refused is not None:
        raise ApiError(refused, text)
    e164, landline = _number(address.bare)
    if e164 is None:
        raise ApiError(21211, text)
    if landline and not forced and address.channel is Channel.SMS:
        raise ApiError(21635, text)
    return Address(address.channel, e164)


def _sender(text: str) -> Address:
    address = address_of(text)
    refused = REFUSED_SENDERS.get(address.bare)
    if refused is not None:
        raise ApiError(refused, text)
    if address.channel is Channel.RCS:
        return address
    if _SHORT_CODE.fullmatch(address.bare):
        return address
    e164 = number_of(address.bare) if address.bare[:1] in "+0123456789" else None
    if e164 is not None:
        return Address(address.channel, e164)
    if address.channel is Channel.SMS and _ALPHANUMERIC.fullmatch(address.bare):
        return address
    raise ApiError(21212, text)


def _judge_template(content_sid: str, variables: str) -> None:
    if content_sid and not _TEMPLATE.fullmatch(content_sid):
        raise ApiError(21655, content_sid)
    if not variables:
        return
    if not content_sid:
        raise ApiError(21656, "it needs a ContentSid")
    try:
        parsed = json.loads(variables)
    except ValueError:
        raise ApiError(21656, "it is not JSON") from None
    if not isinstance(parsed, dict):
        raise ApiError(21656, "it is not a JSON object")


def _callback(url: str) -> str | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ApiError(21609, url) from None
    # Twilio refuses host names with an underscore (facts, section 2).
    if parts.scheme not in ("http", "https") or not host or "_" in host:
        raise ApiError(21609, url)
    return url


def _send_at(form: Form, service: str, now_ms: int) -> int | None:
    kind, text = _one(form, "ScheduleType"), _one(form, "SendAt")
    if not kind:
        return None  # SendAt alone is ignored: the message goes at once
    if kind != "fixed":
        raise ApiError(20001, f"ScheduleType {kind}")
    if not service:
        raise ApiError(35118)
    if not text:
        raise ApiError(35111)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ApiError(35114, text) from None
    at_ms = int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    if not now_ms + _SOONEST_MS <= at_ms <= now_ms + _LATEST_MS:
        raise ApiError(35114, text)
    return at_ms


def _validity(text: str) -> int:
    if not text:
        return 36_000
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 36_000:
        raise ApiError(20001, f"ValidityPeriod {text}")
    return int(text)
