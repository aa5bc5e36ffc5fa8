"""The answers of a deployment, from its file (INGRESS_ANSWERS_FILE).

Guarantees: `load_answers` returns answers that can be said, or raises ConfigError with the file, the place in
it and what to do. Without a file nothing is answered: the platform's own answers stand.
Leaves to others: when to read it. An example is `deploy/ingress-answers.example.yaml`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ingress.answers.decide import RESERVED, Answers, Section
from ingress.answers.guard import Limit
from ingress.answers.keywords import LONGEST_ARGUMENT, BadPattern, Keyword, keyword
from ingress.answers.twiml import LONGEST_TEXT
from ingress.errors import ConfigError
from ingress.parameters import address

# Longer than any address that {sender} stands for.
_LONGEST_SENDER = 64
MOST_REPLIES = 100


class KeywordEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`match` is a pattern (see `keywords.keyword`); without a `reply` it only makes an event."""

    match: str
    reply: str | None = None


class SectionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As in the file. What is left out is that of the section above; null takes a text away."""

    help: str | msgspec.UnsetType | None = msgspec.UNSET
    opted_out: str | msgspec.UnsetType | None = msgspec.UNSET
    opted_in: str | msgspec.UnsetType | None = msgspec.UNSET
    otherwise: str | msgspec.UnsetType | None = msgspec.UNSET
    keywords: tuple[KeywordEntry, ...] | msgspec.UnsetType = msgspec.UNSET
    limit: Limit | msgspec.UnsetType = msgspec.UNSET
    platform_answers: bool | msgspec.UnsetType | None = msgspec.UNSET


class AnswersFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. A sender is written as in `sender_tenants`: a number, a short code, whatsapp:+…."""

    default: SectionEntry = SectionEntry()
    tenants: dict[str, SectionEntry] = {}
    senders: dict[str, SectionEntry] = {}


def load_answers(path: Path | None, sender_tenants: Mapping[str, str]) -> Answers:
    """The answers of all senders. `sender_tenants` gives the tenant by sender; all in it are our own numbers.

    Raises ConfigError.
    """
    own = _own(sender_tenants)
    if path is None:
        return Answers(own=own)
    try:
        file = msgspec.yaml.decode(path.read_bytes(), type=AnswersFile | None) or AnswersFile()
    except OSError as unreadable:
        raise ConfigError(
            f"The answers file {path} cannot be read: {unreadable.strerror}; set INGRESS_ANSWERS_FILE to a "
            "file this process may read, or to nothing."
        ) from unreadable
    except (msgspec.DecodeError, UnicodeDecodeError) as broken:
        raise ConfigError(
            f"The answers file {path} is wrong: {broken}; compare it with "
            "deploy/ingress-answers.example.yaml."
        ) from broken
    default = _section(file.default, Section(), f"{path}, default")
    tenants = {
        name: _section(entry, default, f"{path}, tenants.{name}") for name, entry in file.tenants.items()
    }
    # Which tenant a sender belongs to may hang on its messaging service, so each is laid over every one.
    senders = {
        (sender, tenant): _section(entry, above, f"{path}, senders.{sender}")
        for sender, entry in file.senders.items()
        for tenant, above in ({None: default} | tenants).items()
    }
    return Answers(default=default, tenants=tenants, senders=senders, own=own | _own(file.senders))


def _own(addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(bare for each in addresses if (bare := address(each)))


def _section(entry: SectionEntry, above: Section, place: str) -> Section:
    given = {
        name: value
        for name in ("help", "opted_out", "opted_in", "otherwise", "platform_answers", "limit")
        if (value := getattr(entry, name)) is not msgspec.UNSET
    }
    for name, value in given.items():
        if isinstance(value, str):
            _check_text(value, f"{place}.{name}")
    if entry.limit is not msgspec.UNSET:
        _check_limit(entry.limit, f"{place}.limit")
    if entry.keywords is not msgspec.UNSET:
        given["keywords"] = _keywords(entry.keywords, f"{place}.keywords")
    return msgspec.structs.replace(above, **given)


def _keywords(entries: Iterable[KeywordEntry], place: str) -> dict[str, Keyword]:
    found: dict[str, Keyword] = {}
    for index, entry in enumerate(entries):
        here = f"{place}[{index}]"
        try:
            made = keyword(entry.match, entry.reply)
        except BadPattern as bad:
            raise ConfigError(f"{here}: {bad}.") from bad
        if made.folded in RESERVED:
            raise ConfigError(
                f"{here}: {made.name} is a word of consent or help, which no keyword may take; use another "
                "word, or the texts help, opted_out and opted_in."
            )
        if made.folded in found:
            raise ConfigError(
                f"{here}: {made.name} is there twice, as case and accents do not count; remove one of them."
            )
        if entry.reply is not None:
            longest = made.reply("x" * LONGEST_ARGUMENT, "x" * _LONGEST_SENDER) or ""
            _check_text(longest, f"{here}.reply")
        found[made.folded] = made
    return found


def _check_text(text: str, place: str) -> None:
    if not text.strip():
        raise ConfigError(f"{place}: the text is empty; write one, or null to say nothing.")
    if len(text) > LONGEST_TEXT:
        raise ConfigError(
            f"{place}: the text may become {len(text)} characters long; shorten it, as a message has at most "
            f"{LONGEST_TEXT}."
        )


def _check_limit(limit: Limit, place: str) -> None:
    if not 0 < limit.replies <= MOST_REPLIES or limit.window_s <= 0:
        raise ConfigError(
            f"{place}: replies must be 1 to {MOST_REPLIES} and window_s more than 0 seconds; to answer "
            "nothing at all, set the texts to null."
        )
