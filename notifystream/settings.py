"""All settings of all commands: one table, each with type, default, unit and help.

Read from the environment; what is not there, from the env file of a running sandbox (`envfile`), so that
every command finds it by itself. Processors never import this module: each gets its own small configuration
object.
"""

from socket import gethostname

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", env_file_encoding="utf-8")

    # Kafka
    kafka_bootstrap_servers: str | None = Field(
        None, description="Kafka brokers.", examples=["kafka-1:9092,kafka-2:9092"]
    )
    kafka_security_protocol: str = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: str | None = Field(None, description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    kafka_sasl_username: str | None = Field(None, description="User at the broker.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Its password.")
    kafka_ssl_ca_location: str | None = Field(
        None, description="PEM file of the authority that signed the brokers."
    )
    schema_registry_url: str | None = Field(
        None, description="Confluent-compatible schema registry.", examples=["http://registry:8081"]
    )

    # ClickHouse
    clickhouse_url: str | None = Field(
        None,
        description="ClickHouse over HTTP.",
        examples=["http://user:password@clickhouse:8123/notifications"],
    )
    clickhouse_cluster: str | None = Field(
        None,
        description="Cluster (of remote_servers) whose replicas hold the tables; one server when not set. "
        "The servers need Keeper and the macros shard and replica.",
        examples=["notifications"],
        pattern=r"^[A-Za-z0-9_.-]+$",
    )
    pii_hash_key: SecretStr | None = Field(
        None,
        description="Key of the hash that stands for a phone number in ClickHouse: 32 random bytes in hex, "
        "as of `openssl rand -hex 32`. Keep it: with another one the same number is another hash.",
        examples=["$(openssl rand -hex 32)"],
    )
    pii_hash_key_previous: SecretStr | None = Field(
        None,
        description="The key before it, while it is being changed: `notifystream carriers` links the hashes "
        "of both, and erasing looks for both. Not after a key has leaked.",
    )

    # Twilio
    twilio_account_sid: str | None = Field(
        None, description="Account that sends.", examples=["AC" + "0" * 32]
    )
    twilio_auth_token: SecretStr | None = Field(None, description="Primary auth token: verifies webhooks.")
    twilio_auth_token_next: SecretStr | None = Field(
        None, description="Second token accepted during a rotation."
    )
    twilio_api_key_sid: str | None = Field(
        None, description="API key for sending; the auth token is used without.", examples=["SK" + "0" * 32]
    )
    twilio_api_key_secret: SecretStr | None = Field(None, description="Its secret.")
    twilio_api_url: str = Field("https://api.twilio.com", description="Base URL of the REST API.")
    twilio_region: str | None = Field(
        None,
        description="Region that handles the messages; API keys and tokens are those of the region. Only "
        "with Twilio's own base URL.",
        examples=["ie1"],
        pattern=r"^[a-z0-9-]+$",
    )
    twilio_edge: str | None = Field(
        None,
        description="Edge location at which its network is entered; only with Twilio's own base URL.",
        examples=["dublin"],
        pattern=r"^[a-z0-9-]+$",
    )
    twilio_check_media: bool = Field(
        False,
        description="Ask whoever has a message's media for their type and size before it is sent; a URL that "
        "leads to a private address is not asked.",
    )
    twilio_from: str | None = Field(
        None,
        description="Default sender: E.164, short code or Messaging Service (MG…).",
        examples=["+14155550100"],
    )
    twilio_accounts_file: str | None = Field(
        None,
        description="YAML: more accounts whose webhooks are taken, each with its SID, tokens, tenant and "
        "public URL; read again when it changes.",
        examples=["accounts.yaml"],
    )
    public_base_url: str | None = Field(
        None,
        description="How Twilio reaches the ingress: scheme, host, port.",
        examples=["https://hooks.example.com"],
    )
    sender_tenants: dict[str, str] = Field(
        {},
        description="JSON: tenant by sender address; a sender not named is shared by all tenants.",
        examples=['{"+14155550100": "acme"}'],
    )

    # Ingress
    ingress_host: str = Field("127.0.0.1", description="Address the ingress listens on.")
    ingress_port: int = Field(8080, description="Port the ingress listens on.", ge=0, le=65535)
    ingress_ack_timeout_s: float = Field(
        2.0, description="Seconds to wait for the broker before a webhook goes to the journal.", gt=0, le=5
    )
    ingress_workers: int = Field(1, description="Processes that take webhooks in.", ge=1, le=64)
    ingress_journal_dir: str = Field(
        ".notifystream/ingress",
        description="Directory for what is accepted while the broker is away: on a disk that outlives a "
        "restart.",
    )
    ingress_journal_max_mb: int = Field(
        1024, description="Megabytes the journal may hold; beyond, webhooks are answered 503.", ge=1
    )
    ingress_answers_file: str | None = Field(
        None, description="YAML: what inbound messages are answered.", examples=["answers.yaml"]
    )
    ingress_trusted_proxies: str = Field(
        "",
        description="Proxies whose X-Forwarded-* and Forwarded headers count: addresses or networks, with "
        "commas between; none when empty.",
        examples=["10.0.0.5,10.1.0.0/16"],
    )
    ingress_local: bool = Field(
        False, description="Allow an http:// PUBLIC_BASE_URL (a machine nobody else reaches)."
    )

    # Streams
    default_region: str | None = Field(
        None, description="ISO country of recipients written without +.", examples=["US"]
    )
    templates_file: str | None = Field(
        None, description="YAML: template name → locale → text.", examples=["templates.yaml"]
    )
    streams_health_port: int | None = Field(
        None,
        description="Port for /healthz, 503 once the process gets on with nothing; none without.",
        ge=0,
        le=65535,
    )
    streams_health_host: str = Field("127.0.0.1", description="Address /healthz is served on.")
    streams_policy_file: str | None = Field(
        None,
        description="YAML: what each tenant decides: quiet hours, caps, chains, retries, senders, prices.",
        examples=["policy.yaml"],
    )
    command_ttl_s: float = Field(
        14_400.0,
        description="Seconds a command may wait for its turn (less than the journal's 7 days).",
        gt=0,
        le=259_200,
    )
    admission_again_s: float = Field(
        60.0, description="Seconds after which an unanswered admission check is asked again.", gt=0
    )
    quiet_after_s: float = Field(
        900.0, description="Seconds without news before the provider is asked.", gt=0
    )
    unconfirmed_after_s: float = Field(
        259_200.0, description="Seconds after which a message without an end is unconfirmed (72 h).", gt=0
    )
    price_after_s: float | None = Field(
        None,
        description="Seconds after its end before the provider is asked what a message cost, one request a "
        "message; up to three, later and later, while it has no price. Never when left out.",
        gt=0,
        le=86_400,
    )

    # Outbound
    sender_rate: float = Field(1.0, description="Segments per second and sender.", gt=0)
    sender_burst: float = Field(1.0, description="Segments a sender may send at once after a pause.", ge=1)
    outbound_concurrency: int = Field(128, description="API calls in flight per process.", ge=1, le=1000)
    twilio_connect_timeout_s: float = Field(3.0, description="Seconds to connect to the API.", gt=0)
    twilio_read_timeout_s: float = Field(10.0, description="Seconds to wait for the API's answer.", gt=0)
    call_window_s: float = Field(
        5.0, description="Seconds after its journal entry in which a call may begin; not made later.", gt=0
    )
    settle_after_s: float = Field(
        120.0,
        description="Seconds after a call before absence at the provider is proof; more than the call window "
        "and both time-outs together.",
        gt=0,
    )
    hold_after_s: float = Field(
        3600.0, description="Seconds of doubt after which a command is held for a person.", gt=0
    )
    fetches_per_s: float = Field(
        10.0, description="Messages that went quiet the provider is asked about, per second at most.", gt=0
    )

    outbound_health_port: int | None = Field(
        None,
        description="Port for /healthz, 503 once the process gets on with nothing; none without.",
        ge=0,
        le=65535,
    )
    outbound_health_host: str = Field("127.0.0.1", description="Address /healthz is served on.")

    # Analytics
    analytics_batch_rows: int = Field(50_000, description="Kafka records per batch at most.", ge=1)
    analytics_batch_bytes: int = Field(
        64 * 1024 * 1024,
        description="Bytes of their keys and values per batch, exceeded by one fetch at most: what a process "
        "holds while ClickHouse is away.",
        ge=1,
    )
    analytics_batch_s: float = Field(1.0, description="Seconds until a smaller batch is inserted.", gt=0)
    analytics_retention_days: dict[str, int] = Field(
        {},
        description="JSON: days by table, 0 for ever; a table not named keeps the retention it has. Applied "
        "by the analytics service when it starts and by `notifystream analytics migrate`.",
        examples=['{"status_events": 30, "messages": 800}'],
    )
    analytics_number_tenants: list[str] = Field(
        [],
        description="JSON: tenants that opted in to having the numbers of their recipients in ClickHouse, in "
        "a table of its own for 30 days; `notifystream carriers` keeps it. None by default.",
        examples=['["acme"]'],
    )

    # Carriers
    carrier_lookups_per_month: int = Field(
        0,
        description="Look-ups of carriers at the provider, per calendar month (UTC) and all processes "
        "together; never exceeded. None when 0.",
        ge=0,
    )
    carrier_lookups_per_s: float = Field(
        5.0, description="Look-ups per second and process at most.", gt=0, le=100
    )
    carrier_lookup_days: int = Field(
        90, description="Days after which a number is asked again.", ge=1, le=150
    )
    twilio_lookups_url: str | None = Field(
        None,
        description="Base URL of the Lookup API; Twilio's own when left out, or TWILIO_API_URL where that is "
        "not Twilio's own.",
        examples=["https://lookups.twilio.com"],
    )

    # Route health
    health_every_s: float = Field(60.0, description="Seconds from one look at the routes to the next.", ge=1)
    health_window_s: float = Field(900.0, description="Seconds of messages a look judges by.", gt=0)
    health_grace_s: float = Field(
        300.0, description="Seconds a message has to be delivered before it counts against its route.", gt=0
    )
    health_baseline_s: float = Field(
        86_400.0, description="Seconds before the window a route is compared with.", gt=0
    )
    health_least: int = Field(
        30, description="Messages in a window below which nothing is said; 50 for down.", ge=1, le=50
    )

    # All
    log_format: str = Field("console", description="console or json.")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    metrics_port: int | None = Field(
        None, description="Port for Prometheus metrics; none without.", ge=0, le=65535
    )
    metrics_host: str = Field("127.0.0.1", description="Address the metrics are served on.")
    worker_instance: str = Field(
        default_factory=gethostname,
        description="Name of this process among its kind (streams, outbound): different for each, the same "
        "after a restart, so that it takes its partitions back at once. The host's name when not set.",
        examples=["notifystream-streams-2"],
    )
    session_timeout_s: float = Field(
        10.0, description="Seconds until the work of a killed process is given to another one.", ge=6, le=300
    )
    faust_datadir: str = Field(
        ".notifystream/faust", description="Directory for the stream processors' local state."
    )
