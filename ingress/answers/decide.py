"""What to answer to an inbound message, from the configuration and what was answered before.

Guarantees: pure but for the guard that is passed in; never a second answer where the platform gives one; a
word that ends consent gets its confirmation or nothing, whatever the keywords are; an opt-out is confirmed
only if the consent ledger takes it for one (`streams.consent`); no machine is answered for long.
Leaves to others: the ledger itself, and what a keyword sets off: it is an event for whoever consumes it.
"""

from collections.abc import Set

import msgspec

from ingress.accepted import Reply
from ingress.answers.guard import Exchange, Limit, LoopGuard
from ingress.answers.keywords import Keyword, Match, match
from ingress.answers.words import fold
from schemas.consent_words import HELP_WORDS, START_WORDS, STOP_WORDS, word
from schemas.identity import event_id
from schemas.records import InboundMessage, KeywordMatched
from schemas.vocabulary import Channel

_STOP, _START, _HELP = (frozenset(map(fold, words)) for words in (STOP_WORDS, START_WORDS, HELP_WORDS))
RESERVED = (_STOP | _START | _HELP) - {"yes"}
"""Folded words that no keyword may take. YES may be one: besides an opt-in it is an answer to a question."""

# E.164 has at most 15 digits; the shortest numbers a person has, seven. Short codes have three to six.
_SHORTEST_NUMBER = 7


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of one sender. A text that is None is not said.

    `platform_answers`: whether the platform answers STOP, START and HELP itself; None for its defaults.
    """

    help: str | None = None
    opted_out: str | None = None
    opted_in: str | None = None
    otherwise: str | None = None
    keywords: dict[str, Keyword] = {}
    limit: Limit = Limit()
    platform_answers: bool | None = None


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of all senders: a sender's section counts before its tenant's, that before the default.

    `senders` has each sender once over each tenant's section and once (tenant None) over the default.
    `own` are our own numbers, without channel prefix: a message from one of them is never answered.
    """

    default: Section = Section()
    tenants: dict[str, Section] = {}
    senders: dict[tuple[str, str | None], Section] = {}
    own: Set[str] = frozenset()

    def section(self, message: InboundMessage) -> Section:
        tenant = message.tenant if message.tenant in self.tenants else None
        if self.senders:
            for address in (message.parameters.get("To", ""), message.sender):
                if (found := self.senders.get((address, tenant))) is not None:
                    return found
        return self.default if tenant is None else self.tenants[tenant]


class Decision(msgspec.Struct, frozen=True):
    """`text` is what to say, None for silence; `reply` says why."""

    text: str | None
    reply: Reply
    keyword: KeywordMatched | None = None


def decide(message: InboundMessage, answers: Answers, guard: LoopGuard) -> Decision:
    """The answer, and the event if the message is one of the keywords. The guard remembers it.

    The same message again (by its SID) gets the same answer again. An event is made whether or not the
    answer is held back, except for what comes from a number of our own.
    """
    section = answers.section(message)
    words = fold(message.body)
    matched: Match | None = None
    text: str | None = None
    if message.recipient in answers.own:
        return Decision(None, Reply.LOOP_OWN_NUMBER)
    if message.opt_out_type is not None:
        return Decision(None, Reply.PLATFORM)
    exact = word(message.body)  # as the ledger does
    if exact in STOP_WORDS:
        text, reply = _service(message, section, section.opted_out, Reply.OPTED_OUT)
    elif words in _STOP or fold(message.button_payload or "") in _STOP:
        text, reply = None, Reply.NEARLY_STOP
    elif (matched := _keyword(message, section)) is not None:
        text, reply = matched.keyword.reply(matched.argument, message.sender), Reply.KEYWORD
    elif exact in START_WORDS:
        text, reply = _service(message, section, section.opted_in, Reply.OPTED_IN)
    elif words in _HELP:
        text, reply = _service(message, section, section.help, Reply.HELP)
    else:
        text, reply = section.otherwise, Reply.DEFAULT
    exchange = Exchange(
        recipient=message.recipient,
        sender=message.sender,
        message_sid=message.message_sid,
        words=words or message.body.strip(),
        machine=_no_person(message),
        now=message.received_at,
    )
    if text:
        objection = guard.objection(exchange, section.limit)
        if objection is not None:
            text, reply = None, objection
    elif reply not in (Reply.PLATFORM, Reply.NEARLY_STOP):
        text, reply = None, Reply.NOTHING
    guard.note(exchange, text and (fold(text) or text.strip()), section.limit)
    return Decision(text, reply, None if matched is None else _event(message, matched))


def platform_answers(message: InboundMessage, section: Section) -> bool:
    """Whether STOP, START and HELP are answered by the platform (facts, Twilio section 6).

    By default it answers for long codes and toll-free numbers, and not for WhatsApp or a standalone short
    code; of RCS, which shares their opt-outs, the same is assumed as of SMS.
    """
    if section.platform_answers is not None:
        return section.platform_answers
    if message.channel in (Channel.WHATSAPP, Channel.OTHER):
        return False
    return not _short(message.sender)


def _service(
    message: InboundMessage, section: Section, text: str | None, reply: Reply
) -> tuple[str | None, Reply]:
    return (None, Reply.PLATFORM) if platform_answers(message, section) else (text, reply)


def _keyword(message: InboundMessage, section: Section) -> Match | None:
    """A pressed button says what it stands for; else the text does."""
    keywords = section.keywords
    if not keywords:
        return None
    by_button = match(message.button_payload, keywords) if message.button_payload else None
    return by_button or match(message.body, keywords)


def _short(address: str) -> bool:
    return address.isdecimal() and len(address) < _SHORTEST_NUMBER


def _no_person(message: InboundMessage) -> bool:
    """A short code or a name: whoever writes from one is a machine, more often than not."""
    number = message.recipient.removeprefix("+")
    return message.channel is not Channel.OTHER and (not number.isdecimal() or len(number) < _SHORTEST_NUMBER)


def _event(message: InboundMessage, matched: Match) -> KeywordMatched:
    return KeywordMatched(
        event_id=event_id("keyword", message.provider, message.message_sid, matched.keyword.name),
        provider=message.provider,
        account_sid=message.account_sid,
        message_sid=message.message_sid,
        tenant=message.tenant,
        recipient=message.recipient,
        sender=message.sender,
        channel=message.channel,
        keyword=matched.keyword.name,
        argument=matched.argument,
        received_at=message.received_at,
    )
