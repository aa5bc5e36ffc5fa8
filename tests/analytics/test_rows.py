"""What of each record lands: never a number or a body, always the same rows for the same record."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Record, Step
from schemas.vocabulary import Channel
from sinks.analytics import rows
from sinks.analytics.errors import RowError
from sinks.analytics.privacy import Privacy, without_number_of, without_numbers
from sinks.analytics.rows import Place
from sinks.analytics.tables import Row
from tests.analytics import examples

PRIVACY = Privacy(bytes(range(32)))
PLACE = Place("topic", 3, 7)

# What the examples hold of their own must not look like the number by chance.
OWN = repr(
    (examples.SENDER, range(examples.NOW, examples.NOW + 10_000), examples.sid("k"), examples.nid("k"))
)
numbers = st.from_regex(r"\+[1-9][0-9]{7,14}", fullmatch=True).filter(lambda number: number[-7:] not in OWN)
# Words of others with the number in them, in several spellings, between text without digits of its own.
words = st.text(alphabet="abc äß+-(),.", max_size=20)


@st.composite
def mentions(draw: st.DrawFn, number: str) -> str:
    digits = number[1:]
    shapes = [number, digits, "0" + digits[2:], " ".join(digits), f"{number[:4]} {number[4:7]}-{number[7:]}"]
    return draw(words) + draw(st.sampled_from(shapes)) + draw(words)


@st.composite
def records(draw: st.DrawFn) -> tuple[str, str, tuple[Row, ...]]:
    """A number, a body, and the rows of a record of each kind that has both wherever it can have them."""
    number = draw(numbers)
    body = "BODY" + draw(st.text(alphabet="xyzäß", min_size=3, max_size=10))
    said = draw(mentions(number))
    parameters = {"To": number, "From": number, "Body": body}
    made = (
        *rows.status_rows(examples.status(recipient=number, parameters=parameters), PLACE, PRIVACY),
        *rows.attempt_rows(examples.attempt_event(detail=said), PLACE, PRIVACY),
        *rows.request_rows(
            examples.request(
                recipient=number,
                idempotency_key=said,
                steps=(
                    Step(
                        channel=Channel.WHATSAPP,
                        sender=examples.SENDER,
                        body=body,
                        content_sid="HX0",
                        content_variables={"1": body},
                        media_urls=(number,),
                    ),
                    Step(channel=Channel.SMS, body=f"{body} {number}"),
                ),
                contacts={"sms": number},
                metadata={said: said},
                refusal="x",
                refusal_detail=said,
            ),
            PLACE,
            PRIVACY,
        ),
        *rows.inbound_rows(
            examples.inbound(recipient=number, body=body, parameters=parameters), PLACE, PRIVACY
        ),
        *rows.consent_rows(examples.consent(recipient=number, words=body, evidence=said), PLACE, PRIVACY),
        *rows.dead_letter_rows(
            examples.dead_letter(detail=said, key=number.encode(), value=body.encode()), PLACE, PRIVACY
        ),
        *rows.outcome_rows(
            examples.outcome(recipient=number, idempotency_key=said, detail=said, metadata={said: said}),
            PLACE,
            PRIVACY,
        ),
    )
    return number, body, made


@given(records())
def test_neither_the_recipients_number_nor_a_body_is_in_any_row(
    case: tuple[str, str, tuple[Row, ...]],
) -> None:
    number, body, made = case
    for row in made:
        for name, value in zip(row._fields, row, strict=True):
            if name in ("recipient_hash", "message_sid", "notification_id", "command_id", "evidence"):
                # Hexadecimal by nature; that none is a number's own digits is the next test.
                assert number[1:] not in str(value)
                continue
            text = str(value)
            # Spaces and signs between digits do not hide a number from a reader.
            assert number[1:] not in re.sub(r"[\s().+/-]", "", text), name
            assert number[-7:] not in text, name
            assert body not in text, name


@given(numbers)
def test_the_hash_of_a_number_depends_on_the_key_and_says_nothing_itself(number: str) -> None:
    ours, theirs = PRIVACY.recipient_hash(number), Privacy(b"another key, as long").recipient_hash(number)
    assert ours == PRIVACY.recipient_hash(number)
    assert ours != theirs
    assert re.fullmatch(r"[0-9a-f]{32}", ours)


def test_an_analyst_sees_country_and_last_two_digits_of_the_recipient() -> None:
    person = PRIVACY.person("+4915123456789")
    assert (person.country, person.recipient_last2) == ("DE", "89")


def _parsed_country(number: str) -> str:
    """As the library has it, by the long way."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return "ZZ"
    return region if region and region != "001" else "ZZ"


