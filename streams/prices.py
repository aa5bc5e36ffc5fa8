"""What a send is going to cost, roughly: the tenant's own price list, times what is counted.

An SMS costs by segment, everything else by message (facts, Twilio section 2: NumSegments is 1 for them).
Prices differ by contract, so without one there is no estimate and no guess. Amounts are Decimal and travel as
text: they are money.
"""

from schemas.vocabulary import Channel
from streams.policy import Prices


def estimate(prices: Prices, country: str, channel: Channel, segments: int) -> str | None:
    """The price of one message in the list's currency, as a decimal number without exponent.

    None when the list has no price for the channel, neither in this country nor anywhere.
    """
    price = prices.of(country, channel)
    if price is None:
        return None
    return f"{price * (segments if channel is Channel.SMS else 1):f}"
