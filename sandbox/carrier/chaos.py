"""How often the simulated Twilio misbehaves, per kind.

Probabilities per create request. Those of the answer exclude each other and add up to at most 1;
the others are drawn on their own. The default makes every kind occur in a run of 500 messages.
"""

import enum
from dataclasses import dataclass, fields

from sandbox.carrier.errors import SettingError


@dataclass(frozen=True, slots=True)
class Chaos:
    """One probability for each kind of misbehaviour.

    Raises SettingError when one lies outside 0…1 or the answer's kinds add up to more than 1.
    """

    callback_first: float = 0.0
    accepted_reset: float = 0.0
    accepted_hang: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    unavailable: float = 0.0
    throttled: float = 0.0
    slow: float = 0.0
    duplicates: float = 0.0
    reversed_order: float = 0.0
    silent: float = 0.0
    callbacks_lost: float = 0.0
    reset_before: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            probability = getattr(self, field.name)
            if not 0.0 <= probability <= 1.0:
                raise SettingError(f"chaos {field.name} is {probability}; a probability lies between 0 and 1")
        answers = (
            self.callback_first
            + self.accepted_reset
            + self.accepted_hang
            + self.error_before
            + self.error_after
            + self.unavailable
            + self.throttled
            + self.slow
            + self.reset_before
        )
        if answers > 1.0 + 1e-9:
            raise SettingError(
                f"the chaos kinds of the answer add up to {answers:.3f}; at most 1 is possible"
            )


CHAOS_KINDS: tuple[str, ...] = tuple(field.name for field in fields(Chaos))


class ChaosLevel(enum.Enum):
    """The presets of `--chaos`."""

    NONE = "none"
    DEFAULT = "default"
    WORST = "worst"

    @property
    def chaos(self) -> Chaos:
        """The probabilities behind the name."""
        return _LEVELS[self]


_LEVELS = {
    ChaosLevel.NONE: Chaos(),
    ChaosLevel.DEFAULT: Chaos(
        callback_first=0.03,
        accepted_reset=0.015,
        accepted_hang=0.015,
        error_before=0.015,
        error_after=0.015,
        unavailable=0.015,
        throttled=0.02,
        slow=0.02,
        duplicates=0.05,
        reversed_order=0.05,
        silent=0.02,
        # Off: only a pipeline that asks for what went quiet gets these right.
        callbacks_lost=0.0,
        reset_before=0.015,
    ),
    ChaosLevel.WORST: Chaos(
        callback_first=0.1,
        accepted_reset=0.06,
        accepted_hang=0.06,
        error_before=0.08,
        error_after=0.08,
        unavailable=0.06,
        throttled=0.08,
        slow=0.08,
        duplicates=0.3,
        reversed_order=0.3,
        silent=0.1,
        callbacks_lost=0.05,
        reset_before=0.03,
    ),
}
