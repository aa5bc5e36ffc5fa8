"""Records as bytes for their topics, once the registry knows their schemas.

Guarantees: `encode` asks nobody and takes microseconds; the registry is asked in a thread of its own, again
and again until it knows all schemas; ids it once gave are remembered on the disk, so that an ingress that
starts while the registry is away takes webhooks all the same. A registry that is there and refuses a schema
is not outvoted by what it said before: nothing is encoded.
Leaves to others: what is written, and how the broker is reached.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from confluent_kafka.schema_registry.error import SchemaRegistryError

from ingress.accepted import RECORDS
from ingress.errors import NotKept
from schemas.codec import Codec, schema_text
from schemas.errors import RegistryUnavailable
from schemas.records import Record
from schemas.topics import Topic

log = structlog.get_logger("ingress.encoding")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


class KnownIds(msgspec.Struct, frozen=True):
    """What the registry said: its id of a schema by topic and the schema's hash. An id keeps its meaning.

    `registry` is the hash of its URL: another registry has other ids.
    """

    registry: str
    ids: dict[str, int]


class Encoder:
    """`start`, then `encode`; `close` ends the attempts to register. `remembered_in` is a file."""

    __slots__ = (
        "_closing",
        "_codec",
        "_known",
        "_registered",
        "_registry",
        "_remembered_in",
        "_thread",
        "_tried",
        "_why_not",
    )

    def __init__(self, codec: Codec, registry_url: str, remembered_in: Path) -> None:
        self._codec = codec
        self._registry = _hash(registry_url)
        self._remembered_in = remembered_in
        self._registered = threading.Event()
        self._known = threading.Event()
        self._tried = threading.Event()
        self._closing = threading.Event()
        self._why_not = "the schema registry was not asked yet"
        self._thread = threading.Thread(target=self._register, name="register-schemas", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Returns at once; a question to the registry that is under way ends by its own time-out."""
        self._closing.set()

    def wait_for_answer(self, timeout_s: float) -> None:
        """Return when the registry has answered once, or has not in time. Blocks: not for the event loop."""
        self._tried.wait(timeout_s)

    @property
    def why_not(self) -> str | None:
        """Why nothing can be encoded yet; None once all ids are known."""
        return None if self._known.is_set() else self._why_not

    @property
    def registry_trouble(self) -> str | None:
        """What the registry last answered instead of an id; None once it confirmed all schemas."""
        return None if self._registered.is_set() else self._why_not

    def encode(self, topic: Topic, record: Record) -> bytes:
        """Raises NotKept while a schema's id is not known."""
        if not self._known.is_set():
            raise NotKept(f"the schemas are not registered: {self._why_not}")
        return self._codec.encode(topic, record)

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
                ids = {_name(topic): self._ask(topic) for topic in RECORDS}
            except RegistryUnavailable as away:
                self._tell(log.warning, "registry.away", away)
                if not self._known.is_set():
                    self._recall()  # not before it was asked: one that was set up anew has other ids
            except SchemaRegistryError as refused:
                self._tell(log.error, "registry.refused", refused)
            else:
                self._registered.set()
                self._known.set()
                log.info("registry.schemas_registered")
                self._tried.set()
                self._remember(KnownIds(self._registry, ids))
                return
            self._tried.set()
            self._closing.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _ask(self, topic: Topic) -> int:
        try:
            return self._codec.register(topic, RECORDS[topic])
        except (RegistryUnavailable, SchemaRegistryError):
            raise
        except Exception as nonsense:  # the client raises whatever such an answer leads it into
            raise RegistryUnavailable(
                f"what answers at SCHEMA_REGISTRY_URL is no schema registry: {nonsense!r:.300}"
            ) from nonsense

    def _tell(self, tell: Callable[..., None], what: str, error: Exception) -> None:
        """One line in the log for one reason, however often it comes again."""
        why = f"{type(error).__name__}: {error}"
        if why != self._why_not:
            tell(what, detail=why)
        self._why_not = why

    def _recall(self) -> None:
        try:
            remembered = msgspec.json.decode(self._remembered_in.read_bytes(), type=KnownIds)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as unreadable:
            log.warning("registry.memory_unreadable", file=str(self._remembered_in), detail=str(unreadable))
            return
        if remembered.registry == self._registry and all(_name(topic) in remembered.ids for topic in RECORDS):
            for topic, record in RECORDS.items():
                self._codec.adopt(topic, record, remembered.ids[_name(topic)])
            self._known.set()

    def _remember(self, ids: KnownIds) -> None:
        beside = self._remembered_in.with_suffix(f".{os.getpid()}")  # several workers remember in one file
        try:
            self._remembered_in.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(msgspec.json.encode(ids))
            beside.replace(self._remembered_in)
        except OSError as trouble:  # worth a line, not an end: it is needed only while the registry is away
            log.warning("registry.memory_not_written", file=str(self._remembered_in), detail=str(trouble))


def _name(topic: Topic) -> str:
    return f"{topic}:{_hash(schema_text(RECORDS[topic]))}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
