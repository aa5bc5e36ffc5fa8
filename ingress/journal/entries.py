"""What the journal takes and gives back."""

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """A record for Kafka. `received_at` is in milliseconds since the epoch, UTC."""

    topic: str
    key: str
    value: bytes
    received_at: int

    @property
    def key_hash(self) -> int:
        return hash_of(self.topic, self.key)

    def __repr__(self) -> str:
        # Keys hold phone numbers and values hold bodies: neither may reach a log by way of an error.
        return f"Entry(topic={self.topic!r}, {len(self.value)} bytes, received_at={self.received_at})"


class Position(msgspec.Struct, frozen=True, order=True):
    """Where an entry is: the number of its segment and the byte offset therein.

    Positions of one journal are ordered as their entries were appended, across restarts too.
    """

    segment: int
    offset: int


class Kept(msgspec.Struct, frozen=True):
    """An entry that is on the disk, and where: what `Journal.head` gives and `Journal.forget` takes."""

    position: Position
    entry: Entry


def hash_of(topic: str, key: str) -> int:
    """64 bits, signed, that stand for the key of this topic within this process."""
    return hash((topic, key))
