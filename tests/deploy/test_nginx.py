"""What the internet can reach through nginx, and what of it reaches the ingress."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import json
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2
import pytest

from ingress.callback_url import EVENTS_PATH, INBOUND_PATH, STATUS_PATH, VOICE_PATH
from schemas.identity import notification_id
from schemas.records import PlatformEvent, ProviderStatus
from schemas.topics import Topic
from tests.deploy import nginx
from tests.deploy.nginx import Answer, Proxy
from tests.ingress.closed_port import closed_port
from tests.ingress.topic import TopicReader
from tests.ingress.twilio_side import ACCOUNT, BASE, FORM, inbound_form, new_sid, sign, status_form
from tests.servers import Server

FORGED = "https://evil.example.net"


def post(proxy: Proxy, target: str, form: dict[str, str], *, base: str = BASE, **headers: str) -> Answer:
    """The webhook as Twilio sends it to the public URL; further headers with _ for -."""
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    signed = {"Content-Type": FORM, "X-Twilio-Signature": sign(target, form, base=base)}
    return proxy.ask("POST", target, body=urlencode(form).encode(), headers=signed | more)


def test_nginx_accepts_the_file_without_a_warning(nginx_there: None, tmp_path: Path) -> None:
    nginx.write_configuration(tmp_path, ingress_port=1)
    done = subprocess.run(
        nginx.command(tmp_path, "-t"), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "[warn]" in done.stderr) == (0, False), done.stderr


def test_a_signed_callback_to_the_public_url_is_in_the_topic(proxy: Proxy, written: TopicReader) -> None:
    sid, notification = new_sid(), notification_id("acme", new_sid())
    answer = post(proxy, f"{STATUS_PATH}?n={notification}&a=2", status_form(sid))
    assert (answer.status, answer.body) == (204, b"")
    [(key, record)] = written.of_sid(Topic.STATUS, ProviderStatus, sid)
    assert (key, record.attempt, record.status) == (notification, 2, "delivered")


@pytest.mark.parametrize(
    "target",
    [
        "/twilio/status?campaign=a%2Bb+c%20d",
        "/twilio/status?name=%C3%BC%c3%bc",
        "/twilio/status?n=1&n=2&&empty=&=",
        "/twilio/status?to=https%3A%2F%2Fexample.com%2F..%2F?a=/../b",
        "/twilio/status?odd=%zz%2;~!*'()[]{}|^`\\",
        "/twilio/status?nul=%00&line=%0D%0A",
        "/twilio/%73tatus?x=1",
    ],
)
def test_an_odd_url_reaches_the_ingress_as_it_was_signed(proxy: Proxy, target: str) -> None:
    assert post(proxy, target, status_form(new_sid())).status == 204


def test_a_webhook_by_get_is_taken_with_a_long_text(proxy: Proxy) -> None:
    target = f"{INBOUND_PATH}?{urlencode(inbound_form(new_sid(), '漢' * 750))}"
    assert proxy.ask("GET", target, headers={"X-Twilio-Signature": sign(target, {})}).status == 200


def test_a_batch_of_events_larger_than_any_form_is_taken(proxy: Proxy, written: TopicReader) -> None:
    id = new_sid("EZ")
    event = {"specversion": "1.0", "id": id, "source": "/twilio", "type": "test", "data": "x" * 500_000}
    body = json.dumps([event]).encode()
    target = f"{EVENTS_PATH}?account={ACCOUNT}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": sign(target, {})}
    assert proxy.ask("POST", target, body=body, headers=headers).status == 204
    assert id in {record.id for _, record in written.all(Topic.EVENTS, PlatformEvent)}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_what_is_for_operators_is_reached_from_inside_alone(proxy: Proxy, ingress: Server, path: str) -> None:
    assert httpx2.get(ingress.address + path, timeout=20).status_code == 200
    assert proxy.ask("GET", path).status == 404


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/twilio",
        "/twilio/",
        "/twilio/statuses",
        "/twilio/status/",
        "/TWILIO/STATUS",
        "/twilio/../metrics",
        "/twilio/status/../../metrics",
        "/twilio/%2e%2e/metrics",
        "/twilio/..%2fmetrics",
        "//metrics",
        "/metrics;/twilio/status",
        "/metrics%3f/twilio/status",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nothing_but_the_routes_is_there(proxy: Proxy, method: str, target: str) -> None:
    assert proxy.ask(method, target, body=b"").status == 404


@pytest.mark.parametrize("path", [STATUS_PATH, INBOUND_PATH, VOICE_PATH])
@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post"])
def test_a_form_route_takes_get_and_post_alone(proxy: Proxy, path: str, method: str) -> None:
    assert proxy.ask(method, path).status in (400, 405)
    assert proxy.ask("GET", path).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_events_route_takes_post_alone(proxy: Proxy, method: str) -> None:
    assert proxy.ask(method, EVENTS_PATH).status == 405


def padded(bytes_in_all: int) -> dict[str, str]:
    form = status_form(new_sid(), Padding="")
    return form | {"Padding": "x" * (bytes_in_all - len(urlencode(form)))}


def test_the_largest_form_that_the_ingress_takes_gets_through_and_a_larger_one_does_not(
    proxy: Proxy, written: TopicReader
) -> None:
    largest, too_large = padded(64 * 1024), padded(64 * 1024 + 1)
    assert post(proxy, STATUS_PATH, largest).status == 204
    answer = post(proxy, STATUS_PATH, too_large)
    assert (answer.status, b"nginx" in answer.body) == (413, True)
    assert written.of_sid(Topic.STATUS, ProviderStatus, too_large["MessageSid"]) == []


def test_a_batch_larger_than_a_megabyte_is_refused_at_the_door(proxy: Proxy) -> None:
    answer = proxy.ask("POST", EVENTS_PATH, body=b"[" + b" " * 2**20 + b"]")
    assert (answer.status, b"nginx" in answer.body) == (413, True)


LIES = [
    {"X_Forwarded_Host": "evil.example.net"},
    {"X_Forwarded_Host": "evil.example.net", "X_Forwarded_Proto": "https", "X_Forwarded_Port": "443"},
    {"Forwarded": "host=evil.example.net;proto=https"},
    {"Forwarded": "for=127.0.0.1;host=evil.example.net;proto=https"},
]


@pytest.mark.parametrize("lie", LIES)
def test_what_a_client_says_about_the_host_it_called_is_not_believed(
    proxy: Proxy, ingress: Server, lie: dict[str, str]
) -> None:
    form = status_form(new_sid())
    signed = {"content-type": FORM, "x-twilio-signature": sign(STATUS_PATH, form, base=FORGED)}
    straight = httpx2.post(
        ingress.address + STATUS_PATH,
        content=urlencode(form),
        headers=signed | {name.replace("_", "-"): value for name, value in lie.items()},
        timeout=20,
    )
    assert straight.status_code == 204, "the ingress believes its proxy, so the proxy must not repeat a lie"
    assert post(proxy, STATUS_PATH, form, base=FORGED, **lie).status == 403
    assert post(proxy, STATUS_PATH, form, **lie).status == 204


class Listener(http.server.BaseHTTPRequestHandler):
    """Keeps what it is asked, in place of an ingress."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Listening)
        self.server.heard = (self.path, dict(self.headers))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Listening(http.server.HTTPServer):
    heard: tuple[str, dict[str, str]]


