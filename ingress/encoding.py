"""Records as bytes on their topics: the codec and the publisher, once both schemas are known.

Guarantees: `write` returns only when the broker has the record; the registry is asked in a thread of its own,
again and again until it knows both schemas, so that a registry that is away at the start delays the first
record and ends nothing.
Leaves to others: what is written, and how the broker is reached.
"""

import threading

import structlog
from confluent_kafka.schema_registry.error import SchemaRegistryError

from ingress.errors import NotAcknowledged
from ingress.publisher import Publishing
from schemas.codec import Codec
from schemas.errors import RegistryUnavailable
from schemas.records import InboundMessage, ProviderStatus
from schemas.topics import Topic

log = structlog.get_logger("ingress.encoding")

RECORDS: dict[Topic, type[ProviderStatus] | type[InboundMessage]] = {
    Topic.STATUS: ProviderStatus,
    Topic.INBOUND: InboundMessage,
}
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


class Encoder:
    """Where accepted webhooks go. `start`, then `write`; `close` ends the attempts to register."""

    __slots__ = ("_closing", "_codec", "_publisher", "_registered", "_thread", "_why_not")

    def __init__(self, codec: Codec, publisher: Publishing) -> None:
        self._codec = codec
        self._publisher = publisher
        self._registered = threading.Event()
        self._closing = threading.Event()
        self._why_not = "the schema registry was not asked yet"
        self._thread = threading.Thread(target=self._register, name="register-schemas", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Returns at once; a question to the registry that is under way ends by its own time-out."""
        self._closing.set()

    @property
    def why_not(self) -> str | None:
        """Why nothing can be written yet; None once both schemas are registered."""
        return None if self._registered.is_set() else self._why_not

    async def write(self, topic: Topic, key: str, record: ProviderStatus | InboundMessage) -> None:
        """Return once the broker has the record. Raises NotAcknowledged."""
        if not self._registered.is_set():
            raise NotAcknowledged(f"the schemas are not registered: {self._why_not}")
        # Known schemas: this asks nobody and takes microseconds.
        await self._publisher.publish(topic, key, self._codec.encode(topic, record))

    def _register(self) -> None:
        try:
            self._try_until_registered()
        finally:
            # Encoding known schemas asks nobody any more.
            self._codec.close()

    def _try_until_registered(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                for topic, record in RECORDS.items():
                    self._codec.register(topic, record)
            except (RegistryUnavailable, SchemaRegistryError) as error:
                why = f"{type(error).__name__}: {error}"
                if why != self._why_not:
                    log.warning("registry.refused_or_away", detail=why)
                self._why_not = why
            else:
                self._registered.set()
                log.info("registry.schemas_registered")
                return
            self._closing.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
