"""A short fuzz run of the ingress, and that such a run would notice what it looks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.records import ProviderStatus
from schemas.topics import Topic
from schemas.vocabulary import Channel
from tests.fuzz.ingress.books import Books
from tests.fuzz.ingress.checks import wrong
from tests.fuzz.ingress.client import Answer, Ended, Outcome
from tests.fuzz.ingress.generator import make
from tests.fuzz.ingress.genuine import STATUS
from tests.fuzz.ingress.oracle import judge
from tests.fuzz.ingress.run import fuzz
from tests.fuzz.ingress.target import LARGEST_LOG, place_in, wrong_with_log
from tests.fuzz.ingress.topics import Written
from tests.fuzz.ingress.wire import Request, marker
from tests.ingress.twilio_side import TOKEN

REQUESTS = 2000
SEED = 4  # of what is made here; the run has the seed of all tests


def requests(kind: str) -> Iterator[Request]:
    return (one for one in (make(SEED, number) for number in range(100_000)) if one.kind == kind)


def first(kind: str, path: str) -> Request:
    return next(one for one in requests(kind) if one.raw.startswith(f"POST {path}".encode()))


def books_after(request: Request, status: int) -> Books:
    books = Books(SEED)
    books.answered(request, books.asked(request), Outcome((Answer(status),), Ended.ANSWERED))
    return books


def record_of(request: Request, parameters: dict[str, str]) -> Written:
    """What the ingress would write of a status callback with these parameters."""
    record = ProviderStatus(
        event_id="",
        provider="twilio",
        account_sid=parameters.get("AccountSid", ""),
        message_sid=parameters.get("MessageSid", ""),
        status=parameters.get("MessageStatus", ""),
        channel=Channel.SMS,
        received_at=0,
        source="callback",
        parameters=parameters,
    )
    return Written(Topic.STATUS, record, marker(request.number).encode())


def found(books: Books) -> list[str]:
    books.close()
    return [finding.what for finding in books.findings]


def test_no_generated_request_gets_a_5xx_hangs_or_leaves_a_record_that_was_not_signed(
    tmp_path: Path, seed: int
) -> None:
    with place_in(tmp_path) as place:
        result = fuzz(place, seed, range(REQUESTS), lambda sent, seconds: None, stalls=False)
    assert result.findings == ()
    assert result.sent > REQUESTS * 0.99
    assert sum(tally.records for tally in result.tallies.values()) > REQUESTS * 0.4


def test_a_request_is_made_again_from_seed_and_number_alone() -> None:
    assert [make(SEED, number) for number in range(300)] == [make(SEED, number) for number in range(300)]


def test_a_genuine_request_that_was_answered_and_recorded_is_no_finding() -> None:
    request = first("a genuine form", STATUS)
    books = books_after(request, 204)
    [signed] = judge(request.raw)
    books.recorded(record_of(request, signed.parameters))
    assert found(books) == []


@pytest.mark.parametrize("kind", ["a wrong token", "an odd signature", "changed parameters"])
def test_a_record_of_a_request_that_was_not_signed_is_a_finding(kind: str) -> None:
    request = next(one for one in requests(kind) if not judge(one.raw))
    books = books_after(request, 403)
    books.recorded(record_of(request, {}))
    assert f"a record in {Topic.STATUS} was never validly signed" in found(books)


def test_a_record_that_says_something_else_than_what_was_signed_is_a_finding() -> None:
    request = first("a genuine form", STATUS)
    books = books_after(request, 204)
    [signed] = judge(request.raw)
    books.recorded(record_of(request, signed.parameters | {"MessageStatus": "read."}))
    assert found(books) == [f"a record in {Topic.STATUS} is not what was signed"]


def test_an_acknowledged_request_without_its_records_is_a_finding() -> None:
    assert found(books_after(first("a genuine form", STATUS), 204)) == [
        "answered 2xx, but 0 of its 1 records are there"
    ]


@pytest.mark.parametrize(
    ("kind", "outcome", "what"),
    [
        ("noise", Outcome((Answer(500),), Ended.ANSWERED), "answered 500"),
        ("noise", Outcome((Answer(503),), Ended.ANSWERED), "answered 503"),
        ("noise", Outcome((), Ended.HUNG), "neither answered nor closed in time"),
        ("noise", Outcome((), Ended.NOT_TAKEN), "no connection was taken for it"),
        ("an odd signature", Outcome((Answer(204),), Ended.ANSWERED), "answered 2xx, but not validly signed"),
        ("a wrong token", Outcome((), Ended.CLOSED), "closed without an answer"),
        ("a genuine form", Outcome((Answer(403, "x"),), Ended.ANSWERED), "genuine, but answered ['403 x']"),
    ],
)
def test_an_answer_that_nobody_may_get_is_a_finding(kind: str, outcome: Outcome, what: str) -> None:
    request = next(requests(kind))
    assert what in list(wrong(request, judge(request.raw), outcome))


@pytest.mark.parametrize("told", [TOKEN.encode(), b"to +14155550123", b"x" * (LARGEST_LOG + 1)])
def test_a_log_that_tells_too_much_is_a_finding(told: bytes) -> None:
    assert list(wrong_with_log(b"webhook.refused reason=bad-signature so_far=1\n")) == []
    assert len(list(wrong_with_log(told))) == 1
