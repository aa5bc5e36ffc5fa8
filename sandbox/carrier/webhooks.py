"""The parameters of Twilio's webhooks for messages (facts, section 2). Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sandbox.carrier.errors import text_of
from sandbox.carrier.fate import Step
from sandbox.carrier.messages import Message
from sandbox.carrier.request import Channel, Status, address_of
from sandbox.carrier.resource import API_VERSION
from sandbox.carrier.segments import segments_of


def status_params(account: str, message: Message, step: Step, now_ms: int) -> dict[str, str]:
    """The parameters of one status callback; ErrorCode only with failed and undelivered."""
    params = {
        "AccountSid": account,
        "ApiVersion": API_VERSION,
        "From": message.sender,
        "MessageSid": message.sid,
        "MessageStatus": step.status.value,
        "SmsSid": message.sid,
        "SmsStatus": step.status.value,
        "To": message.to,
    }
    if message.service is not None:
        params["MessagingServiceSid"] = message.service
    if step.error_code is not None and step.status.bad_end:
        params["ErrorCode"] = str(step.error_code)
    to = address_of(message.to)
    if to.channel is not Channel.SMS:
        params["ChannelPrefix"] = to.channel.value.rstrip(":")
        params["ChannelInstallSid"] = "XE" + message.sid[2:]
        params["ChannelToAddress"] = to.bare[:-4] + "XXXX"
        if step.status in (Status.DELIVERED, Status.READ, Status.UNDELIVERED):
            params["EventType"] = step.status.value.upper()
        if step.error_code is not None:
            params["ChannelStatusMessage"] = text_of(step.error_code)
    elif step.status in (Status.DELIVERED, Status.UNDELIVERED):
        # Carriers report it in zones of their own; UTC is one of the possibilities.
        params["RawDlrDoneDate"] = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%y%m%d%H%M")
    return params


def inbound_params(
    account: str, message: Message, media_urls: Sequence[str], extra: Mapping[str, str]
) -> dict[str, str]:
    """The parameters of an inbound message's webhook; `extra` is added last and wins."""
    sender = address_of(message.sender)
    segments = segments_of(message.body) if sender.channel is Channel.SMS else 1
    params = {
        "AccountSid": account,
        "ApiVersion": API_VERSION,
        "Body": message.body,
        "From": message.sender,
        "MessageSid": message.sid,
        "NumMedia": str(len(media_urls)),
        "NumSegments": str(segments),
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsStatus": Status.RECEIVED.value,
        "To": message.to,
    }
    if message.service is not None:
        params["MessagingServiceSid"] = message.service
    if sender.channel is Channel.WHATSAPP:
        params["WaId"] = sender.bare.removeprefix("+")
        params["ProfileName"] = "Simulated handset"
    for number, url in enumerate(media_urls):
        params[f"MediaUrl{number}"] = url
        params[f"MediaContentType{number}"] = "image/jpeg"
    return params | dict(extra)
