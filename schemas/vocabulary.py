"""The closed vocabularies of the records.

On the wire every one of them is an Avro string, so that a new word never breaks an old reader's schema;
here they are enums, so that a word nobody knows is refused when the record is read.
Provider statuses are not here: providers invent new ones, and those are kept as they come.
"""

from enum import StrEnum


class Channel(StrEnum):
    SMS = "sms"
    MMS = "mms"
    WHATSAPP = "whatsapp"
    RCS = "rcs"
    # Received only: a channel the platform has and we do not. One word for all of them, so that the next one
    # is no news to any reader; which one it is stands in the record's parameters. Readers older than this
    # word bury such a record: bring the readers up to date before the ingress.
    OTHER = "other"

    @property
    def consent_group(self) -> "ConsentGroup":
        """Opt-outs are shared by SMS, MMS and RCS since 2026-03-16 (facts, Twilio section 6)."""
        return _CONSENT_GROUPS.get(self, ConsentGroup.SMS)


SENDABLE_CHANNELS = tuple(channel for channel in Channel if channel is not Channel.OTHER)


class ConsentGroup(StrEnum):
    SMS = "sms"
    WHATSAPP = "whatsapp"
    OTHER = "other"


_CONSENT_GROUPS = {Channel.WHATSAPP: ConsentGroup.WHATSAPP, Channel.OTHER: ConsentGroup.OTHER}


class Category(StrEnum):
    OTP = "otp"
    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


class Priority(StrEnum):
    """Also the lane a command travels in."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class Verdict(StrEnum):
    ADMIT = "admit"
    # Not now: ask again at a time.
    DEFER = "defer"
    # Not on this channel, whenever.
    NEXT_CHANNEL = "next_channel"
    # Not this person.
    SUPPRESS = "suppress"


class ContentKind(StrEnum):
    """What of a step may be sent: on WhatsApp a text only within 24 h of a message of the recipient."""

    TEXT = "text"
    TEMPLATE = "template"


class Consent(StrEnum):
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class CommandKind(StrEnum):
    SEND = "send"
    SETTLE = "settle"
    FETCH = "fetch"
    # Not to be started any more; canceled at the provider when it is scheduled there.
    CANCEL = "cancel"
    # Nothing to do: the message failed later with a code that tells something of its sender.
    HEED = "heed"


class CommandResult(StrEnum):
    """What became of a send. `STARTED`, `RELEASED` and `DROPPED` exist in the journal only."""

    STARTED = "started"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    ABSENT = "absent"
    HELD = "held"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    # Never started, and never will be.
    CANCELED = "canceled"
    # A person decided about a held one; in the journal only. To others a released one is absent, and a
    # dropped one stays held.
    RELEASED = "released"
    DROPPED = "dropped"


class ControlAction(StrEnum):
    """What a person may decide about sending."""

    PAUSE = "pause"
    RESUME = "resume"
    # Of a held command: to be taken for not sent.
    RELEASE = "release"
    # Of a held command: to stay unconfirmed for good.
    DROP = "drop"


class ControlScope(StrEnum):
    """What is decided about. All but a command may be paused."""

    SENDER = "sender"
    TENANT = "tenant"
    # All that goes by one provider's account.
    PROVIDER = "provider"
    EVERYTHING = "everything"
    COMMAND = "command"


class RouteStatus(StrEnum):
    """How a route delivers, the best first."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


class ErrorClass(StrEnum):
    """What an error means for the next step (facts, Twilio section 5)."""

    TRANSIENT = "transient"
    AMBIGUOUS = "ambiguous"
    TERMINAL = "terminal"
    BAD_NUMBER = "bad_number"
    OPT_OUT = "opt_out"
    CONFIGURATION = "configuration"
    FILTERED = "filtered"
    RATE = "rate"
    CHANNEL = "channel"


class NotificationState(StrEnum):
    REQUESTED = "requested"
    DEFERRED = "deferred"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"
    EXPIRED = "expired"
    CONFLICT = "conflict"

    @property
    def final(self) -> bool:
        return self not in _OPEN


_OPEN = frozenset(
    {
        NotificationState.REQUESTED,
        NotificationState.DEFERRED,
        NotificationState.SENDING,
        NotificationState.SENT,
    }
)