def test_only_the_proxy_says_where_a_request_came_from(nginx_there: None, tmp_path: Path) -> None:
    lies = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Prefix", "X-Forwarded-Host", "X-Real-IP")
    with (
        Listening(("127.0.0.1", 0), Listener) as listening,
        nginx.running(tmp_path, listening.server_port) as proxy,
    ):
        asked = threading.Thread(target=listening.handle_request)
        asked.start()
        proxy.ask("POST", f"{STATUS_PATH}?q=1", body=b"", headers=dict.fromkeys(lies, "203.0.113.9"))
        asked.join(20)
        path, headers = listening.heard
    assert path == f"{STATUS_PATH}?q=1"
    told = {name: value for name, value in headers.items() if name in {*lies, "Host", "X-Forwarded-Port"}}
    assert told == {
        "Host": nginx.HOST,
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": nginx.HOST,
        "X-Forwarded-Port": str(proxy.tls_port),
    }


def test_no_log_holds_what_people_wrote_or_their_numbers(proxy: Proxy, tmp_path: Path) -> None:
    form = inbound_form(new_sid(), "the secret text", From="+14155550177")
    target = f"{INBOUND_PATH}?{urlencode(form)}"
    headers = {"X-Twilio-Signature": sign(target, {})}
    gone = int(closed_port().rpartition(":")[2])
    with nginx.running(tmp_path, gone) as without:
        assert proxy.ask("GET", target, headers=headers).status == 200
        assert proxy.ask("POST", target, body=b"x" * 70_000).status == 413
        assert without.ask("GET", target, headers=headers).status == 502
        for one, status in ((proxy, 413), (without, 502)):
            logged = one.logged()
            assert f'"path":"{INBOUND_PATH}","status":{status}' in logged
            for private in ("secret", "4155550177", quote("+14155550177"), "Body="):
                assert private not in logged


def test_another_name_gets_no_handshake_and_another_host_no_answer(proxy: Proxy) -> None:
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        proxy.ask("GET", "/", name="evil.example.net")
    with pytest.raises(http.client.RemoteDisconnected):
        proxy.ask("GET", STATUS_PATH, host="evil.example.net")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_current_versions_of_tls_are_spoken(proxy: Proxy, version: ssl.TLSVersion) -> None:
    assert proxy.ask("GET", "/", version=version).status == 404


def test_no_server_of_the_file_speaks_an_older_tls() -> None:
    # One that says nothing has the defaults of nginx, and those of the first server of a port count for all.
    servers = nginx.CONFIGURATION.read_text().split("\nserver {")[1:]
    tls = [server for server in servers if "listen 443 ssl" in server]
    assert len(tls) == 2
    assert all("ssl_protocols TLSv1.2 TLSv1.3;" in server for server in tls)


def test_a_call_without_tls_is_not_redirected(proxy: Proxy) -> None:
    answer = proxy.ask_plain(STATUS_PATH)
    assert (answer.status, "Location" in answer.headers) == (404, False)


def test_every_answer_says_that_only_tls_is_spoken_here(proxy: Proxy) -> None:
    for target in ("/", STATUS_PATH):
        assert "max-age=" in proxy.ask("GET", target).headers["Strict-Transport-Security"]
