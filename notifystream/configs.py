"""From settings to each service's own configuration object: the one place that knows both sides.

Guarantees: a missing setting ends the command with its name, purpose and an example, before anything starts;
a value the service refuses ends it with what the service says. Secrets are revealed here and nowhere else.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from notifystream.connections import kafka
from notifystream.console import WRONG_USE, fail, require
from notifystream.settings import Settings

if TYPE_CHECKING:
    from ingress.config import IngressConfig
    from sinks.analytics.cluster import Layout
    from sinks.analytics.config import AnalyticsConfig
    from sinks.carriers.config import CarriersConfig, LookupConfig
    from sinks.health.config import HealthConfig
    from sinks.outbound.config import OutboundConfig
    from streams.config import StreamsConfig
    from streams.policy import Policies


def ingress(chosen: Settings) -> "IngressConfig":
    from ingress.accounts_file import AccountsFile
    from ingress.config import IngressConfig
    from ingress.errors import ConfigError
    from ingress.forwarded import TrustedProxies

    broker = kafka(chosen)
    # With an accounts file all accounts may be in there.
    own = () if chosen.twilio_accounts_file else ("twilio_account_sid", "twilio_auth_token")
    registry, public, *_ = require(chosen, "schema_registry_url", "public_base_url", *own)
    try:
        config = IngressConfig(
            kafka=broker,
            schema_registry_url=registry,
            public_base_url=public,
            tokens=_tokens(chosen),
            accounts_file=_path(chosen.twilio_accounts_file),
            trusted_proxies=TrustedProxies.parse(chosen.ingress_trusted_proxies),
            sender_tenants=chosen.sender_tenants,
            answers_file=_path(chosen.ingress_answers_file),
            ack_timeout_s=chosen.ingress_ack_timeout_s,
            journal_dir=Path(chosen.ingress_journal_dir),
            journal_max_mb=chosen.ingress_journal_max_mb,
            workers=chosen.ingress_workers,
            host=chosen.ingress_host,
            port=chosen.ingress_port,
            metrics_host=chosen.metrics_host,
            metrics_port=chosen.metrics_port,
            local=chosen.ingress_local,
        )
        AccountsFile(config)  # refuses here what it would refuse when the service starts
    except ConfigError as wrong:
        fail(str(wrong), WRONG_USE)
    return config


def streams(chosen: Settings) -> "StreamsConfig":
    import msgspec

    from streams.config import StreamsConfig
    from streams.delivery import DeliveryPolicy
    from streams.intake import IntakePolicy
    from streams.templates import load_templates

    broker = kafka(chosen)
    registry, sender = require(chosen, "schema_registry_url", "twilio_from")
    policies = _policies(chosen)
    try:
        templates = load_templates(chosen.templates_file)
    except (OSError, msgspec.MsgspecError) as wrong:
        fail(f"TEMPLATES_FILE {chosen.templates_file} cannot be used: {wrong}", WRONG_USE)
    return StreamsConfig(
        kafka=broker,
        schema_registry_url=registry,
        delivery=DeliveryPolicy(
            default_sender=sender,
            command_ttl_ms=_ms(chosen.command_ttl_s),
            admission_again_ms=_ms(chosen.admission_again_s),
            quiet_after_ms=_ms(chosen.quiet_after_s),
            unconfirmed_after_ms=_ms(chosen.unconfirmed_after_s),
            price_after_ms=_ms(chosen.price_after_s) if chosen.price_after_s is not None else None,
        ).refined(policies),
        intake=IntakePolicy(
            default_region=chosen.default_region,
            templates=templates,
            policies=policies,
            default_sender=sender,
        ),
        datadir=chosen.faust_datadir,
        instance=chosen.worker_instance,
        session_timeout_s=chosen.session_timeout_s,
        health_host=chosen.streams_health_host,
        health_port=chosen.streams_health_port,
    )


def _policies(chosen: Settings) -> "Policies":
    """Also the sink needs them: which senders share a person's consent."""
    from streams.policy import PolicyError, load_policy

    try:
        return load_policy(chosen.streams_policy_file)
    except PolicyError as wrong:
        fail(f"STREAMS_POLICY_FILE: {wrong}", WRONG_USE)


def outbound(chosen: Settings) -> "OutboundConfig":
    from sinks.outbound.config import OutboundConfig, TwilioAccount, UnsafeSettings
    from streams.config import APP_ID

    broker = kafka(chosen)
    registry, account, public = require(
        chosen, "schema_registry_url", "twilio_account_sid", "public_base_url"
    )
    if chosen.twilio_api_key_sid:
        username, password = require(chosen, "twilio_api_key_sid", "twilio_api_key_secret")
    else:
        username, password = require(chosen, "twilio_account_sid", "twilio_auth_token")
    try:
        return OutboundConfig(
            kafka=broker,
            schema_registry_url=registry,
            twilio=TwilioAccount(
                account_sid=account,
                username=username,
                password=password,
                api_url=chosen.twilio_api_url,
                region=chosen.twilio_region,
                edge=chosen.twilio_edge,
                check_media=chosen.twilio_check_media,
                connect_timeout_s=chosen.twilio_connect_timeout_s,
                read_timeout_s=chosen.twilio_read_timeout_s,
            ),
            public_base_url=public,
            streams_group=APP_ID,
            sender_rate=chosen.sender_rate,
            sender_burst=chosen.sender_burst,
            concurrency=chosen.outbound_concurrency,
            call_window_s=chosen.call_window_s,
            settle_after_s=chosen.settle_after_s,
            hold_after_s=chosen.hold_after_s,
            fetches_per_s=chosen.fetches_per_s,
            instance=chosen.worker_instance,
            session_timeout_s=chosen.session_timeout_s,
            health_host=chosen.outbound_health_host,
            health_port=chosen.outbound_health_port,
            policies=_policies(chosen),
        )
    except UnsafeSettings as wrong:
        fail(str(wrong), WRONG_USE)


