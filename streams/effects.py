"""What a decision asks to be written."""

from typing import NamedTuple

from schemas.records import Record
from schemas.topics import Topic


class Emit(NamedTuple):
    """One record to write. The key decides the partition, as for every writer of the topic."""

    topic: Topic
    key: str
    record: Record
