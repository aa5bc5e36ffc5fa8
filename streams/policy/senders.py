"""Our senders as people know them: which are one to them, and what kind each is."""

import re
from enum import StrEnum

import msgspec

from schemas.vocabulary import Channel

_TOLL_FREE = re.compile(r"\+1(?:800|833|844|855|866|877|888)\d{7}")
# E.164 has a plus; short codes have three to six digits.
_SHORT_CODE = re.compile(r"\d{3,6}")
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
# Up to 11 characters, not digits alone (twilio.com/docs/glossary/what-alphanumeric-sender-id).
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")


class SenderType(StrEnum):
    """What a sender is; the words that end consent, who answers them, and where it reaches depend on it."""

    LONG_CODE = "long_code"
    TOLL_FREE = "toll_free"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"
    MESSAGING_SERVICE = "messaging_service"
    WHATSAPP = "whatsapp"
    RCS = "rcs"


class SenderGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Senders that a person knows as one: an opt-out said to one of them holds for all.

    Written as numbers, short codes or Messaging Service SIDs; a channel prefix (whatsapp:) does not count.
    """

    senders: frozenset[str]
    type: SenderType | None = None

    def __post_init__(self) -> None:
        if not self.senders or not all(bare_sender(each) for each in self.senders):
            raise ValueError("senders must name at least one sender, and none may be empty")
        msgspec.structs.force_setattr(self, "senders", frozenset(map(bare_sender, self.senders)))


def bare_sender(sender: str) -> str:
    """The sender without channel prefix and spaces."""
    return sender.strip().rpartition(":")[2]


def type_of(sender: str, channel: Channel) -> SenderType:
    """What a sender is, told from its channel and its number."""
    if channel is Channel.WHATSAPP:
        return SenderType.WHATSAPP
    if channel is Channel.RCS:
        return SenderType.RCS
    bare = bare_sender(sender)
    for pattern, found in (
        (_TOLL_FREE, SenderType.TOLL_FREE),
        (_SHORT_CODE, SenderType.SHORT_CODE),
        (_MESSAGING_SERVICE, SenderType.MESSAGING_SERVICE),
        (_ALPHANUMERIC, SenderType.ALPHANUMERIC),
    ):
        if pattern.fullmatch(bare):
            return found
    return SenderType.LONG_CODE


def type_of_name(sender: str) -> SenderType:
    """What a sender is, told from its name with its prefix: `whatsapp:` and `rcs:` say it themselves."""
    prefix = sender.strip().rpartition(":")[0]
    return type_of(sender, Channel(prefix) if prefix in (Channel.WHATSAPP, Channel.RCS) else Channel.SMS)
