"""The API's answers are valid against Twilio's own description (twilio-oai, twilio_api_v2010)."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft4Validator

from sandbox.carrier.magic import Magic
from tests.sandbox.carrier.support import ACCOUNT, SENDER, SERVICE, TOKEN, Simulator

BASE = "/2010-04-01/Accounts/{AccountSid}/Messages"
Check = Callable[[str, str, str, requests.Response], None]


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0 to JSON Schema: `nullable` adds null to the types (and to the enum)."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    schema = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True and isinstance(node.get("type"), str):
        schema["type"] = [node["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    folder = os.environ.get("TWILIO_OPENAPI_DIR")
    if not folder:
        pytest.skip("TWILIO_OPENAPI_DIR is not set: the folder that holds twilio_api_v2010.subset.json")
    loaded: dict[str, Any] = json.loads((Path(folder) / "twilio_api_v2010.subset.json").read_text())
    return loaded


@pytest.fixture
def valid(description: dict[str, Any]) -> Check:
    def check(path: str, method: str, status: str, answer: requests.Response) -> None:
        assert answer.status_code == int(status), answer.text
        declared = description["paths"][path][method]["responses"][status]
        schema = as_json_schema(declared["content"]["application/json"]["schema"])
        schema["components"] = as_json_schema(description["components"])
        Draft4Validator(schema).validate(answer.json())
        assert_known_members(declared["content"]["application/json"]["schema"], description, answer.json())

    return check


def assert_known_members(schema: dict[str, Any], description: dict[str, Any], value: Any) -> None:
    """No member the description does not know, none of its members missing."""
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    if "properties" in schema:
        assert set(value) == set(schema["properties"])


def call(simulator: Simulator, method: str, path: str = "", **form: str) -> requests.Response:
    url = simulator.messages_url.removesuffix(".json") + path + ".json"
    return requests.request(method, url, data=form, auth=(ACCOUNT, TOKEN), timeout=10)


@pytest.mark.parametrize("sender", [{"From": SENDER}, {"MessagingServiceSid": SERVICE}])
@pytest.mark.parametrize("content", [{"Body": "hello"}, {"MediaUrl": "https://example.com/a.jpg"}])
def test_a_created_message_is_valid(
    simulator: Simulator, valid: Check, sender: dict[str, str], content: dict[str, str]
) -> None:
    answer = call(simulator, "POST", To=Magic.DELIVERED.number, **sender, **content)
    valid(BASE + ".json", "post", "201", answer)


@pytest.mark.parametrize("magic", [Magic.DELIVERED, Magic.FILTERED, Magic.FAILED, Magic.SILENT_LOST])
def test_a_finished_message_is_valid(simulator: Simulator, valid: Check, magic: Magic) -> None:
    sid = call(simulator, "POST", To=magic.number, From=SENDER, Body="hello").json()["sid"]
    simulator.settle_one(sid)
    valid(BASE + "/{Sid}.json", "get", "200", call(simulator, "GET", f"/{sid}"))


def test_a_redacted_message_is_valid(simulator: Simulator, valid: Check) -> None:
    sid = call(simulator, "POST", To=Magic.DELIVERED.number, From=SENDER, Body="hello").json()["sid"]
    simulator.settle_one(sid)
    valid(BASE + "/{Sid}.json", "post", "200", call(simulator, "POST", f"/{sid}", Body=""))


def test_a_page_and_each_of_its_messages_are_valid(simulator: Simulator, valid: Check) -> None:
    for number in range(3):
        call(simulator, "POST", To="+15555550166", From=SENDER, Body=str(number))
    for size in ("2", "1000"):
        url = simulator.messages_url
        query = {"To": "+15555550166", "PageSize": size}
        valid(BASE + ".json", "get", "200", requests.get(url, query, auth=(ACCOUNT, TOKEN), timeout=10))


def test_feedback_is_valid(simulator: Simulator, valid: Check) -> None:
    sid = call(simulator, "POST", To=Magic.DELIVERED.number, From=SENDER, Body="hello").json()["sid"]
    answer = call(simulator, "POST", f"/{sid}/Feedback", Outcome="confirmed")
    valid(BASE.replace("Messages", "Messages/{MessageSid}/Feedback.json"), "post", "200", answer)


def test_the_check_itself_refuses_a_wrong_answer(simulator: Simulator, description: dict[str, Any]) -> None:
    schema = {**as_json_schema(description["components"]["schemas"]["api.v2010.account.message"])}
    schema["components"] = as_json_schema(description["components"])
    right = call(simulator, "POST", To=Magic.DELIVERED.number, From=SENDER, Body="hello").json()
    validator = Draft4Validator(schema)
    assert validator.is_valid({**right, "error_code": None})
    assert not validator.is_valid({**right, "error_code": "30003"})
    assert not validator.is_valid({**right, "sid": "SM1"})
    assert not validator.is_valid({**right, "status": "gone"})


def test_headers_and_errors_look_like_twilios(simulator: Simulator) -> None:
    answer = call(simulator, "POST", From=SENDER, Body="hello")
    assert answer.json() == {
        "code": 21604,
        "message": "A 'To' phone number is required.",
        "more_info": "https://www.twilio.com/docs/errors/21604",
        "status": 400,
    }
    assert re.fullmatch(r"RQ[0-9a-f]{32}", answer.headers["Twilio-Request-Id"])
    assert int(answer.headers["Twilio-Concurrent-Requests"]) >= 1
    assert float(answer.headers["Twilio-Request-Duration"]) >= 0
