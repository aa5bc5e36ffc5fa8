"""Messages people write, for the tests of what they are answered."""

from __future__ import annotations

import uuid

from schemas.records import InboundMessage
from schemas.vocabulary import Channel

PERSON = "+14155550123"
LONG_CODE, SHORT_CODE = "+14155550100", "55501"
NOW = 1_790_000_000_000


def message(
    body: str = "hello",
    *,
    sender: str = LONG_CODE,
    channel: Channel = Channel.SMS,
    recipient: str = PERSON,
    at: int = NOW,
    sid: str | None = None,
    tenant: str = "*",
    opt_out_type: str | None = None,
    button_payload: str | None = None,
) -> InboundMessage:
    prefix = f"{channel.value}:" if channel in (Channel.WHATSAPP, Channel.RCS) else ""
    return InboundMessage(
        provider="twilio",
        account_sid="AC" + "1" * 32,
        message_sid=sid or "SM" + uuid.uuid4().hex,
        tenant=tenant,
        recipient=recipient,
        sender=sender,
        channel=channel,
        body=body,
        opt_out_type=opt_out_type,
        button_payload=button_payload,
        received_at=at,
        parameters={"To": prefix + sender, "From": prefix + recipient, "Body": body},
    )
