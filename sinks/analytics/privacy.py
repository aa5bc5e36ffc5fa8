"""What stands for a person in ClickHouse, and what is taken out of free text (design, section 6).

Guarantees: pure; the same number and key give the same hash for ever, and nobody without the key can get from
the hash to the number. Leaves to the key's owner: losing the key loses the link between old and new rows.
"""

import hmac
import re
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

# Half of SHA-256, the least RFC 2104 section 5 allows, still without collisions among all numbers there are.
HASH_BYTES = 16
# People repeat: most numbers of a batch were seen a moment ago. About 20 MB when full.
REMEMBERED = 100_000
# Shorter runs are codes and counts, which an operator needs; no subscriber number is as short.
SHORTEST_NUMBER = 6
_RUN = re.compile(rf"\+?\d(?:[\s().\-/]{{0,3}}\d){{{SHORTEST_NUMBER - 1},}}")
_MASK = "#"
_E164 = re.compile(r"\+([1-9][0-9]{7,14})")
_NORTH_AMERICAN = re.compile(r"\+1[2-9][0-9]{9}")


class Person(NamedTuple):
    """A recipient as analysts see them. All fields empty, country ZZ, when there is no number."""

    recipient_hash: str
    recipient_last2: str
    country: str


NOBODY = Person("", "", "ZZ")


class Privacy:
    """Turns numbers into Persons with one key. Safe to share between threads."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.person = lru_cache(REMEMBERED)(self._person)

    def recipient_hash(self, number: str) -> str:
        """HMAC-SHA256 of the E.164 number, the first 16 bytes in hex; the key to ask ClickHouse by."""
        return hmac.digest(self._key, number.encode(), "sha256")[:HASH_BYTES].hex()

    def _person(self, number: str | None) -> Person:
        if not number:
            return NOBODY
        return Person(self.recipient_hash(number), number[-2:], _country(number))


def _country(number: str) -> str:
    """Parsing costs far more than to see that +49… can only be Germany; a test holds both together."""
    plain = _E164.fullmatch(number)
    if plain is not None:
        for length in (1, 2, 3):
            regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(plain[1][:length]))
            if regions is not None and len(regions) == 1:
                return _known(regions[0])
    if _NORTH_AMERICAN.fullmatch(number):
        return _of_exchange(number[: len("+1NPANXX")])
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return "ZZ"
    return _known(phonenumbers.region_code_for_number(parsed))


@lru_cache(REMEMBERED)
def _of_exchange(exchange: str) -> str:
    """Ten digits of North America belong to an exchange, `+1NPANXX`, and the exchange to a country."""
    national = int(exchange[2:] + "0000")
    parsed = phonenumbers.PhoneNumber(country_code=1, national_number=national)
    return _known(phonenumbers.region_code_for_number(parsed))


def _known(region: str | None) -> str:
    return region if region and region != "001" else "ZZ"


def without_numbers(text: str | None) -> str:
    """Free text with every run of six or more digits, however spaced, replaced by #."""
    return _RUN.sub(_MASK, text) if text else ""


def without_number_of(text: str, number: str) -> str:
    """A producer's own words with this recipient's number replaced by #, written in whatever way.

    Other digits stay: an order number is what analysts join by. A run of digits goes when it shares six
    consecutive digits with the number, which catches it also with another prefix or with its end cut off.
    """
    digits = "".join(filter(str.isdigit, number))
    if len(digits) < SHORTEST_NUMBER or not any(map(str.isdigit, text)):
        return text
    windows = {digits[i : i + SHORTEST_NUMBER] for i in range(len(digits) - SHORTEST_NUMBER + 1)}

    def judge(run: re.Match[str]) -> str:
        plain = "".join(filter(str.isdigit, run[0]))
        shared = any(
            plain[i : i + SHORTEST_NUMBER] in windows for i in range(len(plain) - SHORTEST_NUMBER + 1)
        )
        return _MASK if shared else run[0]

    return _RUN.sub(judge, text)
