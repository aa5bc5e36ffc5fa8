"""What is out of the ordinary, each with its evidence: what to look at before anybody asks.

Guarantees: a finding says what was counted, against what, and how sure that is; comparisons are with the same
hours of four earlier weeks and need both Wilson intervals apart, so that small counts raise no alarm.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sinks.analytics.error_meanings import meaning_of
from sinks.analytics.facts import ATTEMPTS
from sinks.analytics.reports.figures import figures
from sinks.analytics.reports.filtering import EARLIER_WEEKS, WEEK_MS, counted, rising
from sinks.analytics.reports.statistics import share
from sinks.analytics.reports.table import Asked, Report, Value, Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# The pipeline's own deadlines are hours; what is open after this has none.
STUCK_AFTER_H = 72

Finding = tuple[str, str, int, str, str]


def anomalies(client: "Client", asked: Asked) -> Report:
    """Kind, where, how many, the evidence, and what to look at next. Empty is good news."""
    window = Window(asked.window.since, min(asked.window.until, asked.now), asked.window.tenant)
    found = [*_by_carrier(client, window), *_stuck(client, window, asked.now), *_held(client, window)]
    if window.tenant is None:
        # These records name no tenant.
        found += [*_strangers(client, window), *_dead_letters(client, window)]
    found.sort(key=lambda row: (row[0], -row[2], row[1]))
    rows: list[tuple[Value, ...]] = list(found)
    return Report("Anomalies", ("kind", "where", "count", "evidence", "look_at"), tuple(rows))


def _by_carrier(client: "Client", window: Window) -> Iterator[Finding]:
    """Codes that rise, and carriers that deliver less."""
    by = ("country", "carrier")
    windows = [window, *(window.earlier(week * WEEK_MS) for week in range(1, EARLIER_WEEKS + 1))]
    now, *earlier = [counted(client, each, by) for each in windows]
    for group, this in now.items():
        before = [week[group] for week in earlier if group in week]
        attempts = sum(week.attempts for week in before)
        where = " ".join(map(str, group))
        for code, failures in this.failures.items():
            then = sum(week.failures.get(code, 0) for week in before)
            if code and rising(failures, this.attempts, then, attempts) == "rise":
                yield (
                    "more of an error",
                    f"{where}: {code}",
                    failures,
                    _compared(failures, this.attempts, then, attempts),
                    f"{meaning_of(code).meaning}: {meaning_of(code).what_to_do}",
                )
        failed, then = sum(this.failures.values()), sum(sum(week.failures.values()) for week in before)
        if rising(failed, this.attempts, then, attempts) == "rise":
            yield (
                "fewer delivered",
                where,
                failed,
                _compared(failed, this.attempts, then, attempts),
                "report errors --by country,carrier",
            )


def _compared(part: int, whole: int, then: int, of_then: int) -> str:
    now, before = share(part, whole), share(then, of_then)
    return (
        f"{part} of {whole} failed ({now.percent} %, {now.low} to {now.high}), in the same hours of earlier "
        f"weeks {then} of {of_then} ({before.percent} %, {before.low} to {before.high})"
    )


def _stuck(client: "Client", window: Window, now: int) -> Iterator[Finding]:
    before = now // 1000 - STUCK_AFTER_H * 3600
    old = f"open > 0 AND hour < toDateTime({before}, 'UTC')"
    for tenant, channel, count in figures(client, ATTEMPTS, window, ("tenant", "channel"), ("open",), old):
        evidence = f"open although requested more than {STUCK_AFTER_H} h ago"
        yield "stuck", f"{tenant} {channel}", count, evidence, "report unconfirmed --by sender"


def _held(client: "Client", window: Window) -> Iterator[Finding]:
    for tenant, sender, held in figures(
        client, ATTEMPTS, window, ("tenant", "sender"), ("held",), "held > 0"
    ):
        evidence = "the provider's call had no answer, and nothing proves what became of it"
        yield "held", f"{tenant} {sender}", held, evidence, "notifystream held list"


def _strangers(client: "Client", window: Window) -> Iterator[Finding]:
    """Statuses of messages this pipeline did not send: sorted first by their missing id."""
    sql = f"""
        SELECT account_sid, sender, uniqExact(message_sid), min(message_sid), count()
        FROM status_events WHERE notification_id = '' AND {window.within("received_at")}
        GROUP BY account_sid, sender
        """  # noqa: S608 - numbers
    for account, sender, messages, example, statuses in client.query(sql).result_rows:
        evidence = f"{statuses} statuses of {messages} messages this pipeline did not send, such as {example}"
        yield "not ours", f"{account} {sender}".strip(), messages, evidence, "who else uses this account"


def _dead_letters(client: "Client", window: Window) -> Iterator[Finding]:
    sql = f"""
        SELECT stage, topic, reason, count(), any(detail) FROM dead_letters FINAL
        WHERE {window.within("at")} GROUP BY stage, topic, reason
        """  # noqa: S608 - numbers
    for stage, topic, reason, count, detail in client.query(sql).result_rows:
        yield (
            "dead letters",
            f"{topic}, given up by {stage}",
            count,
            f"{reason}: {detail}",
            "notifystream deadletters list",
        )
