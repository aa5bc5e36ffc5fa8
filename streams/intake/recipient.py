"""Whom a request is for: a number that exists, its country, and the carrier its prefix was given to."""

from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumber, carrier

from streams.intake.refusals import Refusal


class Recipient(NamedTuple):
    """`carrier_source` is `prefix`, or `unknown` together with the carrier."""

    number: str
    country: str
    carrier: str
    carrier_source: str


NOBODY = Recipient("", "ZZ", "unknown", "unknown")


def recipient_of(text: str, region: str | None) -> Recipient:
    """The recipient as E.164. `region` completes a number written without +. Raises Refusal."""
    number = _parsed(text, (region or "").strip().upper() or None)
    name = str(carrier.name_for_number(number, "en"))
    return Recipient(
        number=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        country=phonenumbers.region_code_for_number(number) or "ZZ",
        carrier=name or "unknown",
        carrier_source="prefix" if name else "unknown",
    )


def _parsed(text: str, region: str | None) -> PhoneNumber:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as unparsable:
        hint = "" if region else "; write it as +<country code><number>, or name its region"
        raise Refusal(
            "invalid-number", f"recipient is not a phone number: {unparsable._msg.rstrip('.')}{hint}"
        ) from unparsable
    if not phonenumbers.is_valid_number(number):
        raise Refusal(
            "invalid-number",
            f"recipient cannot exist: no such number in the plan of +{number.country_code}; check the digits",
        )
    return number
