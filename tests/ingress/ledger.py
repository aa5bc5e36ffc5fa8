"""What the callers were told against what Kafka holds. Pure.

Guarantees: `judge` sees every acknowledged step that is nowhere in the topic, and every key whose first
copies are not in the order of its steps. A caller posts a step only after the one before was acknowledged, so
that the order of steps is the order of acknowledgements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lost` and `disordered`: a line for each. `copies`: all that Kafka has of these keys, repeats too."""

    acknowledged: int
    copies: int
    repeats: int
    lost: tuple[str, ...]
    disordered: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {len(self.lost)} lost, {len(self.disordered)} keys out of "
            f"order, {self.copies} copies in Kafka of which {self.repeats} repeats"
        )


def judge(acknowledged: Mapping[str, int], copies: Iterable[tuple[str, int]]) -> Verdict:
    """`acknowledged`: by key, how many steps were, from 0 on. `copies`: (key, step) as they are in the topic.

    The one step behind the acknowledged ones may be there too: posted, and never answered with 2xx.
    """
    firsts: dict[str, list[int]] = {key: [] for key in acknowledged}
    seen: set[tuple[str, int]] = set()
    total = 0
    for key, step in copies:
        total += 1
        if (key, step) not in seen:
            seen.add((key, step))
            firsts[key].append(step)
    lost = [
        f"{key}: step {step} of {count}"
        for key, count in acknowledged.items()
        for step in range(count)
        if (key, step) not in seen
    ]
    disordered = [f"{key}: {steps}" for key, steps in firsts.items() if steps != sorted(steps)]
    return Verdict(sum(acknowledged.values()), total, total - len(seen), tuple(lost), tuple(disordered))
