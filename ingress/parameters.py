"""The parameters of Twilio's webhooks: what they are called, and how their values are read.

Guarantees: pure; a value that is not what it should be is None here and stays readable where all parameters
are kept. The lists of known names and words (facts, Twilio sections 1, 2 and 9) decide nothing but what is
counted as unknown.
"""

import re
from collections.abc import Iterable

from ingress.accepted import Oddity
from ingress.form import Form
from ingress.refusals import Reason, Refusal
from schemas.vocabulary import Channel

PROVIDER = "twilio"


def _names(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


MESSAGE_STATUSES = _names(
    "accepted scheduled queued sending sent delivered undelivered failed read canceled receiving received "
    "partially_delivered"
)
CALL_STATUSES = _names("queued initiated ringing in-progress completed busy failed no-answer canceled")

_EVERY_MESSAGE = _names(
    "AccountSid ApiVersion From To MessageSid SmsSid SmsMessageSid SmsStatus MessagingServiceSid NumSegments "
    "NumMedia Body ChannelInstallSid ChannelPrefix ChannelToAddress ChannelMetadata StructuredMessage"
)
STATUS_PARAMETERS = _EVERY_MESSAGE | _names(
    "MessageStatus ErrorCode ErrorMessage ChannelStatusCode ChannelStatusMessage EventType RawDlrDoneDate "
    "MessageStatusCallback Price PriceUnit"
)
INBOUND_PARAMETERS = (
    _EVERY_MESSAGE
    | frozenset(f"{end}{part}" for end in ("From", "To") for part in ("City", "State", "Zip", "Country"))
    | frozenset(f"Media{what}{index}" for what in ("Url", "ContentType") for index in range(10))
    | frozenset(
        f"Referral{part}"
        for part in _names(
            "Body Headline SourceId SourceType SourceUrl MediaId MediaContentType MediaUrl NumMedia CtwaClid"
        )
    )
    | _names(
        "ProfileName WaId Forwarded FrequentlyForwarded ButtonPayload ButtonText ButtonType InteractiveData "
        "FlowData Latitude Longitude Address Label OriginalRepliedMessageSender OriginalRepliedMessageSid "
        "OptOutType ExternalUserId MessageType"
    )
)
CALL_PARAMETERS = _names(
    "AccountSid ApiVersion CallSid ParentCallSid CallStatus Direction From To Caller Called ForwardedFrom "
    "CallerName CallToken SequenceNumber CallbackSource Timestamp Duration CallDuration SipResponseCode "
    "AnsweredBy MachineDetectionDuration ErrorCode ErrorMessage RecordingUrl RecordingSid RecordingDuration "
    "StirStatus StirVerstat StirPassportToken"
) | frozenset(
    f"{end}{part}"
    for end in ("From", "To", "Caller", "Called")
    for part in ("City", "State", "Zip", "Country")
)

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}").fullmatch
# A decimal number of an Avro int; other texts stay readable among the parameters.
_INT = re.compile(r"[0-9]{1,9}", re.ASCII).fullmatch


def sid(form: Form, *names: str) -> str | Refusal:
    """The SID in the first of these parameters that is there; without it nothing can be identified."""
    for name in names:
        value = form.values.get(name)
        if value:
            if _SID(value):
                return value
            return Refusal(Reason.BAD_PARAMETER, f"{name} is not two letters and 32 hexadecimal digits")
    return missing(names[0])


def is_sid(value: object) -> bool:
    return isinstance(value, str) and _SID(value) is not None


def missing(name: str) -> Refusal:
    return Refusal(
        Reason.MISSING_PARAMETER, f"{name} is missing or empty; is this the URL of another kind of webhook?"
    )


def number(text: str | None) -> int | None:
    return int(text) if text and _INT(text) else None


def address(value: str | None) -> str | None:
    """The address without its channel prefix."""
    if not value:
        return None
    if value[0] != "+":
        prefix, colon, rest = value.partition(":")
        value = rest if colon else prefix
    return value.strip() or None


def channel(form: Form, message_sid: str) -> Channel:
    """From the prefix of an address, or ChannelPrefix; MM is a message with media where neither says more.

    A media message on WhatsApp has an MM SID too, so the SID is asked last. A prefix nobody knows is OTHER.
    """
    values = form.values
    for name in ("To", "From"):
        value = values.get(name)
        if value and ":" in value:
            return _named(value.partition(":")[0])
    prefix = values.get("ChannelPrefix")
    if prefix:
        return _named(prefix)
    return Channel.MMS if message_sid.startswith("MM") else Channel.SMS


def _named(prefix: str) -> Channel:
    return _CHANNELS.get(prefix.strip().lower(), Channel.OTHER)


_CHANNELS = {channel.value: channel for channel in Channel}


def oddities(
    status: str | None,
    statuses: frozenset[str],
    names: Iterable[str],
    known: frozenset[str],
    of: Channel | None,
) -> tuple[Oddity, ...]:
    """What of a webhook nobody knows; nearly always nothing."""
    odd_status = status is not None and status not in statuses
    odd_names = not known.issuperset(names)
    if not odd_status and not odd_names and of is not Channel.OTHER:
        return ()
    found = (
        (odd_status, Oddity.UNKNOWN_STATUS),
        (of is Channel.OTHER, Oddity.UNKNOWN_CHANNEL),
        (odd_names, Oddity.UNKNOWN_PARAMETER),
    )
    return tuple(oddity for is_odd, oddity in found if is_odd)
