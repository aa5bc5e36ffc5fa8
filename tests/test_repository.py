"""Rules of the repository that no tool checks: what is pinned, where things live, what must not get in."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text()
LAYOUT = {
    ".ci", "bench", "deploy", "ingress", "notifystream", "sandbox", "schemas", "sinks", "streams", "tests",
}  # fmt: skip
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc"}


def in_git() -> list[Path]:
    """Every file of the repository, as git sees it: committed or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    files = [Path(name) for name in listed.stdout.split("\0") if name]
    return [path for path in files if (ROOT / path).is_file()]


def requirements(lock: str) -> dict[str, str]:
    """The lock's entries by `name==version`, each joined into one line."""
    joined = re.sub(r"\s*\\\n\s*", " ", lock)
    lines = [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]
    return {line.split(" ", 1)[0]: line for line in lines}


def test_the_lock_pins_every_package_to_one_version_and_its_hashes() -> None:
    entries = requirements(LOCK)
    assert len(entries) > 50
    assert [
        name
        for name, entry in entries.items()
        if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==\S+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+", entry)
    ] == []


def test_the_lock_names_no_place_to_install_from() -> None:
    assert re.findall(r"https?://\S+|--(?:extra-)?index-url|--find-links|--trusted-host", LOCK) == []


def test_the_lock_holds_every_dependency_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [
        *project["dependencies"],
        *(d for extra in project["optional-dependencies"].values() for d in extra),
    ]
    locked = {canonical(name.split("==")[0]) for name in requirements(LOCK)}
    assert {canonical(re.split(r"[<>=!~ ;]", name)[0]) for name in named} - locked == set()


def canonical(name: str) -> str:
    """A package's name as PEP 503 compares it, without extras."""
    return re.sub(r"[-_.]+", "-", name.split("[")[0]).lower()


def test_every_top_level_folder_is_one_of_the_layout() -> None:
    assert {path.parts[0] for path in in_git() if len(path.parts) > 1} - LAYOUT == set()


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [path for path in in_git() if path.suffix in ("", ".py") and path.stem in VAGUE] == []
    assert [path for path in in_git() if VAGUE & set(path.parts[:-1])] == []


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    # Written apart, or this file would be the first to be found.
    somebodys = re.compile(r"(?<![\w.$}])/(?:" + "|".join(("home", "root", "Users", "work")) + r")/\w")
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path in in_git()
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if somebodys.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("secret", [r"AC[0-9a-f]{32}", r"SK[0-9a-f]{32}"], ids=["account", "key"])
def test_no_file_holds_what_looks_like_a_real_twilio_identifier(secret: str) -> None:
    # One that somebody made up repeats itself; a real one is random and has most hex digits.
    found = {
        f"{path}: {match}"
        for path in in_git()
        for match in re.findall(rf"\b{secret}\b", (ROOT / path).read_text(errors="replace"))
        if len(set(match[2:])) > 10 and not re.search(r"0123456789|(.)\1{3}|abcdef", match)
    }
    assert found == set()


def test_the_licence_is_the_one_that_the_project_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert (ROOT / "LICENSE").read_text().startswith(f"{declared} License")
