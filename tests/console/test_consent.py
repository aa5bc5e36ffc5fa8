"""`consent import`, `show` and `export`: from a file to the ledger and back, over the embedded broker."""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka import Producer

from notifystream.consent_rows import COLUMNS, Defaults, GoodRow, Row, rows, write
from notifystream.events import BadRow, moment
from schemas.clients import Kafka
from schemas.codec import Codec
from schemas.records import ConsentChange
from schemas.topics import Topic
from schemas.vocabulary import Consent, ConsentGroup
from streams.policy import DEFAULTS
from streams.recipients import decide
from streams.state import RecipientRow
from tests import servers
from tests.console.command_line import Ran, run

ANN, BEN = "+14155550123", "+4915123456789"
AT = "2026-05-01T09:00:00+00:00"
NOW = moment("2026-11-21T00:00:00Z")
HEADER = "recipient,tenant,group,state,at"


def file_of(ann: str, ben: str) -> str:
    return f"""{HEADER},sender,words,source
{ann},acme,sms,opted_out,{AT},,"stop, please",
{ben},*,whatsapp,opted_in,1790000000000,+14155550100,,
{ben},acme,sms,opted_out,2026-05-01T11:00:00+02:00,,,suppression
"""


FILE = file_of(ANN, BEN)


def read(text: str, tenant: str | None = None, source: str | None = None) -> list[Row]:
    defaults = Defaults(tenant=tenant, source=source, evidence="file.csv", now=NOW)
    return list(rows(io.StringIO(text, newline=""), defaults))


def changes(text: str, tenant: str | None = None, source: str | None = None) -> list[ConsentChange]:
    found = read(text, tenant, source)
    assert [row for row in found if isinstance(row, BadRow)] == []
    return [row.change for row in found if isinstance(row, GoodRow)]


def bad(text: str, tenant: str | None = None) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in read(text, tenant) if isinstance(row, BadRow)]


def test_a_line_is_a_change_with_the_file_as_its_evidence() -> None:
    first, second, third = changes(FILE)
    assert (first.tenant, first.recipient, first.sender) == ("acme", ANN, "")
    assert (first.state, first.at, first.words) == (Consent.OPTED_OUT, moment(AT), "stop, please")
    assert (first.source, first.evidence) == ("import", "file.csv")
    assert (second.channel_group, second.sender, second.tenant) == (
        ConsentGroup.WHATSAPP,
        "+14155550100",
        "*",
    )
    assert third.source == "suppression"
    assert third.at == first.at


def test_the_same_line_is_the_same_change_and_another_line_another() -> None:
    assert changes(FILE) == changes(FILE)
    assert len({each.change_id for each in changes(FILE)}) == 3


def test_an_option_counts_before_what_the_lines_say() -> None:
    assert {each.source for each in changes(FILE, source="import")} == {"import"}
    assert {each.source for each in changes(FILE, source="suppression")} == {"suppression"}


def test_a_tenant_may_be_given_for_lines_without_one() -> None:
    text = f"recipient,group,state,at\n{ANN},sms,opted_out,{AT}\n"
    assert changes(text, tenant="acme")[0].tenant == "acme"


