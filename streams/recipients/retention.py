"""What a row still has to remember, and when all of it may go.

Ages are counted from the latest event of the person, not from the wall clock: the same events leave the same
row. Consents never leave.
"""

import msgspec

from streams.policy import Policies
from streams.recipients import caps
from streams.state import RecipientRow

KEPT_VERDICTS = 16
VERDICT_KEPT_MS = 7 * 86_400_000
"""As long as `admission.checks` keeps a check that could be read again."""


def pruned(row: RecipientRow, policies: Policies) -> RecipientRow:
    """The row without what can no longer matter to any check."""
    lookback, seen = policies.lookback, row.seen_at
    verdicts = sorted(
        (each for each in row.verdicts if each.decided_at > seen - VERDICT_KEPT_MS),
        key=lambda v: (v.decided_at, v.notification_id, v.attempt, v.check),
    )
    return msgspec.structs.replace(
        row,
        life=tuple(each for each in row.life if each.at > seen - lookback.failures_ms),
        failures=tuple(each for each in row.failures if each.at > seen - lookback.failures_ms),
        heard=tuple(each for each in row.heard if each.at > seen - lookback.whatsapp_ms),
        admitted=caps.kept(row, policies),
        verdicts=tuple(verdicts[-KEPT_VERDICTS:]),
    )


def idle_since(row: RecipientRow) -> int | None:
    """When the person was last heard of or asked about (ms); None when the row holds consents and must stay.

    `kept_for_ms` after that the row knows nothing that could change a verdict: then it may leave the table.
    """
    return None if row.consents else row.seen_at


def kept_for_ms(policies: Policies) -> int:
    """How long after `idle_since` a row still matters."""
    return max(policies.lookback.longest_ms, VERDICT_KEPT_MS)
