"""Who opts out after what: opt-outs by the campaign and category of the last message before them."""

from typing import TYPE_CHECKING

from sinks.analytics.errors import UnknownReport
from sinks.analytics.facts import NOTIFICATIONS
from sinks.analytics.reports.figures import figures
from sinks.analytics.reports.statistics import share
from sinks.analytics.reports.table import Asked, Report, Value, Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# An opt-out later than this answers no single message any more.
ANSWERED_WITHIN_MS = 7 * 86_400_000
_TAKEN = "stage IN ('sent', 'delivered') OR state = 'unconfirmed'"
BY = ("tenant", "campaign", "category", "country")


def optouts(client: "Client", asked: Asked) -> Report:
    """Notifications a carrier took or may have taken, the opt-outs within a week that answer them, and
    their share.

    An opt-out belongs to the tenant's last notification to the person before it; a second one of the same
    person after the same notification counts once. Opt-outs imported from elsewhere answer nothing.
    """
    by = asked.by or ("campaign", "category")
    unknown = [name for name in by if name not in BY]
    if unknown:
        raise UnknownReport(f"opt-outs cannot be by {', '.join(unknown)}; they can be by: {', '.join(BY)}")
    taken = figures(client, NOTIFICATIONS, asked.window, by, ("notifications",), _TAKEN)
    answered = _answered(client, asked, by)
    rows: list[tuple[Value, ...]] = []
    for row in taken:
        group, sent = row[:-1], int(row[-1])
        # A provider may take its word back: then an answer is left to what was, after all, not sent.
        out = min(answered.get(group, 0), sent)
        rows.append((*(name or "none" for name in group), sent, out, *share(out, sent)))
    rows.sort(key=lambda row: (-int(row[len(by) + 1] or 0), row[: len(by)]))
    columns = (*by, "sent", "opt_outs", "opt_out_percent", "low_percent", "high_percent")
    return Report("Opt-outs; low and high: Wilson, 95 %", columns, tuple(rows))


def _answered(client: "Client", asked: Asked, by: tuple[str, ...]) -> dict[tuple[Value, ...], int]:
    window = asked.window
    until = window.until + ANSWERED_WITHIN_MS
    of_tenant = "1" if window.tenant is None else "tenant = {tenant:String}"
    # Without the notification's id, the longest column by far: a person and a millisecond tell it as well.
    sql = f"""
        WITH opted_out AS
        (
            SELECT sipHash64(recipient_hash) AS person, tenant AS of_tenant, at
            FROM consent_changes FINAL
            WHERE state = 'opted_out' AND source != 'import'
                AND at >= fromUnixTimestamp64Milli({window.since}) AND at < fromUnixTimestamp64Milli({until})
        )
        SELECT {", ".join(by)}, uniqExact(person, tenant, requested_at)
        FROM
        (
            SELECT
                o.person AS person,
                max(tuple(s.requested_at, s.tenant, s.campaign, s.category, s.country)) AS last,
                last.1 AS requested_at, last.2 AS tenant, last.3 AS campaign, last.4 AS category,
                last.5 AS country
            FROM
            (
                SELECT person, requested_at, tenant, campaign, category, country FROM sends_by_person
                WHERE person IN (SELECT person FROM opted_out)
                    AND {Window(window.since, until, None).within("requested_at")}
            ) AS s
            INNER JOIN opted_out AS o ON s.person = o.person
            WHERE (o.of_tenant = s.tenant OR o.of_tenant = '*') AND s.requested_at <= o.at
                AND o.at < s.requested_at + INTERVAL {ANSWERED_WITHIN_MS // 1000} SECOND
            GROUP BY o.person, o.of_tenant, o.at
        )
        WHERE {window.within("requested_at")} AND {of_tenant}
        GROUP BY {", ".join(by)}
        """  # noqa: S608 - of constants and numbers; what is asked for travels as a parameter
    parameters = {} if window.tenant is None else {"tenant": window.tenant}
    rows = client.query(sql, parameters=parameters).result_rows
    return {tuple(row[:-1]): int(row[-1]) for row in rows}