def analytics(chosen: Settings) -> "AnalyticsConfig":
    from sinks.analytics.config import AnalyticsConfig

    broker = kafka(chosen)
    registry, clickhouse, key = require(chosen, "schema_registry_url", "clickhouse_url", "pii_hash_key")
    try:
        return AnalyticsConfig(
            kafka=broker,
            schema_registry_url=registry,
            clickhouse_url=clickhouse,
            pii_hash_key=key.encode(),
            batch_rows=chosen.analytics_batch_rows,
            batch_bytes=chosen.analytics_batch_bytes,
            batch_s=chosen.analytics_batch_s,
            layout=layout(chosen),
        )
    except ValueError as wrong:
        fail(str(wrong), WRONG_USE)


def layout(chosen: Settings) -> "Layout":
    """How the tables differ from the files; what migrates them needs nothing else but the URL."""
    from sinks.analytics.cluster import Layout

    try:
        return Layout(cluster=chosen.clickhouse_cluster, retention_days=chosen.analytics_retention_days)
    except ValueError as wrong:
        fail(f"ANALYTICS_RETENTION_DAYS or CLICKHOUSE_CLUSTER: {wrong}", WRONG_USE)


def health(chosen: Settings) -> "HealthConfig":
    from sinks.health.config import HealthConfig
    from sinks.health.decide import Policy

    broker = kafka(chosen)
    registry, clickhouse = require(chosen, "schema_registry_url", "clickhouse_url")
    try:
        return HealthConfig(
            kafka=broker,
            schema_registry_url=registry,
            clickhouse_url=clickhouse,
            policy=Policy(
                window_ms=_ms(chosen.health_window_s),
                grace_ms=_ms(chosen.health_grace_s),
                baseline_ms=_ms(chosen.health_baseline_s),
                least=chosen.health_least,
            ),
            every_ms=_ms(chosen.health_every_s),
        )
    except ValueError as wrong:
        fail(str(wrong), WRONG_USE)


def carriers(chosen: Settings) -> "CarriersConfig":
    from sinks.carriers.config import CarriersConfig

    broker = kafka(chosen)
    registry, clickhouse, key = require(chosen, "schema_registry_url", "clickhouse_url", "pii_hash_key")
    previous = chosen.pii_hash_key_previous
    try:
        return CarriersConfig(
            kafka=broker,
            schema_registry_url=registry,
            clickhouse_url=clickhouse,
            pii_hash_key=key.encode(),
            pii_hash_key_previous=previous.get_secret_value().encode() if previous is not None else None,
            lookups=_lookups(chosen) if chosen.carrier_lookups_per_month else None,
            number_tenants=frozenset(chosen.analytics_number_tenants),
        )
    except ValueError as wrong:
        fail(str(wrong), WRONG_USE)


def _lookups(chosen: Settings) -> "LookupConfig":
    from sinks.carriers.config import DAY_MS, LookupConfig
    from sinks.carriers.twilio_lookup import TWILIO_LOOKUPS
    from sinks.outbound.config import TWILIO_API, TwilioAccount

    account, username, password = _credentials(chosen)
    own = TWILIO_LOOKUPS if chosen.twilio_api_url.rstrip("/") == TWILIO_API else chosen.twilio_api_url
    return LookupConfig(
        account=TwilioAccount(
            account_sid=account,
            username=username,
            password=password,
            api_url=chosen.twilio_lookups_url or own,
            region=chosen.twilio_region,
            edge=chosen.twilio_edge,
            connect_timeout_s=chosen.twilio_connect_timeout_s,
            read_timeout_s=chosen.twilio_read_timeout_s,
        ),
        lookups_per_month=chosen.carrier_lookups_per_month,
        lookups_per_s=chosen.carrier_lookups_per_s,
        ask_again_after_ms=chosen.carrier_lookup_days * DAY_MS,
    )


def _credentials(chosen: Settings) -> tuple[str, str, str]:
    """The account, and who asks in its name."""
    (account,) = require(chosen, "twilio_account_sid")
    if chosen.twilio_api_key_sid:
        key, secret = require(chosen, "twilio_api_key_sid", "twilio_api_key_secret")
        return account, key, secret
    (token,) = require(chosen, "twilio_auth_token")
    return account, account, token


def _tokens(chosen: Settings) -> dict[str, tuple[str, ...]]:
    """The tokens of the account in the settings: none, one, or two during a rotation."""
    account, token, following = (
        chosen.twilio_account_sid,
        chosen.twilio_auth_token,
        chosen.twilio_auth_token_next,
    )
    if not account or token is None:
        return {}
    return {account: tuple(given.get_secret_value() for given in (token, following) if given is not None)}


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
