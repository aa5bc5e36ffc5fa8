"""A command that waits for its turn."""

import msgspec

from schemas.records import OutboundCommand
from schemas.vocabulary import Priority


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A command and where it was read. Of these there may be very many: the garbage collector sees none."""

    command: OutboundCommand
    lane: Priority
    topic: str
    partition: int
    offset: int

    @property
    def cost(self) -> int:
        """In segments; a message that is not counted in them is one."""
        return max(1, self.command.segments)
