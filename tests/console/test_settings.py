"""How a command finds its settings, and what it says when it does not."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingress.config import IngressConfig
from ingress.forwarded import TrustedProxies
from notifystream import configs, envfile
from notifystream.settings import Settings
from schemas.clients import Kafka
from sinks.analytics.cluster import Layout
from sinks.analytics.config import AnalyticsConfig
from sinks.analytics.reports import ReportName
from sinks.analytics.schema_files import migrations
from tests.console.command_line import run


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_missing_setting_is_named_with_its_purpose_and_an_example(tmp_path: Path) -> None:
    ran = run("topics", "list", folder=tmp_path)
    assert ran.code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in ran.stderr
    assert "Kafka brokers." in ran.stderr
    assert "kafka-1:9092" in ran.stderr


def test_every_missing_setting_of_a_service_is_named_at_once(tmp_path: Path) -> None:
    ran = run("ingress", folder=tmp_path, env={"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})
    assert ran.code == 2
    for name in ("SCHEMA_REGISTRY_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "PUBLIC_BASE_URL"):
        assert f"{name} is not set" in ran.stderr


def test_a_setting_of_the_wrong_type_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    ran = run("topics", "list", folder=tmp_path, env={"SENDER_RATE": "fast"})
    assert ran.code == 2
    assert "SENDER_RATE" in ran.stderr
    assert "Segments per second and sender." in ran.stderr


def test_a_json_setting_that_is_not_json_is_refused_without_a_traceback(tmp_path: Path) -> None:
    ran = run("topics", "list", folder=tmp_path, env={"SENDER_TENANTS": "{acme"})
    assert ran.code == 2
    assert "sender_tenants" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_service_itself_may_refuse_a_value(tmp_path: Path) -> None:
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "secret-token",
        "PUBLIC_BASE_URL": "http://hooks.example.com",
    }
    ran = run("ingress", folder=tmp_path, env=env)
    assert ran.code == 2
    assert "INGRESS_LOCAL" in ran.stderr
    assert "secret-token" not in ran.stderr


def test_a_services_accounts_file_is_checked_before_it_starts(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text("- account_sid: AC1\n  auth_token: secret-token\n")
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "SCHEMA_REGISTRY_URL": "http://127.0.0.1:1",
        "TWILIO_ACCOUNTS_FILE": str(accounts),
        "PUBLIC_BASE_URL": "https://hooks.example.com",
    }
    ran = run("ingress", folder=tmp_path, env=env)
    assert ran.code == 2
    assert f"{accounts}, entry 1: account_sid" in ran.stderr.replace("\n", "")
    assert "secret-token" not in ran.stderr
    assert "Traceback" not in ran.stderr


def test_every_setting_of_the_ingress_reaches_it(tmp_path: Path) -> None:
    account, accounts = "AC" + "0" * 32, tmp_path / "accounts.yaml"
    accounts.write_text("[]")
    config = configs.ingress(
        Settings(  # type: ignore[call-arg]  # pydantic-settings knows the rest
            kafka_bootstrap_servers="127.0.0.1:1",
            schema_registry_url="http://127.0.0.1:2",
            twilio_account_sid=account,
            twilio_auth_token=SecretStr("one"),
            twilio_auth_token_next=SecretStr("two"),
            twilio_accounts_file=str(accounts),
            public_base_url="http://127.0.0.1:3",
            sender_tenants={"+14155550100": "acme"},
            ingress_host="127.0.0.2",
            ingress_port=4,
            ingress_ack_timeout_s=1.5,
            ingress_workers=2,
            ingress_journal_dir=str(tmp_path / "journal"),
            ingress_journal_max_mb=5,
            ingress_answers_file="answers.yaml",
            ingress_trusted_proxies="10.0.0.5",
            ingress_local=True,
            metrics_host="127.0.0.3",
            metrics_port=6,
        )
    )
    assert config == IngressConfig(
        kafka=Kafka(bootstrap_servers="127.0.0.1:1"),
        schema_registry_url="http://127.0.0.1:2",
        public_base_url="http://127.0.0.1:3",
        tokens={account: ("one", "two")},
        accounts_file=accounts,
        trusted_proxies=TrustedProxies.parse("10.0.0.5"),
        sender_tenants={"+14155550100": "acme"},
        answers_file=Path("answers.yaml"),
        ack_timeout_s=1.5,
        journal_dir=tmp_path / "journal",
        journal_max_mb=5,
        workers=2,
        host="127.0.0.2",
        port=4,
        metrics_host="127.0.0.3",
        metrics_port=6,
        local=True,
    )


def test_every_setting_of_the_analytics_sink_reaches_it() -> None:
    key = "0123456789abcdef0123456789abcdef"
    config = configs.analytics(
        Settings(
            kafka_bootstrap_servers="127.0.0.1:1",
            schema_registry_url="http://127.0.0.1:2",
            clickhouse_url="http://127.0.0.1:3/db",
            clickhouse_cluster="notifications",
            pii_hash_key=SecretStr(key),
            analytics_batch_rows=4,
            analytics_batch_bytes=5,
            analytics_batch_s=6.5,
            analytics_retention_days={"status_events": 7},
        )
    )
    assert config == AnalyticsConfig(
        kafka=Kafka(bootstrap_servers="127.0.0.1:1"),
        schema_registry_url="http://127.0.0.1:2",
        clickhouse_url="http://127.0.0.1:3/db",
        pii_hash_key=key.encode(),
        batch_rows=4,
        batch_bytes=5,
        batch_s=6.5,
        layout=Layout(cluster="notifications", retention_days={"status_events": 7}),
    )
    assert key not in repr(config)


def test_a_batch_is_by_default_what_the_sink_itself_takes_for_one() -> None:
    of_the_sink = {each.name: each.default for each in dataclasses.fields(AnalyticsConfig)}
    for name in ("batch_rows", "batch_bytes", "batch_s"):
        assert Settings.model_fields[f"analytics_{name}"].default == of_the_sink[name]


def test_an_unknown_log_format_is_refused(tmp_path: Path) -> None:
    ran = run("analytics", folder=tmp_path, env={"LOG_FORMAT": "xml"})
    assert ran.code == 2
    assert "LOG_FORMAT is 'xml'" in ran.stderr


def test_a_running_sandbox_is_found_from_a_folder_below(tmp_path: Path) -> None:
    path = tmp_path / envfile.DEFAULT_ENV_FILE
    envfile.write(path, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, os.getpid())
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    ran = run("send", "--tenant", "t", "--to", "+14155550123", "--body", "x", folder=below)
    assert "SCHEMA_REGISTRY_URL is not set" in ran.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" not in ran.stderr


def test_the_env_file_of_a_sandbox_that_ended_is_not_used(tmp_path: Path, dead_pid: int) -> None:
    path = tmp_path / envfile.DEFAULT_ENV_FILE
    envfile.write(path, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, dead_pid)
    ran = run("topics", "list", folder=tmp_path)
    assert ran.code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS is not set" in ran.stderr
    assert "has ended" in ran.stderr


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    path = tmp_path / envfile.DEFAULT_ENV_FILE
    envfile.write(path, {"LOG_FORMAT": "json"}, os.getpid())
    ran = run("analytics", folder=tmp_path, env={"LOG_FORMAT": "nonsense"})
    assert "LOG_FORMAT is 'nonsense'" in ran.stderr


def test_an_env_file_named_but_absent_is_an_error(tmp_path: Path) -> None:
    ran = run("topics", "list", folder=tmp_path, env={"NOTIFYSTREAM_ENV_FILE": "gone.env"})
    assert ran.code == 2
    assert "gone.env" in ran.stderr


def test_an_env_file_set_to_nothing_means_none(tmp_path: Path) -> None:
    envfile.write(tmp_path / envfile.DEFAULT_ENV_FILE, {"LOG_FORMAT": "json"}, os.getpid())
    assert envfile.find({"NOTIFYSTREAM_ENV_FILE": ""}, tmp_path) is None


def test_an_env_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.env"
    envfile.write(path, {"TWILIO_AUTH_TOKEN": "x"}, os.getpid())
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_env_file_means_the_same_to_a_shell(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.env"
    value = '{"+14155550100": "a $HOME `b`"}'
    envfile.write(path, {"SENDER_TENANTS": value}, os.getpid())
    script = f'set -a; . {path}; printf %s "$SENDER_TENANTS"'
    assert (
        subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout == value
    )
    assert Settings(_env_file=path).sender_tenants == {"+14155550100": "a $HOME `b`"}  # type: ignore[call-arg]


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_help_loads_neither_faust_nor_chdb_nor_the_sdk() -> None:
    probe = (
        "import sys\n"
        "from notifystream.cli import main\n"
        "code = main(['--help'])\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "heavy = loaded & {'faust', 'chdb', 'twilio', 'confluent_kafka', 'clickhouse_connect', 'uvicorn'}\n"
        "assert not heavy, heavy\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "demo", "sandbox", "ingress", "streams", "outbound", "analytics", "carriers", "health", "send",
        "tail", "report", "sql", "show", "routes", "topics apply", "topics list", "analytics migrate",
        "analytics backfill", "analytics erase",
    ],
)  # fmt: skip
def test_every_command_has_help_with_an_example(command: str, tmp_path: Path) -> None:
    ran = run(*command.split(), "--help", folder=tmp_path)
    assert ran.code == 0
    assert "Example" in ran.stdout
    assert f"notifystream {command}" in ran.stdout


def test_the_help_of_report_says_what_each_report_answers(tmp_path: Path) -> None:
    told = run("report", "--help", folder=tmp_path).stdout
    for name in ReportName:
        assert re.search(rf"^\W*{name}\s{{2,}}\w+", told, re.MULTILINE), name


def test_the_help_of_sql_names_views_that_there_are(tmp_path: Path) -> None:
    told = set(re.findall(r"^\W*(\w+)\s{2,}\w", run("sql", "--help", folder=tmp_path).stdout, re.MULTILINE))
    made = {view for each in migrations() for view in re.findall(r"CREATE OR REPLACE VIEW (\w+)", each.text)}
    # What only the reports and the service itself read.
    assert made - told == {"live_hours"}
