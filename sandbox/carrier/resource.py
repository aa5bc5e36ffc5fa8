"""Messages, pages and errors as the 2010 API writes them (twilio-oai, twilio_api_v2010).

Frozen records encoded by msgspec; no decisions here. Dates are RFC 2822 with +0000.
"""

from email.utils import formatdate
from urllib.parse import urlencode

import msgspec

from sandbox.carrier.errors import ApiError, text_of
from sandbox.carrier.messages import Message
from sandbox.carrier.request import Status
from sandbox.carrier.segments import segments_of

API_VERSION = "2010-04-01"
_SEGMENT_PRICE = 0.0079


class MessageResource(msgspec.Struct, frozen=True, kw_only=True):
    """`api.v2010.account.message`."""

    account_sid: str
    api_version: str
    body: str
    date_created: str
    date_sent: str | None
    date_updated: str
    direction: str
    error_code: int | None
    error_message: str | None
    from_: str | None = msgspec.field(name="from")
    messaging_service_sid: str | None
    num_media: str
    num_segments: str
    price: str | None
    price_unit: str | None
    sid: str
    status: str
    subresource_uris: dict[str, str]
    to: str
    uri: str


class MessagePage(msgspec.Struct, frozen=True, kw_only=True):
    """`ListMessageResponse`."""

    end: int
    first_page_uri: str
    messages: list[MessageResource]
    next_page_uri: str | None
    page: int
    page_size: int
    previous_page_uri: str | None
    start: int
    uri: str


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """`api.v2010.account.message.message_feedback`."""

    account_sid: str
    date_created: str
    date_updated: str
    message_sid: str
    outcome: str
    uri: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every refusal."""

    code: int
    message: str
    more_info: str
    status: int


def date_of(at_ms: int) -> str:
    """RFC 2822 in UTC, whole seconds."""
    return formatdate(at_ms // 1000).replace("-0000", "+0000")


def error_body(error: ApiError) -> ErrorBody:
    """What Twilio writes for this error."""
    return ErrorBody(
        code=error.code,
        message=error.text,
        more_info=f"https://www.twilio.com/docs/errors/{error.code}",
        status=error.http_status,
    )


def messages_uri(account: str) -> str:
    """The list's URI, relative to the API's host."""
    return f"/{API_VERSION}/Accounts/{account}/Messages.json"


def resource_of(account: str, message: Message) -> MessageResource:
    """The message as it stands now."""
    base = f"/{API_VERSION}/Accounts/{account}/Messages/{message.sid}"
    # A service's message has no sender, hence no known number of segments, until it is queued.
    unassigned = message.service is not None and message.status in (Status.ACCEPTED, Status.SCHEDULED)
    segments = 0 if unassigned else segments_of(message.body)
    priced = message.sent_ms is not None and message.direction == "outbound-api"
    return MessageResource(
        account_sid=account,
        api_version=API_VERSION,
        body=message.body,
        date_created=date_of(message.created_ms),
        date_sent=None if message.sent_ms is None else date_of(message.sent_ms),
        date_updated=date_of(message.updated_ms),
        direction=message.direction,
        error_code=message.error_code,
        error_message=None if message.error_code is None else text_of(message.error_code),
        from_=None if unassigned else message.sender,
        messaging_service_sid=message.service,
        num_media=str(message.media),
        num_segments=str(segments),
        price=f"-{segments * _SEGMENT_PRICE:.5f}" if priced else None,
        price_unit="USD",
        sid=message.sid,
        status=message.status.value,
        subresource_uris={"media": f"{base}/Media.json"},
        to=message.to,
        uri=f"{base}.json",
    )


def page_of(
    account: str, found: list[Message], *, filters: dict[str, str], page: int, size: int, more: bool
) -> MessagePage:
    """One page of a list; `filters` are repeated in the next page's URI, with a token of its start."""

    def uri(number: int, token: str = "") -> str:
        query = {**filters, "PageSize": str(size), "Page": str(number)}
        if token:
            query["PageToken"] = token
        return f"{messages_uri(account)}?{urlencode(query)}"

    start = page * size
    return MessagePage(
        end=max(start + len(found) - 1, 0),
        first_page_uri=uri(0),
        messages=[resource_of(account, message) for message in found],
        next_page_uri=uri(page + 1, f"PA{found[-1].sid}") if more else None,
        page=page,
        page_size=size,
        previous_page_uri=uri(page - 1) if page else None,
        start=start,
        uri=uri(page),
    )
