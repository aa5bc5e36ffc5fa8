"""The world's carriers as the simulator knows them: who serves a number, how fast, how reliably.

Names and ranges agree with libphonenumber's carrier data where it has any (it has none for the
United States and Mexico, whose numbers are dealt out by area code here). Delays and losses are
invented to give an analyst something to find; they say nothing about the real companies.
Pure: no clock, no network. What happens to one message is decided in `fate`.
"""

import functools
import random
from dataclasses import dataclass

import phonenumbers
from phonenumbers import carrier as names


@dataclass(frozen=True, slots=True)
class Delay:
    """A log-normal waiting time: its median in milliseconds and its spread (sigma of the logarithm)."""

    median_ms: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Carrier:
    """One network. Losses are probabilities per message; `errors` weighs the codes of `undelivered`."""

    country: str
    name: str
    prefixes: tuple[str, ...]
    sent: Delay
    delivered: Delay
    undelivered: float
    failed: float
    silent: float
    duplicate: float
    errors: tuple[tuple[int, float], ...]


_PLAIN = ((30003, 4.0), (30005, 2.0), (30006, 1.0), (30007, 1.0), (30008, 2.0))
_FILTERS = ((30003, 2.0), (30005, 1.0), (30006, 1.0), (30007, 6.0), (30008, 2.0))
_STALE = ((30003, 2.0), (30005, 6.0), (30006, 2.0), (30007, 1.0), (30008, 1.0))


def _network(
    country: str,
    name: str,
    prefixes: str,
    *,
    median_s: float,
    sigma: float = 0.5,
    lost: float,
    silent: float = 0.005,
    duplicate: float = 0.01,
    errors: tuple[tuple[int, float], ...] = _PLAIN,
) -> Carrier:
    return Carrier(
        country=country,
        name=name,
        prefixes=tuple(prefixes.split()),
        sent=Delay(median_ms=350, sigma=0.4),
        delivered=Delay(median_ms=median_s * 1000, sigma=sigma),
        undelivered=lost,
        failed=0.004,
        silent=silent,
        duplicate=duplicate,
        errors=errors,
    )


CARRIERS: tuple[Carrier, ...] = (
    _network("US", "Verizon", "+1212 +1303 +1404 +1617 +1702", median_s=1.8, lost=0.02, errors=_FILTERS),
    _network("US", "AT&T", "+1214 +1312 +1415 +1512 +1602", median_s=2.2, lost=0.03),
    _network("US", "T-Mobile", "+1206 +1305 +1503 +1718 +1813", median_s=2.0, lost=0.05, errors=_FILTERS),
    _network("GB", "EE", "+447300 +447301 +447302 +447303", median_s=2.4, lost=0.02),
    _network("GB", "O2", "+44751 +44754 +44756 +44759", median_s=2.8, lost=0.03),
    _network("GB", "Vodafone", "+44776 +44777 +44778", median_s=2.1, lost=0.02),
    _network("GB", "Three", "+44747 +447360 +447361", median_s=4.5, sigma=0.8, lost=0.07, errors=_STALE),
    _network("DE", "T-Mobile", "+49160 +49170 +49171 +49175", median_s=1.9, lost=0.01),
    _network("DE", "Vodafone", "+49162 +49172 +49173 +49174", median_s=2.3, lost=0.02),
    _network("DE", "O2", "+49176 +49179", median_s=3.2, lost=0.05, errors=_STALE),
    _network("FR", "Orange France", "+33607 +33608 +33640 +33642", median_s=2.0, lost=0.02),
    _network("FR", "SFR", "+33601 +33602 +33603 +33609", median_s=2.9, lost=0.03),
    _network("FR", "Bouygues", "+33650 +33658 +33659 +33698", median_s=2.6, lost=0.03),
    _network("FR", "Free Mobile", "+33651 +33652 +33695", median_s=5.0, sigma=0.9, lost=0.09, silent=0.02),
    _network("ES", "Movistar", "+34606 +34608 +34609 +34616", median_s=2.2, lost=0.02),
    _network("ES", "Vodafone", "+34600 +34601 +34605 +34607", median_s=2.4, lost=0.03),
    _network("ES", "Orange", "+34615 +34625 +34635 +34640", median_s=2.7, lost=0.04),
    _network("BR", "Vivo", "+5511971 +5511972 +5511995", median_s=3.5, lost=0.05),
    _network("BR", "TIM", "+5511981 +5511982 +5511983", median_s=4.8, sigma=0.9, lost=0.1, errors=_STALE),
    _network("BR", "Claro", "+5511976 +5511988 +5511989", median_s=3.8, lost=0.06, duplicate=0.04),
    _network("IN", "Airtel", "+91900 +91966 +91979 +91989", median_s=4.0, lost=0.06, errors=_FILTERS),
    _network("IN", "Reliance Jio", "+91600 +91620 +91626 +91628", median_s=3.0, lost=0.08, errors=_FILTERS),
    _network("IN", "Idea", "+91735 +91819 +91846 +91908", median_s=6.0, sigma=1.0, lost=0.12, silent=0.03),
    _network("MX", "Telcel", "+5255 +5233", median_s=3.6, lost=0.05),
    _network("MX", "AT&T Mexico", "+5281 +52222", median_s=3.1, lost=0.04),
    _network("MX", "Movistar", "+52442 +52664", median_s=5.2, sigma=0.9, lost=0.09, duplicate=0.05),
    _network("AU", "Telstra", "+61400 +61407 +61408 +61409", median_s=2.0, lost=0.02),
    _network("AU", "Optus", "+61401 +61402 +61403 +61411", median_s=2.5, lost=0.03),
    _network("ZA", "Vodacom", "+2771 +2776 +2779 +2782", median_s=3.3, lost=0.05),
    _network("ZA", "MTN", "+2763 +2773 +2778 +2783", median_s=4.2, lost=0.07, duplicate=0.04),
)

