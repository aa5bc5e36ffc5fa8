"""What must never be readable in a log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from notifystream import logs
from notifystream.masking import mask_text, mask_value


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """stderr with JSON logging set up; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    logs.configure("json", "INFO")
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.sampled_from(["", "to ", "whatsapp:", '"']))
def test_no_number_is_left_readable(number: str, before: str) -> None:
    masked = mask_text(f"{before}{number} said no")
    assert number not in masked
    assert number[1:] not in masked
    assert masked.startswith(before + "+")
    assert masked.endswith(" said no")


def test_a_masked_number_shows_its_beginning_and_end() -> None:
    assert mask_text("+14155550123") == "+1415•••••23"


def test_a_number_in_a_url_is_masked_too() -> None:
    assert "5550123" not in mask_text("To=%2B14155550123&From=x")


def test_ids_times_and_short_codes_stay_readable() -> None:
    text = "SM0123456789abcdef 2026-11-21T09:30:00+00:00 72345 1795257731875"
    assert mask_text(text) == text


def test_a_password_in_a_url_is_hidden() -> None:
    assert mask_text("http://ann:hunter2@db:8123/x") == "http://ann:•••••@db:8123/x"


def test_secrets_are_hidden_by_their_name_at_any_depth() -> None:
    masked = mask_value({"a": [{"auth_token": "t0p"}], "idempotency_key": "order-1"})
    assert masked == {"a": [{"auth_token": "•••••"}], "idempotency_key": "order-1"}


def test_a_log_event_of_ours_is_masked(log_lines: io.StringIO) -> None:
    structlog.get_logger("x").info("sent", to="+14155550123", auth_token="t0p")
    line = json.loads(log_lines.getvalue())
    assert (line["to"], line["auth_token"], line["event"]) == ("+1415•••••23", "•••••", "sent")


def test_a_log_line_of_a_library_is_masked_with_its_traceback(log_lines: io.StringIO) -> None:
    try:
        raise ValueError("cannot call +14155550123")
    except ValueError:
        logging.getLogger("some.library").exception("failed for %s", "+14155550199")
    assert "cannot call +1415•••••23" in log_lines.getvalue()
    assert "failed for +1415•••••99" in log_lines.getvalue()
    assert "55501" not in log_lines.getvalue()
