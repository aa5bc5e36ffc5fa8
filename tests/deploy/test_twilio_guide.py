"""`deploy/twilio.md` against the routes, the callback URL and Twilio's own description of its API."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ingress.account_entries import Source, parse_entries
from ingress.callback_url import CONNECTION_OVERRIDES, EVENTS_PATH, INBOUND_PATH, STATUS_PATH, VOICE_PATH
from tests.ingress.twilio_side import ACCOUNT, BASE, OTHER_ACCOUNT, TOKEN
from tests.servers import ROOT

GUIDE = (ROOT / "deploy" / "twilio.md").read_text()
README = (ROOT / "README.md").read_text()
# The resource behind a command, as the API names it.
OF_ACCOUNT = "/2010-04-01/Accounts/{AccountSid}"
RESOURCES = {
    "api:core:incoming-phone-numbers:update": f"{OF_ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json",
    "api:core:calls:create": f"{OF_ACCOUNT}/Calls.json",
}


@pytest.mark.parametrize("text", [GUIDE, README], ids=["twilio.md", "README.md"])
def test_every_url_to_set_is_a_route_with_the_overrides_of_our_own_callbacks(text: str) -> None:
    urls = re.findall(r"(?:hooks\.example\.com|\$PUBLIC_BASE_URL)(/twilio/\w+)#([^'\"`]+)", text)
    assert urls
    for path, overrides in urls:
        assert path in {STATUS_PATH, INBOUND_PATH, VOICE_PATH}  # Event Streams take none
        assert overrides == CONNECTION_OVERRIDES


def test_every_path_of_the_guide_is_a_route() -> None:
    named = set(re.findall(r"/twilio/[a-z]+", GUIDE))
    assert named == {STATUS_PATH, INBOUND_PATH, VOICE_PATH, EVENTS_PATH}


def test_the_accounts_file_of_the_guide_is_one_the_ingress_takes() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    for account in (ACCOUNT, OTHER_ACCOUNT):
        example = example.replace("AC…", account, 1)
    filled = example.replace("auth_token: …", f"auth_token: {TOKEN}")
    entries = parse_entries(filled.encode(), Source("guide", BASE, {}, local=False))
    assert [account.sid for account in entries.accounts] == [ACCOUNT, OTHER_ACCOUNT]


def test_every_option_of_a_command_is_a_parameter_of_the_api() -> None:
    folder = os.environ.get("TWILIO_OPENAPI_DIR")
    if not folder:
        pytest.skip("TWILIO_OPENAPI_DIR does not say where Twilio's OpenAPI descriptions are")
    api: dict[str, Any] = json.loads((Path(folder) / "twilio_api_v2010.subset.json").read_text())
    commands = re.findall(r"^twilio (api:core:\S+)((?:.*\\\n)*.*)$", GUIDE, re.M)
    assert {name for name, _ in commands} == set(RESOURCES)
    for name, rest in commands:
        form = api["paths"][RESOURCES[name]]["post"]["requestBody"]["content"][
            "application/x-www-form-urlencoded"
        ]
        options = set(re.findall(r"--([a-z-]+)", rest)) - {"sid"}
        parameters = {re.sub(r"(?<!^)([A-Z])", r"-\1", p).lower() for p in form["schema"]["properties"]}
        assert options - parameters == set()
