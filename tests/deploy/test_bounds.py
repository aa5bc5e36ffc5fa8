"""The numbers in nginx's file and in the units against those of the ingress and of Twilio they depend on."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from ingress.callback_url import CONNECTION_OVERRIDES, EVENTS_PATH, INBOUND_PATH, STATUS_PATH, VOICE_PATH
from ingress.config import LONGEST_ACK_TIMEOUT_S
from ingress.server import KEEP_ALIVE_S, MOST_CONNECTIONS
from notifystream.settings import Settings
from tests.deploy.nginx import CONFIGURATION
from tests.servers import ROOT

NGINX = CONFIGURATION.read_text()
UNIT = (ROOT / "deploy" / "systemd" / "notifystream-ingress.service").read_text()
# Event Streams take no overrides (twilio.com/docs/events/webhook-quickstart).
EVENT_STREAMS_WAIT_S = 5.0


def number(pattern: str, text: str) -> float:
    (found,) = re.findall(pattern, text, re.M)
    return float(found)


def test_the_proxy_passes_on_exactly_the_routes_that_the_ingress_has() -> None:
    routes = re.findall(r"location = (\S+) \{(?:(?!location).)*?proxy_pass", NGINX, re.S)
    assert sorted(routes) == sorted([STATUS_PATH, INBOUND_PATH, VOICE_PATH, EVENTS_PATH])


def test_the_proxy_waits_longer_than_the_ingress_and_shorter_than_twilio() -> None:
    (told,) = parse_qs(CONNECTION_OVERRIDES)["rt"]
    waits_s = number(r"^    proxy_read_timeout (\d+)ms;", NGINX) / 1000
    assert LONGEST_ACK_TIMEOUT_S < waits_s < float(told) / 1000


def test_the_proxy_waits_for_events_longer_than_the_default_deadline_and_shorter_than_their_sender() -> None:
    waits_s = number(r"^        proxy_read_timeout (\d+)ms;", NGINX) / 1000
    assert Settings.model_fields["ingress_ack_timeout_s"].default < waits_s < EVENT_STREAMS_WAIT_S


def test_the_proxy_lets_an_idle_connection_go_before_the_ingress_does() -> None:
    assert number(r"^upstream(?:.|\n)*?keepalive_timeout (\d+)s;", NGINX) < KEEP_ALIVE_S


def test_the_proxy_turns_callers_away_before_the_ingress_has_to() -> None:
    assert number(r"limit_conn notifystream_open (\d+);", NGINX) < MOST_CONNECTIONS


def test_the_proxy_calls_the_port_that_the_ingress_listens_on_by_default() -> None:
    fields = Settings.model_fields
    assert f"server {fields['ingress_host'].default}:{fields['ingress_port'].default};" in NGINX


def test_the_service_manager_gives_the_ingress_the_time_its_end_may_take() -> None:
    # Requests under way, then what the broker has not acknowledged; a few seconds for the journal.
    assert number(r"^TimeoutStopSec=(\d+)$", UNIT) > 2 * LONGEST_ACK_TIMEOUT_S + 10


def test_the_ingress_may_open_as_many_files_as_it_takes_connections() -> None:
    assert number(r"^LimitNOFILE=(\d+)$", UNIT) > 2 * MOST_CONNECTIONS
