"""The words that end or renew a person's consent, or ask for help: the platform's defaults of today.

Guarantees: pure; who answers people and who keeps the ledger take the same texts for the same words.
A word counts only as the whole message, in any case and width, whatever space is around it: "STOP PLEASE" and
"OPT OUT" are none. REVOKE and OPTOUT since 2025-05-14 (facts, Twilio section 6).
Leaves to others: what a sender's kind makes of them, and words that a deployment configures at the platform.
"""

import unicodedata

STOP_WORDS = frozenset({"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "CANCEL", "REVOKE", "OPTOUT"})
START_WORDS = frozenset({"START", "YES", "UNSTOP"})
TOLL_FREE_START_WORDS = START_WORDS - {"YES"}
"""A toll-free opt-out is the carrier's own, and only these reverse it."""
HELP_WORDS = frozenset({"HELP", "INFO"})


def word(text: str) -> str:
    """The text as the words above are written: capitals of ordinary width, no space around."""
    return (text if text.isascii() else unicodedata.normalize("NFKC", text)).strip().upper()
