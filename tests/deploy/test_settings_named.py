"""What `deploy/` and the README call a setting is one, so that nobody sets what nothing reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from notifystream.settings import Settings
from tests.servers import ROOT

SETTINGS = {name.upper() for name in Settings.model_fields}
DOCUMENTS = [
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
]
# Looks like a setting and is somebody else's, or a variable of an example.
NOT_OURS = {
    "AF_INET",
    "AF_INET6",
    "AF_UNIX",
    "SASL_SSL",
    "ACME_AUTH_TOKEN",
}
NAME = re.compile(r"(?<![\w.$/%-])\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?![\w-])")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_a_document_names_exists(document: Path) -> None:
    assert set(NAME.findall(document.read_text())) - SETTINGS - NOT_OURS == set()


def test_every_setting_of_the_ingress_is_explained_in_the_readme() -> None:
    of_the_ingress = {name for name in SETTINGS if name.startswith("INGRESS_")}
    named = set(NAME.findall((ROOT / "README.md").read_text()))
    assert of_the_ingress - named == set()
