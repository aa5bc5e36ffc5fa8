"""A command that waits for its turn."""

from typing import NamedTuple

from schemas.records import OutboundCommand
from schemas.vocabulary import Priority


class Waiting(NamedTuple):
    """A command and where it was read."""

    command: OutboundCommand
    lane: Priority
    topic: str
    partition: int
    offset: int

    @property
    def cost(self) -> int:
        """In segments; a message that is not counted in them is one."""
        return max(1, self.command.segments)
