"""Who told which sender to stop, by Twilio's default keywords (facts, section 6).

A keyword counts only as the whole message, in any case. A stop blocks the pair of handset and number,
and every Messaging Service that number belongs to. START, YES and UNSTOP lift it, for a toll-free
number only START and UNSTOP. WhatsApp has no default handling. Pure state, no clock.
"""

from dataclasses import dataclass, field

from sandbox.carrier.request import Channel, address_of

STOP_WORDS = frozenset(["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "CANCEL", "REVOKE", "OPTOUT"])
START_WORDS = frozenset(["START", "YES", "UNSTOP"])
_TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")


def keyword_of(body: str, number: str) -> str | None:
    """The keyword a body is to this number, in capitals, or None."""
    word = body.strip().upper()
    if word in STOP_WORDS:
        return word
    if word in START_WORDS and not (word == "YES" and number.startswith(_TOLL_FREE)):
        return word
    return None


@dataclass(slots=True)
class OptOuts:
    """The block list."""

    _pairs: set[tuple[str, str]] = field(default_factory=set)

    def hear(self, handset: str, senders: tuple[str, ...], keyword: str) -> bool:
        """Apply a keyword for each sender (numbers or services); whether it was a stop."""
        stop = keyword in STOP_WORDS
        for sender in senders:
            (self._pairs.add if stop else self._pairs.discard)((handset, sender))
        return stop

    def blocks(self, handset: str, sender: str) -> bool:
        """Whether this handset told this number or service to stop."""
        return address_of(handset).channel is not Channel.WHATSAPP and (handset, sender) in self._pairs
