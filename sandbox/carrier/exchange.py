"""Twilio's side of a message: takes requests in, decides by `fate`, keeps the truth.

State without a clock or a network: time is passed in, nothing is posted. Guarantees that a message
changes only by its plan (or a cancel before its time), and that the plan depends on nothing but the
request and its ordinal; the one exception is a recipient who opted out. Carrying plans out in time is
`runner`'s job.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.carrier.chaos import Chaos
from sandbox.carrier.errors import ApiError
from sandbox.carrier.fate import Fate, Step, fate
from sandbox.carrier.messages import Message, Messages
from sandbox.carrier.optouts import OptOuts, keyword_of
from sandbox.carrier.request import Channel, CreateRequest, Status, address_of


@dataclass(frozen=True, slots=True)
class Placed:
    """A request that was decided: its fate, and the message if one exists because of it."""

    ordinal: int
    fate: Fate
    message: Message | None


@dataclass(slots=True)
class Exchange:
    """All messages and opt-outs of one account. `services` maps a Messaging Service to its numbers."""

    seed: int
    chaos: Chaos
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    messages: Messages = field(default_factory=Messages)
    created: list[Message] = field(default_factory=list)
    opt_outs: OptOuts = field(default_factory=OptOuts)
    _ordinals: defaultdict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))
    _seen_services: set[str] = field(default_factory=set)
    _inbound: int = 0

    def create(self, request: CreateRequest, now_ms: int) -> Placed:
        """Decide a valid request. Raises ApiError 21610 when a From's recipient opted out.

        With a Messaging Service the opt-out comes as an asynchronous failure (facts, section 5).
        """
        to = str(request.to)
        if request.from_service:
            self._seen_services.add(request.sender)
        elif self.opt_outs.blocks(to, request.sender):
            raise ApiError(21610)
        self._ordinals[request.combination] += 1
        ordinal = self._ordinals[request.combination]
        destiny = fate(self.seed, request, ordinal, self.chaos)
        if not destiny.answer.accepts:
            return Placed(ordinal, destiny, None)
        steps, callbacks, reached_ms = destiny.steps, destiny.callbacks, destiny.reached_ms
        sender = request.explicit_from or self._assigned(request)
        if request.from_service and (
            self.opt_outs.blocks(to, request.sender) or self.opt_outs.blocks(to, str(sender))
        ):
            steps = callbacks = (Step(0.0, Status.QUEUED), Step(30.0, Status.FAILED, 21610))
            reached_ms = None
        initial = Status.QUEUED
        if request.from_service:
            initial = Status.ACCEPTED if request.send_at_ms is None else Status.SCHEDULED
        message = Message(
            sid=destiny.sid,
            to=to,
            sender=str(sender),
            service=request.sender if request.from_service else None,
            body=request.body,
            body_sha256=hashlib.sha256(request.body.encode()).hexdigest(),
            media=len(request.media_urls),
            created_ms=now_ms,
            updated_ms=now_ms,
            due_ms=request.send_at_ms,
            status=initial,
            status_callback=request.status_callback,
            carrier=destiny.carrier,
            steps=steps,
            callbacks=callbacks if request.status_callback else (),
            in_turn=destiny.in_turn,
            reached_ms=reached_ms,
        )
        self.messages.add(message)
        self.created.append(message)
        return Placed(ordinal, destiny, message)

    def advance(self, message: Message, step: Step, now_ms: int) -> None:
        """The message takes its next status."""
        message.status = step.status
        message.error_code = step.error_code
        message.updated_ms = now_ms
        if step.status is Status.SENT:
            message.sent_ms = now_ms

    def fetch(self, sid: str, uri: str) -> Message:
        """The message. Raises ApiError 20404 naming `uri` when there is none."""
        message = self.messages.get(sid)
        if message is None:
            raise ApiError(20404, uri)
        return message

    def cancel(self, message: Message, now_ms: int) -> Step:
        """Cancel a scheduled message; the step that is left of its plan. Raises ApiError 30409 when late."""
        if message.status is not Status.SCHEDULED:
            raise ApiError(30409)
        step = Step(0.0, Status.CANCELED)
        message.steps = (step,)
        message.callbacks = (step,) if message.status_callback else ()
        message.reached_ms = None
        self.advance(message, step, now_ms)
        return step

    def redact(self, message: Message, now_ms: int) -> None:
        """Empty the body of a message. Raises ApiError 20009 while it is on its way."""
        self._complete(message)
        message.body = ""
        message.updated_ms = now_ms

    def delete(self, message: Message) -> None:
        """Forget a message. Raises ApiError 20009 while it is on its way."""
        self._complete(message)
        self.messages.remove(message)

    def receive(self, sender: str, recipient: str, body: str, media: int, now_ms: int) -> Message:
        """Take a handset's message in, under a SID of its own."""
        self._inbound += 1
        name = f"{self.seed}|inbound|{sender}|{recipient}|{self._inbound}"
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        message = Message(
            sid=("MM" if media else "SM") + digest,
            to=recipient,
            sender=sender,
            service=self.service_of(recipient),
            body=body,
            body_sha256=hashlib.sha256(body.encode()).hexdigest(),
            media=media,
            created_ms=now_ms,
            updated_ms=now_ms,
            sent_ms=now_ms,
            status=Status.RECEIVED,
            direction="inbound",
        )
        self.messages.add(message)
        return message

    def hear(self, handset: str, number: str, body: str) -> tuple[str, bool] | None:
        """Apply a body that is a keyword: (keyword, whether it was a stop), or None when it is none."""
        keyword = None
        if address_of(handset).channel is not Channel.WHATSAPP:
            keyword = keyword_of(body, number)
        if keyword is None:
            return None
        services = tuple(sid for sid in self._known_services() if number in self.numbers_of(sid))
        return keyword, self.opt_outs.hear(handset, (number, *services), keyword)

    def numbers_of(self, service: str) -> tuple[str, ...]:
        """A service's senders: as configured, else three fictional numbers that follow from its SID."""
        configured = self.services.get(service)
        if configured:
            return configured
        digest = hashlib.blake2b(service.lower().encode(), digest_size=3).digest()
        return tuple(
            f"+1{npa}55501{byte % 100:02d}" for npa, byte in zip((218, 308, 406), digest, strict=True)
        )

    def service_of(self, number: str) -> str | None:
        """The service a number belongs to, among those configured or seen."""
        return next((sid for sid in self._known_services() if number in self.numbers_of(sid)), None)

    def _known_services(self) -> tuple[str, ...]:
        return tuple(sorted({*self.services, *self._seen_services}))

    def _assigned(self, request: CreateRequest) -> str:
        if not request.from_service:
            return request.sender
        numbers = self.numbers_of(request.sender)
        # Sticky: a recipient always meets the same sender of a service.
        digest = hashlib.blake2b(str(request.to).encode(), digest_size=2).digest()
        bare = numbers[int.from_bytes(digest, "big") % len(numbers)]
        return bare if address_of(bare).channel is not Channel.SMS else request.to.channel.value + bare

    def _complete(self, message: Message) -> None:
        on_its_way = message.status in (Status.ACCEPTED, Status.SCHEDULED, Status.QUEUED, Status.SENDING)
        if on_its_way:
            raise ApiError(20009, message.sid)