anywhere = st.sampled_from([f"+{code}" for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE]) | st.just("+1")
digits = st.text(alphabet="0123456789", min_size=1, max_size=13)
north_american = st.from_regex(r"\+1[2-9][0-9]{9}", fullmatch=True)


@settings(max_examples=500, deadline=None)
@given(st.builds(str.__add__, anywhere, digits) | north_american | st.text(max_size=12))
def test_the_country_of_a_number_is_what_parsing_it_gives(number: str) -> None:
    assert PRIVACY.person(number).country == (_parsed_country(number) if number else "ZZ")


def test_a_recipient_that_is_not_told_has_no_hash() -> None:
    assert PRIVACY.person(None) == ("", "", "ZZ")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("order 20261121-000123 for you", "order 20261121-000123 for you"),
        ("welcome +49 151 234 567 89", "welcome #"),
        ("0151/23456789-2", "#"),
        ("no digits", "no digits"),
    ],
)
def test_a_producers_key_loses_the_recipients_number_and_keeps_its_own(text: str, kept: str) -> None:
    assert without_number_of(text, "+4915123456789") == kept


def test_free_text_keeps_error_codes_and_loses_numbers() -> None:
    assert without_numbers("error 21211: '+4915123456789' at 12:30") == "error 21211: '#' at 12:30"


@pytest.mark.parametrize(
    ("make", "record"),
    [
        (rows.status_rows, examples.status(received_at=1_700_000_000)),
        (rows.request_rows, examples.request(send_at=2**60)),
        (rows.outcome_rows, examples.outcome(attempts=(examples.attempt(commanded_at=-1),))),
    ],
)
def test_a_time_in_seconds_or_beyond_all_calendars_is_refused_by_name(make, record: Record) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RowError, match=r"received_at|send_at|commanded_at") as refused:
        make(record, PLACE, PRIVACY)
    assert refused.value.reason == "impossible-time"


@pytest.mark.parametrize(
    ("told", "landed"),
    [("-0.0075", Decimal("-0.0075")), (None, None), ("free", None), ("NaN", None), ("1e99", None)],
)
def test_a_price_that_is_no_amount_lands_as_not_told(told: str | None, landed: Decimal | None) -> None:
    (row,) = rows.status_rows(examples.status(price=told), PLACE, PRIVACY)
    assert msgspec.to_builtins(row)[row._fields.index("price")] == (None if landed is None else str(landed))


def test_a_request_lands_with_the_size_of_its_first_step_and_the_template_of_any() -> None:
    steps = (
        Step(channel=Channel.MMS, sender="+14155550199", body="five!", media_urls=("https://a", "https://b")),
        Step(channel=Channel.WHATSAPP, content_sid="HX1"),
    )
    (row,) = rows.request_rows(
        examples.request(channels=(Channel.MMS, Channel.WHATSAPP), steps=steps), PLACE, PRIVACY
    )
    landed = dict(zip(row._fields, row, strict=True))
    assert landed["channels"] == (Channel.MMS, Channel.WHATSAPP)
    assert (landed["body_chars"], landed["media_count"], landed["content_sid"]) == (5, 2, "HX1")
    assert landed["sender"] == "+14155550199"


def test_a_refused_request_lands_without_content() -> None:
    (row,) = rows.request_rows(examples.request(channels=(), steps=(), refusal="empty-body"), PLACE, PRIVACY)
    landed = dict(zip(row._fields, row, strict=True))
    assert (landed["body_chars"], landed["media_count"], landed["content_sid"], landed["sender"]) == (
        0,
        0,
        "",
        "",
    )


def test_an_outcome_becomes_one_row_per_attempt_one_for_the_notification_and_one_of_history() -> None:
    made = rows.outcome_rows(
        examples.outcome(attempts=(examples.attempt(1), examples.attempt(2))), PLACE, PRIVACY
    )
    assert [type(row).__name__ for row in made] == [
        "MessageRow",
        "MessageRow",
        "NotificationRow",
        "OutcomeHistoryRow",
    ]