UNSERVED = _network("ZZ", "unknown", "", median_s=3.0, lost=0.05)

# How many digits follow the country's code; only for generating numbers.
_NATIONAL_DIGITS = {
    "US": ("+1", 10),
    "GB": ("+44", 10),
    "DE": ("+49", 10),
    "FR": ("+33", 9),
    "ES": ("+34", 9),
    "BR": ("+55", 11),
    "IN": ("+91", 10),
    "MX": ("+52", 10),
    "AU": ("+61", 9),
    "ZA": ("+27", 9),
}

COUNTRIES: tuple[str, ...] = tuple(_NATIONAL_DIGITS)

_BY_PREFIX = {prefix: carrier for carrier in CARRIERS for prefix in carrier.prefixes}
_LONGEST = max(map(len, _BY_PREFIX))
_BY_NAME = {(carrier.country, carrier.name): carrier for carrier in CARRIERS}


@functools.lru_cache(maxsize=65_536)
def carrier_of(e164: str) -> Carrier:
    """The network that serves a bare E.164 number.

    By libphonenumber's name for the range where it has one, else by the table's own ranges. A network
    outside the table, or a number in no range at all, is served by an average carrier under that name
    ("unknown" without one) in the number's region ("ZZ" without one). Never raises.
    """
    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return UNSERVED
    country = phonenumbers.region_code_for_number(number) or "ZZ"
    name = names.name_for_number(number, "en")
    if not name:
        for length in range(min(_LONGEST, len(e164)), 2, -1):
            found = _BY_PREFIX.get(e164[:length])
            if found is not None and found.country == country:
                return found
        name = "unknown"
    return _BY_NAME.get((country, name)) or _network(country, name, "", median_s=3.0, lost=0.05)


def sample_number(country: str, rng: random.Random) -> str:
    """A valid E.164 mobile number of `country` (ISO 3166) on one of its carriers, each equally likely.

    Never a magic number: 555, the fictional exchange, is left out. The same state of `rng` gives
    the same number. Raises ValueError for a country that is not in COUNTRIES.
    """
    if country not in _NATIONAL_DIGITS:
        raise ValueError(f"no carrier of {country!r} is simulated; choose one of {', '.join(COUNTRIES)}")
    code, digits = _NATIONAL_DIGITS[country]
    chosen = rng.choice([carrier for carrier in CARRIERS if carrier.country == country])
    prefix = rng.choice(chosen.prefixes)
    while True:
        missing = len(code) + digits - len(prefix)
        e164 = prefix + "".join(rng.choice("0123456789") for _ in range(missing))
        fictional = country == "US" and e164[5:8] == "555"
        valid = phonenumbers.is_valid_number_for_region(phonenumbers.parse(e164, None), country)
        # Parts of a range may be another network's.
        if valid and not fictional and carrier_of(e164) is chosen:
            return e164
