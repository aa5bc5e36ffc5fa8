"""What the demo asks for: people, who of them stopped, and every event in order. Pure: all from one seed.

Guarantees: the same seed and number give the same people, texts and order; each first request has a text of
its own, so that its fate at the simulator depends on nothing but the seed. Every kind of bad input occurs
from 50 events on. Leaves to `verdict` what should have become of each.
"""

import enum
import random
from dataclasses import dataclass

import msgspec

from sandbox.carrier.carriers import COUNTRIES, sample_number
from schemas.identity import notification_id
from schemas.records import NotifyRequest, Template
from schemas.vocabulary import Category, Priority

SENDERS = {
    "+14155550110": "acme",
    "+14155550111": "acme",
    "+14155550120": "globex",
    "+14155550121": "globex",
    "+14155550130": "initech",
    "+14155550131": "initech",
}
"""Tenant by sender, as SENDER_TENANTS has it."""

APPROVED = {"delivery-window": "HX" + "0" * 31 + "1", "order-news": "HX" + "0" * 31 + "2"}
"""The templates that the provider knows: nobody wrote by WhatsApp first, so it takes nothing else there."""

TEMPLATES: dict[str, dict[str, str | dict[str, str]]] = {
    "delivery-window": {
        "en": "{name}, parcel {parcel} arrives between {from} and {to}.",
        "content_sid": {"en": APPROVED["delivery-window"]},
        "content_variables": {"1": "name", "2": "parcel", "3": "from", "4": "to"},
    },
    "order-news": {
        "en": "{name}, there is news of order {number}.",
        "content_sid": {"en": APPROVED["order-news"]},
        "content_variables": {"1": "name", "2": "number"},
    },
}
"""What TEMPLATES_FILE holds."""

_IMPOSSIBLE = ("+1999", "+44000000", "+4912", "not-a-number", "+15555")
_SHARES = {"stopped": 0.03, "repeat": 0.04, "conflict": 0.01, "impossible": 0.02, "invalid": 0.01}
_UNREADABLE_SHARE = 0.006
_TEXTS = {
    Category.OTP: "{name}, your code is {number:06d}. Do not share it.",
    Category.TRANSACTIONAL: "{name}, order {number} has left our warehouse.",
    Category.MARKETING: "{name}, offer {number}: 20 % off until Sunday. Reply STOP to opt out.",
}
_NAMES = ("Ann", "Björn", "Chloé", "Dai", "Elif", "Fatou", "Goran", "Hana", "Iñaki", "Jun")
# Two segments and more, so that pacing has something to count.
_LONG = (
    " Questions? Our people answer every day from eight to eight, also by chat and in eleven languages." * 2
)


class Kind(enum.Enum):
    """Why an event is in the plan."""

    NOTIFICATION = "a notification"
    STOPPED = "to a person who said STOP"
    REPEAT = "the same again"
    CONFLICT = "the same key with other content"
    IMPOSSIBLE = "a number that cannot exist"
    INVALID = "a request that makes no sense"
    UNREADABLE = "bytes that are no event"


@dataclass(frozen=True, slots=True)
class Planned:
    """One event. `text` is what the person should read, for those that should be tried, or `content_sid`
    where it goes as a template; `value` the bytes of an unreadable one, which has no request."""

    kind: Kind
    key: str
    request: NotifyRequest | None = None
    text: str | None = None
    content_sid: str | None = None
    value: bytes = b""

    @property
    def notification_id(self) -> str | None:
        return notification_id(self.request.tenant, self.request.idempotency_key) if self.request else None


@dataclass(frozen=True, slots=True)
class Stop:
    """A person who writes STOP to a sender before anything is sent."""

    recipient: str
    sender: str


@dataclass(frozen=True, slots=True)
class Plan:
    seed: int
    stops: tuple[Stop, ...]
    events: tuple[Planned, ...]
    sender_tenants: dict[str, str]


def make_plan(messages: int, seed: int, label: str = "") -> Plan:
    """`messages` events. `label` goes into every key: on a broker that remembers earlier runs, give one.

    Raises ValueError for fewer than one message.
    """
    if messages < 1:
        raise ValueError(f"a plan has at least one message, not {messages}")
    rng = random.Random(f"demo:{seed}")
    maker = _Maker(rng, f"demo-{seed}-{label + '-' if label else ''}")
    counts = {name: _share(messages, share) for name, share in _SHARES.items()}
    unreadable = _share(messages, _UNREADABLE_SHARE)
    plain = messages - sum(counts.values()) - unreadable
    stopped = [maker.notification(Kind.STOPPED) for _ in range(counts["stopped"])]
    firsts = [maker.notification(Kind.NOTIFICATION) for _ in range(plain)]
    bad = [maker.impossible() for _ in range(counts["impossible"])]
    bad += [maker.invalid(number) for number in range(counts["invalid"])]
    bad += [maker.unreadable() for _ in range(unreadable)]
    events = firsts + stopped + bad
    rng.shuffle(events)
    for kind, count in ((Kind.REPEAT, counts["repeat"]), (Kind.CONFLICT, counts["conflict"])):
        for original in rng.sample(firsts, min(count, len(firsts))):
            events.insert(rng.randint(events.index(original) + 1, len(events)), maker.again(original, kind))
    return Plan(seed, tuple(_stop_of(event) for event in stopped), tuple(events), dict(SENDERS))


