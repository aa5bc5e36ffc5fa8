"""Custom keywords: what a deployment lets people write to it, such as `STATUS <order>` or `ACK [incident]`.

Guarantees: pure; a pattern or a template that could never work is an error when it is read, with what to do.
A template is filled with `{keyword}`, `{argument}` and `{sender}`; what the person wrote is never taken for a
template.
Leaves to others: the words that no keyword may take.
"""

import re
from string import Formatter

import msgspec

from ingress.answers.words import bare, first_word, fold

LONGEST_ARGUMENT = 160
"""Characters; what is longer is no argument but a message."""

VARIABLES = ("keyword", "argument", "sender")
_PATTERN = re.compile(r"(\S+)(?:\s+(?:<([^<>\[\]]+?)(\.\.\.)?>|\[([^<>\[\]]+?)(\.\.\.)?\]))?")


class BadPattern(ValueError):
    """A pattern or template that cannot work; the message says why and what to write."""


class Keyword(msgspec.Struct, frozen=True):
    """One keyword. `folded` is its form for comparison.

    `takes` an argument or not; `needs` it or not; `whole`: all the rest is the argument, not one word only.
    """

    name: str
    folded: str
    takes: bool
    needs: bool
    whole: bool
    template: tuple[tuple[str, str | None], ...] | None

    def reply(self, argument: str | None, sender: str) -> str | None:
        """The template filled in; None when this keyword only makes an event."""
        if self.template is None:
            return None
        given = {"keyword": self.name, "argument": argument or "", "sender": sender}
        return "".join(text + (given[name] if name else "") for text, name in self.template).strip()


class Match(msgspec.Struct, frozen=True):
    keyword: Keyword
    argument: str | None


def keyword(pattern: str, reply: str | None) -> Keyword:
    """The keyword of a pattern: a word, then nothing, `<needed>`, `[optional]`, or either with `...` inside.

    Raises BadPattern.
    """
    found = _PATTERN.fullmatch(pattern.strip())
    if found is None:
        raise BadPattern(
            f"{pattern!r} is no pattern; write a word, and behind it <name> for an argument that must be "
            "there, [name] for one that may be, <name...> or [name...] for all the rest"
        )
    name, needed, needed_rest, _, optional_rest = found.groups()
    folded = fold(name)
    if not folded or " " in folded or bare(name) != name:
        raise BadPattern(f"{name!r} is not one word of letters and digits; write one, e.g. STATUS")
    return Keyword(
        name=name,
        folded=folded,
        takes=pattern.strip() != name,
        needs=needed is not None,
        whole=bool(needed_rest or optional_rest),
        template=None if reply is None else template(reply),
    )


def template(text: str) -> tuple[tuple[str, str | None], ...]:
    """A template as pairs of plain text and the variable behind it. Raises BadPattern."""
    try:
        parts = tuple(Formatter().parse(text))
    except ValueError as broken:
        raise BadPattern(
            f"the reply has a brace that means nothing ({broken}); double it to show it"
        ) from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in VARIABLES or form or conversion):
            raise BadPattern(
                f"the reply names {{{name}}}; it may name {', '.join(f'{{{v}}}' for v in VARIABLES)}, "
                "and {{ shows a brace"
            )
    return tuple((plain, name) for plain, name, _, _ in parts)


def match(text: str, keywords: dict[str, Keyword]) -> Match | None:
    """The keyword that a text begins with, and its argument; None when the text is none of them.

    Without `...` the argument is one word, and further words are passed over; a keyword that takes no
    argument is matched only when it stands alone.
    """
    if not keywords or (found := first_word(text)) is None or (known := keywords.get(found[0])) is None:
        return None
    rest = bare(found[1])
    if not known.takes:
        return None if rest else Match(known, None)
    argument = rest if known.whole else bare(rest.partition(" ")[0])
    if len(argument) > LONGEST_ARGUMENT or (known.needs and not argument):
        return None
    return Match(known, argument or None)
