"""Notify events from CSV, JSON lines and options."""

import json

import pytest

from notifystream.events import (
    BadEvent,
    BadRow,
    GoodRow,
    from_csv,
    from_json_lines,
    from_values,
    moment,
    step,
)
from schemas.records import NotifyRequest, StepRequest, Template

WHOLE = {"tenant": "acme", "key": "k", "to": "+14155550123", "body": "Hello"}


def csv_rows(*lines: str, tenant: str | None = "acme") -> list[GoodRow | BadRow]:
    return list(from_csv([line + "\n" for line in lines], default_tenant=tenant))


def test_a_csv_line_becomes_a_whole_event() -> None:
    [row] = csv_rows(
        "tenant,key,to,channels,template,locale,var.name,metadata.campaign,send_at",
        "globex,k1,+14155550123,whatsapp|sms,welcome,de,Ann,spring,2026-11-21T09:30:00Z",
    )
    assert row == GoodRow(
        2,
        NotifyRequest(
            tenant="globex",
            idempotency_key="k1",
            recipient="+14155550123",
            channels=("whatsapp", "sms"),
            template=Template(name="welcome", variables={"name": "Ann"}, locale="de"),
            metadata={"campaign": "spring"},
            send_at=1795253400000,
        ),
    )


def test_bad_lines_do_not_stop_the_good_ones() -> None:
    rows = csv_rows("key,to,body", "a,+14155550123,one", ",+14155550123,two", "c,+14155550123,three")
    assert [(row.line, isinstance(row, GoodRow)) for row in rows] == [(2, True), (3, False), (4, True)]
    assert rows[1] == BadRow(3, "key is missing or empty")


def test_an_unknown_column_is_named_with_the_known_ones() -> None:
    [row] = csv_rows("key,to,boddy", "a,+14155550123,one")
    assert isinstance(row, BadRow)
    assert "'boddy'" in row.reason
    assert "body" in row.reason.partition("known are")[2]


def test_a_line_with_a_cell_too_many_is_a_bad_line() -> None:
    rows = csv_rows("key,to,body", "a,+14155550123,one,two", "b,+14155550123,three")
    assert [type(row) for row in rows] == [BadRow, GoodRow]


def test_a_text_over_two_lines_is_one_event_and_later_line_numbers_stay_right() -> None:
    rows = csv_rows("key,to,body", 'a,+14155550123,"one', 'two"', ",+14155550123,three")
    assert isinstance(rows[0], GoodRow)
    assert rows[0].request.body == "one\ntwo"
    assert rows[1] == BadRow(4, "key is missing or empty")


def test_an_empty_cell_means_not_given() -> None:
    [row] = csv_rows("key,to,body,category,region", "a,+14155550123,x,,")
    assert isinstance(row, GoodRow)
    assert (row.request.category, row.request.region) == ("transactional", None)


def test_template_variables_without_a_template_are_a_mistake() -> None:
    [row] = csv_rows("key,to,body,var.name", "a,+14155550123,x,Ann")
    assert row == BadRow(2, "template variables are given without a template")


def test_json_lines_are_numbered_as_an_editor_numbers_them() -> None:
    rows = list(from_json_lines([json.dumps(WHOLE), "", "{", "[]"], default_tenant=None))
    assert [row.line for row in rows] == [1, 3, 4]
    assert isinstance(rows[0], GoodRow)
    assert "not JSON" in getattr(rows[1], "reason", "")
    assert "JSON object" in getattr(rows[2], "reason", "")


def test_the_default_tenant_fills_in_and_does_not_override() -> None:
    assert from_values({**WHOLE, "tenant": None}, default_tenant="globex").tenant == "globex"
    assert from_values(WHOLE, default_tenant="globex").tenant == "acme"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"to": ""}, "to is missing"),
        ({"tenant": None}, "tenant is missing"),
        ({"channels": ["pigeon"]}, "channel 'pigeon' is unknown"),
        ({"channels": ["sms"], "steps": [{"channel": "sms"}]}, "both channels and steps"),
        ({"steps": [{"channel": "pigeon"}]}, "channel 'pigeon' is unknown"),
        ({"steps": [{"channel": "sms", "wait": 5}], "body": None}, "nothing to send"),
        ({"category": "spam"}, "category 'spam' is unknown"),
        ({"priority": "asap"}, "priority 'asap' is unknown"),
        ({"body": None}, "nothing to send"),
        ({"template": {"name": "t"}}, "both body and template"),
        ({"boddy": "x"}, "unknown field boddy"),
        ({"send_at": "tomorrow"}, "send_at"),
    ],
)
def test_what_is_wrong_with_an_event_is_said(change: dict[str, object], reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        from_values({**WHOLE, **change}, default_tenant=None)


def test_a_time_without_a_zone_is_refused_because_nobody_knows_which() -> None:
    with pytest.raises(BadEvent, match="zone"):
        moment("2026-11-21T09:30:00")


def test_an_event_without_channels_leaves_them_to_the_tenant() -> None:
    assert from_values(WHOLE, default_tenant=None).channels == ()


def test_a_json_line_may_have_steps_with_a_content_of_their_own() -> None:
    steps = [
        {"channel": "mms", "media_urls": ["https://e.x/a.jpg"], "wait_ms": 5000},
        {"channel": "sms", "body": "b"},
    ]
    line = json.dumps({**WHOLE, "body": None, "steps": steps})
    [row] = from_json_lines([line], default_tenant=None)
    assert isinstance(row, GoodRow), row
    assert row.request.steps == (
        StepRequest(channel="mms", media_urls=("https://e.x/a.jpg",), wait_ms=5_000),
        StepRequest(channel="sms", body="b"),
    )


def test_a_csv_line_may_have_steps_and_smart_encoding() -> None:
    [row] = csv_rows("key,to,body,steps,smart_encoding", "a,+14155550123,one,whatsapp:90s|sms,true")
    assert isinstance(row, GoodRow), row
    assert row.request.steps == (StepRequest(channel="whatsapp", wait_ms=90_000), StepRequest(channel="sms"))
    assert row.request.smart_encoding is True


@pytest.mark.parametrize(
    ("text", "wait_ms"), [("sms", None), ("sms:0s", 0), ("sms:250ms", 250), ("sms:2h", 7_200_000)]
)
def test_a_step_is_a_channel_and_perhaps_a_time(text: str, wait_ms: int | None) -> None:
    assert step(text) == {"channel": "sms"} | ({} if wait_ms is None else {"wait_ms": wait_ms})


@pytest.mark.parametrize("text", ["", "sms:", "sms:90", "sms:-1s", ":90s", "sms:90s:5s"])
def test_what_is_no_step_is_refused_with_its_form(text: str) -> None:
    with pytest.raises(BadEvent, match="CHANNEL:TIME"):
        step(text)
