"""What must hold of a request, its answers and its records; what does not is a finding.

Guarantees: a record is right only when it says what a validly signed reading of its own request says
(`oracle`), field by field.
Leaves to others: sending and reading, and the books of a whole run (`books`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from schemas.records import (
    CallStatus,
    DeadLetter,
    InboundMessage,
    KeywordMatched,
    PlatformEvent,
    ProviderStatus,
)
from tests.fuzz.ingress.client import Ended, Outcome
from tests.fuzz.ingress.genuine import EVENTS, INBOUND, STATUS, VOICE
from tests.fuzz.ingress.oracle import Signed
from tests.fuzz.ingress.wire import Request

ENOUGH = 20
"""Findings after which a run ends: more of them say nothing new."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and the request it is about; `number` is None when no request can be told."""

    number: int | None
    kind: str
    what: str


def wrong(request: Request, signed: tuple[Signed, ...], outcome: Outcome) -> Iterator[str]:
    """What is wrong with the answers alone, whatever was written."""
    for answer in outcome.answers:
        if answer.status >= 500:
            yield f"answered {answer.status}"
    if outcome.ended is Ended.HUNG:
        yield "neither answered nor closed in time"
    if outcome.ended is Ended.NOT_TAKEN:
        yield "no connection was taken for it"
    if outcome.unasked:
        yield f"{len(outcome.unasked)} bytes behind the last answer"
    if outcome.accepted and not signed and not _harmless(request):
        yield "answered 2xx, but not validly signed"
    if request.must_accept and outcome.accepted < request.answers:
        said = [f"{answer.status} {answer.reason}" for answer in outcome.answers]
        yield f"genuine, but answered {said or outcome.ended.name.lower()}"
    elif request.sending.owes_an_answer and not outcome.answers and outcome.ended is Ended.CLOSED:
        yield "closed without an answer"


def _harmless(request: Request) -> bool:
    """The pages that everybody may see."""
    return any(page in request.raw[:40] for page in (b"/healthz", b"/readyz", b"/metrics"))


def says(record: msgspec.Struct, signed: Signed) -> bool:
    """Whether the record says what this signed reading of its request says, and nothing else."""
    match record:
        case ProviderStatus():
            return signed.path == STATUS and _same_form(record, signed) and _same_attempt(record, signed)
        case CallStatus():
            return signed.path == VOICE and _same_form(record, signed) and _same_attempt(record, signed)
        case InboundMessage():
            same_body = record.body == signed.parameters.get("Body", "")
            return signed.path == INBOUND and _same_form(record, signed) and same_body
        case KeywordMatched():
            # What is a keyword, the tests of `ingress.answers` say.
            named = record.message_sid in signed.parameters.values()
            return signed.path == INBOUND and record.account_sid == signed.account and named
        case PlatformEvent():
            body = signed.body or b""
            return signed.path == EVENTS and record.account_sid == signed.account and _is_part(record, body)
        case DeadLetter():
            return (
                signed.path == EVENTS and bool(record.value) and (record.value or b"") in (signed.body or b"")
            )
        case _:
            return False


def _same_form(record: ProviderStatus | CallStatus | InboundMessage, signed: Signed) -> bool:
    return record.account_sid == signed.account and record.parameters == signed.parameters


def _same_attempt(record: ProviderStatus | CallStatus, signed: Signed) -> bool:
    if record.notification_id is None:
        return record.attempt is None
    try:
        named = {str(uuid.UUID(value)) for value in signed.of_query.get("n", ())}
        tried = {int(value) for value in signed.of_query.get("a", ())}
    except ValueError:
        return False
    return record.notification_id in named and record.attempt in tried


def _is_part(record: PlatformEvent, body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    return json.dumps(record.id)[1:-1] in text and (record.data in text or record.data == "null")