def test_what_is_written_is_read_again() -> None:
    told = changes(FILE)
    out = io.StringIO()
    assert write(told, out) == 3
    again = changes(out.getvalue())
    assert again == told


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"0415 5550123,acme,sms,opted_out,{AT}", "recipient is no phone number"),
        (f"+1 415 555 0123,acme,sms,opted_out,{AT}", "recipient is not in E.164"),
        (f"+1415,acme,sms,opted_out,{AT}", "recipient is not in E.164"),
        (f"{ANN},,sms,opted_out,{AT}", "tenant must have"),
        (f"{ANN},acme,fax,opted_out,{AT}", "group 'fax' is unknown"),
        (f"{ANN},acme,sms,out,{AT}", "state 'out' is unknown"),
        (f"{ANN},acme,sms,opted_out,yesterday", "'yesterday' is not an ISO 8601 time"),
        (f"{ANN},acme,sms,opted_out,2026-05-01T09:00", "does not say its zone"),
        (f"{ANN},acme,sms,opted_out,2027-05-01T09:00Z", "in the future"),
        (f"{ANN},acme,sms,opted_out", "another number"),
    ],
)
def test_a_bad_line_is_told_with_its_number_and_keeps_no_other_from_being_read(line: str, why: str) -> None:
    text = f"{HEADER}\n{line}\n{BEN},acme,sms,opted_out,{AT}\n"
    ((number, reason),) = bad(text)
    assert number == 2
    assert why in reason
    assert [row.line for row in read(text) if isinstance(row, GoodRow)] == [3]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "is missing"),
        ("recipient,tenant,group,state", "column at is missing"),
        (f"{HEADER},colour", "unknown column colour"),
    ],
)
def test_a_header_that_cannot_be_used_ends_the_reading(header: str, why: str) -> None:
    ((number, reason),) = bad(f"{header}\n{ANN},acme,sms,opted_out,{AT}\n")
    assert number == 1
    assert why in reason


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A broker with its topics and a registry; each test here has people of its own."""
    folder = tmp_path_factory.mktemp("servers")
    with (
        servers.running("sandbox.broker", log=folder / "broker.log") as broker,
        servers.running("sandbox.registry", log=folder / "registry.log") as registry,
    ):
        found = {"KAFKA_BOOTSTRAP_SERVERS": broker.address, "SCHEMA_REGISTRY_URL": registry.address}
        assert run("topics", "apply", folder=folder, env=found).code == 0
        yield found


def consent(*arguments: str, folder: Path, env: Mapping[str, str]) -> Ran:
    ran = run("consent", *arguments, folder=folder, env=env)
    assert ran.code == 0, ran.stderr
    return ran


def handed_in(env: Mapping[str, str], folder: Path, *people: str) -> list[ConsentChange]:
    """What `consent.evidence` has of these people, in the order of each."""
    tail = run(
        "tail", Topic.CONSENT_EVIDENCE, "--from", "beginning", "--no-follow", "--json", "--show-numbers",
        folder=folder, env=env,
    )  # fmt: skip
    assert tail.code == 0, tail.stderr
    told = [json.loads(line) for line in tail.stdout.splitlines()]
    assert all(each["key"] == each["value"]["recipient"] for each in told)
    return [ConsentChange(**each["value"]) for each in told if each["key"] in people]


def decided(evidence: list[ConsentChange], env: Mapping[str, str]) -> int:
    """What the recipients processor makes of the evidence, written to `consent.changes`; how many that is."""
    codec, persons, written = Codec(env["SCHEMA_REGISTRY_URL"]), dict[str, RecipientRow](), 0
    producer = Producer(Kafka(bootstrap_servers=env["KAFKA_BOOTSTRAP_SERVERS"]).producer("tests"))
    for change in evidence:
        typed = codec.decode(codec.encode(Topic.CONSENT_EVIDENCE, change), ConsentChange)
        row, effects = decide(persons.get(typed.recipient), typed, NOW, DEFAULTS)
        persons[typed.recipient] = row
        for effect in effects:
            producer.produce(effect.topic, codec.encode(effect.topic, effect.record), effect.key.encode())
            written += 1
    assert producer.flush(30) == 0
    codec.close()
    return written


def test_what_is_imported_is_shown_and_exported(env: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(FILE)
    assert "3 changes written" in consent("import", "in.csv", folder=tmp_path, env=env).stderr
    evidence = handed_in(env, tmp_path, ANN, BEN)
    assert len(evidence) == 3
    assert decided(evidence, env) == 3

    shown = consent("show", ANN, folder=tmp_path, env=env).stdout
    assert "opted_out" in shown
    assert "stop, please" in shown
    assert ANN not in shown
    answer = json.loads(consent("show", BEN, "--json", folder=tmp_path, env=env).stdout)
    assert {each["source"] for each in answer["in_force"]} == {"import", "suppression"}
    only = json.loads(consent("show", BEN, "--tenant", "other", "--json", folder=tmp_path, env=env).stdout)
    assert [each["tenant"] for each in only["in_force"]] == ["*"]

    consent("export", "out.csv", folder=tmp_path, env=env)
    assert stat.S_IMODE((tmp_path / "out.csv").stat().st_mode) == 0o600
    exported = consent("export", "-", "--tenant", "acme", folder=tmp_path, env=env).stdout
    assert exported == (tmp_path / "out.csv").read_text()
    table = list(csv.DictReader(io.StringIO(exported)))
    assert tuple(table[0]) == COLUMNS
    assert {(each["recipient"], each["group"]) for each in table} == {
        (ANN, "sms"),
        (BEN, "sms"),
        (BEN, "whatsapp"),
    }


def test_an_import_of_the_same_file_changes_nothing(env: Mapping[str, str], tmp_path: Path) -> None:
    people = ("+14155550124", "+4915123456780")
    (tmp_path / "in.csv").write_text(file_of(*people))
    for _ in range(2):
        consent("import", "in.csv", folder=tmp_path, env=env)
    evidence = handed_in(env, tmp_path, *people)
    assert len(evidence) == 6
    assert decided(evidence, env) == 3


def test_a_bad_line_fails_the_import_and_the_good_ones_are_written(
    env: Mapping[str, str], tmp_path: Path
) -> None:
    ann, ben = people = ("+14155550125", "+4915123456781")
    wrong = f"{ann},acme,sms,opted_out,never,,,\n+99,acme,sms,opted_out,{AT},,,\n"
    (tmp_path / "in.csv").write_text(file_of(ann, ben) + wrong)
    ran = run("consent", "import", "in.csv", folder=tmp_path, env=env)
    assert ran.code == 1
    assert "2 not written" in ran.stderr
    assert "line 5: 'never' is not an ISO 8601 time" in ran.stderr
    assert "line 6: recipient" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(handed_in(env, tmp_path, *people)) == 3


def test_of_somebody_unknown_it_is_said_that_nothing_is_known(env: Mapping[str, str], tmp_path: Path) -> None:
    shown = consent("show", "+14155550126", folder=tmp_path, env=env).stdout
    assert "Nothing is known of +1415•••••26" in shown


def test_a_dry_run_needs_no_broker_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(FILE)
    ran = run("consent", "import", "in.csv", "--dry-run", folder=tmp_path)
    assert (ran.code, ran.stdout) == (0, "")
    assert "3 changes could be written; nothing was" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("show", "0415 5550123"), "recipient is no phone number"),
        (("import", "missing.csv"), "missing.csv cannot be read"),
        (("import", "in.csv", "--source", "hearsay"), "known are import, suppression"),
        (("show", ANN), "KAFKA_BOOTSTRAP_SERVERS is not set"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    (tmp_path / "in.csv").write_text(FILE)
    ran = run("consent", *arguments, folder=tmp_path)
    assert ran.code == 2
    assert why in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(f"{HEADER}\n".encode() + b"\xff\xfe,acme\n")
    ran = run("consent", "import", "in.csv", "--dry-run", folder=tmp_path)
    assert ran.code == 1
    assert "in.csv is not UTF-8" in ran.stderr


def test_a_file_that_cannot_be_written_is_told(env: Mapping[str, str], tmp_path: Path) -> None:
    ran = run("consent", "export", "missing/out.csv", folder=tmp_path, env=env)
    assert ran.code == 2
    assert "cannot be written" in ran.stderr
