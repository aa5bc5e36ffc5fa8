"""Keep phone numbers and secrets out of what people and log stores read.

Guarantees: after `mask_text` no number in E.164 is left in a text, whether written with + or %2B, bare or
behind a channel prefix; after `mask_value` neither is one anywhere in a nested value, nor the value of a name
that says it is a secret. Leaves to the caller: numbers written the national way, and message bodies.
"""

import re
from collections.abc import Mapping
from typing import Any

# E.164 has at most 15 digits; below seven nobody can be called.
_NUMBER = re.compile(r"(\+|%2[Bb])(\d{7,15})(?!\d)")
_SECRET_NAME = re.compile(r"token|secret|password|authorization|hash_key", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)")

HIDDEN = "•••••"


def mask_number(digits: str) -> str:
    """The country and area of a number, and its last two digits: `14155550123` → `1415•••••23`."""
    return f"{digits[: min(4, len(digits) - 5)]}{HIDDEN}{digits[-2:]}"


def mask_text(text: str) -> str:
    """The text with every E.164 number and every password in a URL made unreadable."""
    without_passwords = _URL_PASSWORD.sub(rf"\1{HIDDEN}\2", text)
    return _NUMBER.sub(lambda found: found[1] + mask_number(found[2]), without_passwords)


def mask_value(value: Any) -> Any:
    """A JSON-like value with every text in it masked, keys included, and secrets hidden by their name."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {
            mask_text(str(name)): HIDDEN if inner and _SECRET_NAME.search(str(name)) else mask_value(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [mask_value(inner) for inner in value]
    return value
