"""What the ingress makes of a webhook it accepts: records to write, and what to answer once they are kept.

Guarantees: types only. All kinds of webhooks are accepted or refused in this one shape, so that whoever
writes and answers need not know which kind it was.
Leaves to others: to write the records, in this order, before the answer goes out.
"""

from enum import StrEnum

import msgspec

from schemas.records import (
    CallStatus,
    DeadLetter,
    InboundMessage,
    KeywordMatched,
    PlatformEvent,
    ProviderStatus,
    Record,
)
from schemas.topics import Topic

RECORDS: dict[Topic, type[Record]] = {
    Topic.STATUS: ProviderStatus,
    Topic.INBOUND: InboundMessage,
    Topic.KEYWORDS: KeywordMatched,
    Topic.CALLS: CallStatus,
    Topic.EVENTS: PlatformEvent,
    Topic.DEAD_LETTERS: DeadLetter,
}
"""Every topic that an accepted webhook may lead to, with its record: to be registered before the first."""


class OutRecord(msgspec.Struct, frozen=True, gc=False):
    """One record for one topic; `key` decides the partition, and so what keeps its order."""

    topic: Topic
    key: str
    record: Record


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer. No body and no type with status 204."""

    status: int
    body: bytes = b""
    media_type: str | None = None


NO_CONTENT = Answer(204)


class Oddity(StrEnum):
    """Kept although nobody knows it: a label to count by. A rising count says that the platform has news."""

    UNKNOWN_STATUS = "unknown-status"
    UNKNOWN_CHANNEL = "unknown-channel"
    UNKNOWN_PARAMETER = "unknown-parameter"
    MALFORMED_EVENT = "malformed-event"


class Reply(StrEnum):
    """Why an inbound message was answered, or was not: a label to count by."""

    HELP = "help"
    OPTED_OUT = "opted-out"
    OPTED_IN = "opted-in"
    KEYWORD = "keyword"
    DEFAULT = "default"
    # The platform has answered this one itself, or does by default.
    PLATFORM = "platform-answers"
    # The configuration has no answer to it.
    NOTHING = "nothing-to-say"
    # Like STOP, but not a word that ends consent: neither confirmed nor taken for anything else.
    NEARLY_STOP = "nearly-stop"
    # Loops: too many replies in the window, our words back, our own number, a machine repeating itself.
    LOOP_LIMIT = "loop-limit"
    LOOP_ECHO = "loop-echo"
    LOOP_OWN_NUMBER = "loop-own-number"
    LOOP_MACHINE = "loop-machine"


class Accepted(msgspec.Struct, frozen=True):
    """`records` all have to be kept before `answer` may be given. `oddities` and `reply` are for counting."""

    records: tuple[OutRecord, ...]
    answer: Answer = NO_CONTENT
    oddities: tuple[Oddity, ...] = ()
    reply: Reply | None = None
