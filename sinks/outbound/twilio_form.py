"""A command in the words of Twilio's create request, and what is refused here before it is asked. Pure.

Source: facts, Twilio section 4 (messaging/api/message-resource). Guarantees: parameters that exclude or
need each other are given so (From or MessagingServiceSid; ContentVariables only with ContentSid; a template
without Body and MediaUrl); what a tenant leaves open is left to Twilio's default. No idempotency header is
sent: Twilio promises none, so one would only look like safety.
"""

import json
import re
from typing import TypedDict

from schemas.records import OutboundCommand
from schemas.vocabulary import Channel
from sinks.outbound.provider import Rejected
from sinks.outbound.twilio_codes import TOO_LONG, TOO_MANY_MEDIA, verdict
from streams.policy import Sending

MAX_MEDIA = 10
MAX_BODY = 1600
MAX_VALIDITY_S = 36_000
"""Also what Twilio takes without the parameter."""
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")


class CreateMessage(TypedDict, total=False):
    """As the SDK spells Twilio's parameters."""

    to: str
    from_: str
    messaging_service_sid: str
    body: str
    media_url: list[str]
    content_sid: str
    content_variables: str
    status_callback: str
    validity_period: int
    smart_encoded: bool
    risk_check: str
    content_retention: str
    address_retention: str


def refused_here(command: OutboundCommand) -> Rejected | None:
    """What Twilio would refuse whatever else is true, with the code that it would give."""
    if len(command.media_urls) > MAX_MEDIA:
        return _refused(TOO_MANY_MEDIA, f"{len(command.media_urls)} media, and {MAX_MEDIA} are allowed")
    # Code points: however Twilio counts, it counts no fewer.
    if command.content_sid is None and len(command.body or "") > MAX_BODY:
        return _refused(
            TOO_LONG, f"a text of {len(command.body or '')} characters, and {MAX_BODY} are allowed"
        )
    return None


def create_message(command: OutboundCommand, callback_url: str, sending: Sending, now: int) -> CreateMessage:
    """The parameters of the create request; `now` in ms."""
    form = CreateMessage(to=address(command.recipient, command.channel), status_callback=callback_url)
    if command.content_sid is not None:
        form["content_sid"] = command.content_sid
        if command.content_variables:
            form["content_variables"] = json.dumps(command.content_variables)
    else:
        if command.body:
            form["body"] = command.body
            if command.smart_encoded:
                form["smart_encoded"] = True
        if command.media_urls:
            form["media_url"] = list(command.media_urls)
    if is_service(command.sender):
        form["messaging_service_sid"] = command.sender
    else:
        form["from_"] = address(command.sender, command.channel)
    if (validity := validity_s(command.not_after, sending.validity_s, now)) < MAX_VALIDITY_S:
        form["validity_period"] = validity
    if sending.risk_check is not None:
        form["risk_check"] = "enable" if sending.risk_check else "disable"
    if sending.content_retention is not None:
        form["content_retention"] = sending.content_retention.value
    if sending.address_retention is not None:
        form["address_retention"] = sending.address_retention.value
    return form


def validity_s(not_after: int, wanted_s: int | None, now: int) -> int:
    """How long Twilio may keep trying: as long as the tenant wants and the message is worth something."""
    left_s = (not_after - now) // 1000
    return max(1, min(left_s, MAX_VALIDITY_S if wanted_s is None else wanted_s, MAX_VALIDITY_S))


def is_service(sender: str) -> bool:
    """Whether a sender is a Messaging Service, which chooses among numbers of its own."""
    return _SERVICE.fullmatch(sender) is not None


def address(bare: str, channel: str) -> str:
    return f"{channel}:{bare}" if channel in (Channel.WHATSAPP, Channel.RCS) else bare


def bare(address: str | None) -> str | None:
    return address.partition(":")[2] or address if address else None


def _refused(code: int, detail: str) -> Rejected:
    return Rejected(code, verdict(code), f"{detail}; not asked of Twilio")
