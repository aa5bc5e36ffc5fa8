"""The parameters of one webhook, decoded once.

Guarantees: keeps every pair as it was sent, for the signature; never raises on bytes from outside, but says
in a Refusal what is wrong with them. Leaves to others: what the parameters mean.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ingress.refusals import Reason, Refusal

# Twilio sends about 20; a message with ten attachments and all of WhatsApp's extras has about 60.
MOST_PARAMETERS = 500


@dataclass(frozen=True, slots=True)
class Form:
    """Decoded, untrimmed pairs. Of a repeated name (Twilio sends none) the first value counts."""

    pairs: tuple[tuple[str, str], ...]
    values: dict[str, str]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Form":
        kept = tuple(pairs)
        return cls(kept, dict(reversed(kept)))

    def get(self, *names: str) -> str | None:
        """The first of these parameters that is there and not empty."""
        for name in names:
            value = self.values.get(name)
            if value:
                return value
        return None


def parse_form(encoded: bytes) -> Form | Refusal:
    """The form in a body, or in a query, of the type application/x-www-form-urlencoded (UTF-8)."""
    try:
        text = encoded.decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS)
    except UnicodeDecodeError:
        return Refusal(Reason.NOT_A_FORM, "the parameters are not UTF-8; send them percent-encoded as UTF-8")
    except ValueError:
        return Refusal(Reason.NOT_A_FORM, f"more than {MOST_PARAMETERS} parameters")
    return Form.of(pairs)