class _Maker:
    def __init__(self, rng: random.Random, prefix: str) -> None:
        self._rng = rng
        self._prefix = prefix
        self._made = 0
        self._people: set[str] = set()

    def notification(self, kind: Kind) -> Planned:
        rng = self._rng
        sender = rng.choice(list(SENDERS))
        category = rng.choices(list(Category), (2, 6, 2))[0]
        number = self._next()
        name = rng.choice(_NAMES)
        text: str | None = _TEXTS[category].format(name=name, number=number)
        if rng.random() < 0.1:
            text = f"{text}{_LONG}"
        template = None
        body = text
        if kind is Kind.NOTIFICATION and rng.random() < 0.08:
            variables = {"name": name, "parcel": str(number), "from": "9:00", "to": "11:00"}
            template = Template(name="delivery-window", variables=variables)
        # A STOP by SMS says nothing about WhatsApp: whoever stopped is asked by SMS only.
        ways = [("sms",), ("whatsapp",), ("whatsapp", "sms")] if kind is Kind.NOTIFICATION else [("sms",)]
        channels = rng.choices(ways, (90, 5, 5)[: len(ways)])[0]
        by_whatsapp = "whatsapp" in channels
        if by_whatsapp and template is None:
            template = Template(name="order-news", variables={"name": name, "number": str(number)})
        if template is not None:
            body, text = None, str(TEMPLATES[template.name]["en"]).format(**template.variables)
        request = NotifyRequest(
            tenant=SENDERS[sender],
            idempotency_key=f"{self._prefix}{number:05d}",
            recipient=self._person(),
            channels=channels,
            body=body,
            template=template,
            category=category,
            priority=_priority(category, rng),
            sender=sender,
            metadata={"campaign": f"demo-{category}"},
        )
        content_sid = APPROVED[template.name] if template is not None and by_whatsapp else None
        return Planned(kind, request.idempotency_key, request, text, content_sid)

    def again(self, original: Planned, kind: Kind) -> Planned:
        request = original.request
        assert request is not None
        if kind is Kind.CONFLICT:
            changed = msgspec.structs.replace(request, body=f"Something else ({self._next()})", template=None)
            return Planned(kind, request.idempotency_key, changed)
        return Planned(kind, request.idempotency_key, request)

    def impossible(self) -> Planned:
        planned = self.notification(Kind.IMPOSSIBLE)
        assert planned.request is not None
        wrong = msgspec.structs.replace(planned.request, recipient=self._rng.choice(_IMPOSSIBLE))
        return Planned(Kind.IMPOSSIBLE, planned.key, wrong)

    def invalid(self, number: int) -> Planned:
        planned = self.notification(Kind.INVALID)
        assert planned.request is not None
        faults: tuple[dict[str, object], ...] = (
            {"body": ""},
            {"channels": ("pigeon",)},
            {"category": "urgent-ish"},
            {"template": Template(name="no-such-template")},
        )
        wrong = msgspec.structs.replace(planned.request, **faults[number % len(faults)])
        return Planned(Kind.INVALID, planned.key, wrong)

    def unreadable(self) -> Planned:
        key = f"{self._prefix}{self._next():05d}"
        value = (
            self._rng.choice((b'{"json": "is not avro"}', b"\x00\xff\xff\xff\xffno such schema"))
            + key.encode()
        )
        return Planned(Kind.UNREADABLE, key, value=value)

    def _person(self) -> str:
        while True:
            number = sample_number(self._rng.choice(COUNTRIES), self._rng)
            if number not in self._people:
                self._people.add(number)
                return number

    def _next(self) -> int:
        self._made += 1
        return self._made


def _priority(category: Category, rng: random.Random) -> Priority:
    if category is Category.OTP:
        return Priority.URGENT
    return Priority.BULK if category is Category.MARKETING else rng.choice((Priority.NORMAL, Priority.URGENT))


def _share(messages: int, share: float) -> int:
    return max(round(messages * share), int(messages >= 50))


def _stop_of(event: Planned) -> Stop:
    request = event.request
    assert request is not None
    assert request.sender is not None
    return Stop(request.recipient, request.sender)
