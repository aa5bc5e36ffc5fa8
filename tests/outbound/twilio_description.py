"""Twilio's own description of its API (twilio-oai), and whether a captured request keeps to it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from jsonschema import Draft4Validator, FormatChecker
from jsonschema.exceptions import ValidationError

_HEAD = re.compile(r"(GET|POST|DELETE) (\S+) HTTP/1\.1\r\n")
_PHONE_NUMBER = re.compile(r"(?:(?:whatsapp|rcs):)?(?:\+[1-9][0-9]{1,14}|[A-Za-z0-9 &_+-]{1,34})")
_BOOLEANS = {"true": True, "false": False}
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("phone-number")
def _is_address(value: object) -> bool:
    return isinstance(value, str) and _PHONE_NUMBER.fullmatch(value) is not None


@_FORMATS.checks("uri")
def _is_uri(value: object) -> bool:
    return isinstance(value, str) and bool(urlsplit(value).scheme and urlsplit(value).netloc)


class NotInTheDescription(AssertionError):
    """A request that Twilio's description does not know."""


class Description:
    """`check` raises NotInTheDescription or ValidationError for a request that is not Twilio's."""

    def __init__(self, loaded: dict[str, Any]) -> None:
        self._components = loaded["components"]
        self._paths = {path: item for path, item in loaded["paths"].items() if "/Messages" in path}

    def check(self, head: str, form: dict[str, list[str]]) -> str:
        """The path template and method of the operation that the request is."""
        found = _HEAD.match(head)
        assert found is not None, head
        method, target = found[1].lower(), urlsplit(found[2])
        for template, item in self._paths.items():
            values = _match(template, target.path)
            if values is not None and method in item and self._path_fits(item[method], values):
                self._check_query(item[method], parse_qs(target.query, keep_blank_values=True))
                self._check_form(item[method], form)
                return f"{method} {template}"
        raise NotInTheDescription(f"{method} {target.path}")

    def _path_fits(self, operation: dict[str, Any], values: dict[str, str]) -> bool:
        described = {each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "path"}
        return set(described) == set(values) and all(
            self._validator(described[name]).is_valid(value) for name, value in values.items()
        )

    def _check_query(self, operation: dict[str, Any], query: dict[str, list[str]]) -> None:
        described = {
            each["name"]: each["schema"] for each in operation["parameters"] if each["in"] == "query"
        }
        self._check_all(described, query)

    def _check_form(self, operation: dict[str, Any], form: dict[str, list[str]]) -> None:
        described: dict[str, Any] = {}
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
            described = schema["properties"]
            if missing := set(schema.get("required", ())) - set(form):
                raise NotInTheDescription(f"without {missing}")
        self._check_all(described, form)

    def _check_all(self, described: dict[str, Any], given: dict[str, list[str]]) -> None:
        if unknown := set(given) - set(described):
            raise NotInTheDescription(f"parameters {unknown}")
        for name, texts in given.items():
            schema = self._resolved(described[name])
            self._validator(schema).validate(_value(schema.get("type", "string"), texts, name))

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in schema:
            return schema
        resolved: dict[str, Any] = self._components["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return resolved

    def _validator(self, schema: dict[str, Any]) -> Draft4Validator:
        return Draft4Validator(schema, format_checker=_FORMATS)


def _match(template: str, path: str) -> dict[str, str] | None:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+?)", template.replace(".", r"\."))
    found = re.fullmatch(pattern, unquote(path))
    return found.groupdict() if found is not None else None


def _value(kind: str, texts: list[str], name: str) -> object:
    """What a form's text stands for; a text that stands for nothing of the kind stays one, and is refused."""
    if kind == "array":
        return texts
    if len(texts) != 1:
        raise ValidationError(f"{name} is given {len(texts)} times")
    [text] = texts
    if kind == "boolean":
        return _BOOLEANS.get(text, text)
    if kind == "integer" and re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return text


def description() -> Description:
    """Twilio's own; skips the test when TWILIO_OPENAPI_DIR does not say where it is."""
    folder = os.environ.get("TWILIO_OPENAPI_DIR")
    if not folder:
        pytest.skip("TWILIO_OPENAPI_DIR is not set: the folder that holds twilio_api_v2010.subset.json")
    return Description(json.loads((Path(folder) / "twilio_api_v2010.subset.json").read_text()))
