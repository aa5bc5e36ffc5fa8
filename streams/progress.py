"""How far the reading of one partition is: what liveness and lag are told by, whoever reads."""

from typing import NamedTuple


class Progress(NamedTuple):
    """Of one partition: the offset of the next record to handle, and of the next to be written."""

    position: int
    end: int

    @property
    def lag(self) -> int:
        return max(0, self.end - self.position)
