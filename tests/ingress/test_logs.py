"""What operators read: JSON lines and metrics, without a number, a body or a token of anybody."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest

from tests.ingress import command
from tests.ingress.command import TIMEOUT_S, Ingress, ended, environment, logged
from tests.ingress.twilio_side import FORM, TOKEN, get, inbound_form, new_sid, post, sign, status_form
from tests.waiting import wait_until

NUMBER = "+15005550142"
OTHER_NUMBER = "+447700900123"
BODY = "sesame-opens-at-midnight"
FORGED_WITH = "token-of-a-forger"
# However they are written: with + or %2B, after a prefix, masked but for too much.
NEVER = ("5005550142", "7700900123", BODY, TOKEN, FORGED_WITH)

THEIRS = {"From": NUMBER, "To": f"whatsapp:{OTHER_NUMBER}", "Body": BODY, "ProfileName": BODY}


@pytest.fixture(scope="module")
def told(kafka: str, registry: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Metrics and log of an ingress after all that may tempt it to say too much."""
    folder = tmp_path_factory.mktemp("told")
    settings = environment(kafka, registry, folder / "journal", LOG_LEVEL="DEBUG")
    start = ("tests.ingress.defective",)
    with command.running(settings, folder / "log", start=start) as ingress:
        with httpx2.Client(base_url=ingress.address, timeout=TIMEOUT_S) as client:
            take(client)
            refuse(client)
            fail(client)
        talk_nonsense(ingress)
        metrics = ingress.metrics()
        assert metrics is not None
        os.kill(ingress.pid, signal.SIGTERM)
        wait_until(lambda: ended(ingress.pid), TIMEOUT_S, "the ingress to end")
    return metrics, folder / "log"


def take(client: httpx2.Client) -> None:
    assert post(client, "/twilio/status", status_form(new_sid(), "news", **THEIRS)).status_code == 204
    assert post(client, "/twilio/inbound", inbound_form(new_sid()) | THEIRS).is_success
    assert get(client, "/twilio/status", status_form(new_sid(), **THEIRS)).status_code == 204


def refuse(client: httpx2.Client) -> None:
    form = status_form(new_sid(), **THEIRS)
    assert post(client, "/twilio/status", form, token=FORGED_WITH).status_code == 403
    assert post(client, "/twilio/status", form | {"AccountSid": "AC" + "9" * 32}).status_code == 403
    assert client.post("/twilio/status", data=form).status_code == 403
    assert get(client, "/twilio/status", form, token=FORGED_WITH).status_code == 403
    assert post(client, "/twilio/status", form | {"MessageSid": NUMBER, "SmsSid": BODY}).status_code == 400
    assert post(client, "/twilio/status", form | {"Body": BODY * 5000}).status_code == 413
    assert client.post("/twilio/status", json=form).status_code == 415
    assert client.put(f"/twilio/status?{urlencode(form)}").status_code == 405
    assert client.get(f"/{NUMBER}/{BODY}?{urlencode(form)}").status_code == 404
    events = f"/twilio/events?{urlencode({'To': NUMBER})}"
    signed = {"x-twilio-signature": sign(events, {}), "content-type": "application/json"}
    assert client.post(events, json=[form], headers=signed).status_code == 403
    nested = b"%FF%FE=" + BODY.encode() + b"&" + urlencode(form).encode() + b"&" + b"a=1&" * 2000
    answer = client.post("/twilio/status", content=nested, headers={"content-type": FORM})
    assert answer.status_code in (400, 403)


def fail(client: httpx2.Client) -> None:
    """Each defect in the middle of a genuine webhook."""
    for place in ("form", "record", "encoding"):
        form = status_form(new_sid(), **THEIRS, Defect=place)
        assert post(client, "/twilio/status", form).status_code == 500
    assert client.get("/readyz").status_code == 500


def talk_nonsense(ingress: Ingress) -> None:
    form = urlencode(status_form(new_sid(), **THEIRS))
    for nonsense in (
        f"GET /{form} HTTP/9.9\r\n\r\n",
        f"{BODY} {NUMBER}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{BODY}: {NUMBER}\r\nhost {NUMBER}\r\n\r\n",
        f"GET /{form * 100} HTTP/1.1\r\nhost: a\r\n\r\n",
        f"POST /twilio/status HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{NUMBER}\r\n{BODY}",
        f"GET / HTTP/1.1\r\nhost: {NUMBER}\r\nupgrade: {BODY}\r\nconnection: upgrade\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", ingress.port), timeout=TIMEOUT_S) as talking:
            talking.sendall(nonsense.encode())
            assert talking.recv(12).startswith(b"HTTP/1.1 ")


def test_logs_and_metrics_hold_no_number_no_body_and_no_token(told: tuple[str, Path]) -> None:
    metrics, log = told
    for never in NEVER:
        assert never not in metrics
        assert never not in log.read_text()


def test_every_line_of_the_log_is_json_with_time_level_and_event(told: tuple[str, Path]) -> None:
    lines = logged(told[1])
    assert lines
    for line in lines:
        assert {"timestamp", "level", "logger", "event"} <= line.keys()


def test_a_defect_is_logged_with_the_place_it_came_from(told: tuple[str, Path]) -> None:
    failed = [line for line in logged(told[1]) if line["event"] == "webhook.failed"]
    assert [line["error"] for line in failed] == ["RuntimeError"] * 3
    assert all("defective.py" in line["trace"] for line in failed)


def test_a_defect_behind_another_route_is_logged_with_its_place_too(told: tuple[str, Path]) -> None:
    (line,) = [line for line in logged(told[1]) if "Exception in ASGI application" in line["event"]]
    assert "RuntimeError" in line["event"]
    assert "defective.py" in line["event"]


def test_the_metrics_count_what_the_log_says_only_once_in_a_while(told: tuple[str, Path]) -> None:
    metrics, log = told
    assert 'ingress_refusals_total{reason="bad-signature"} 3.0' in metrics
    refused = [line for line in logged(log) if line["event"] == "webhook.refused"]
    reasons = [line["reason"] for line in refused]
    assert len(reasons) == len(set(reasons))
    assert 'ingress_requests_total{result="failed",route="status"} 3.0' in metrics
    assert 'ingress_connections_ended_total{fault="malformed"}' in metrics
