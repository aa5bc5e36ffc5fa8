"""Commands, journal entries and messages as the tests need them: everything of no interest filled in."""

from __future__ import annotations

import time
import uuid
from typing import Any

from schemas.identity import text_digest
from schemas.records import JournalEntry, OutboundCommand
from schemas.vocabulary import Category, Channel, CommandKind, CommandResult
from sinks.outbound.provider import FoundMessage

SENDER = "+15005550006"
RECIPIENT = "+12025550123"
BODY = "Your parcel 7G-Q comes tomorrow."


def now_ms() -> int:
    return int(time.time() * 1000)


def command(**changes: Any) -> OutboundCommand:
    """A send that may still wait an hour; `notification_id` alone changes the command's id with it."""
    notification_id = changes.get("notification_id") or str(uuid.uuid4())
    attempt = changes.get("attempt", 1)
    return OutboundCommand(
        **{
            "command_id": f"{notification_id}:{attempt}",
            "kind": CommandKind.SEND,
            "notification_id": notification_id,
            "attempt": attempt,
            "tenant": "acme",
            "provider": "twilio",
            "channel": Channel.SMS,
            "sender": SENDER,
            "recipient": RECIPIENT,
            "body": BODY,
            "category": Category.TRANSACTIONAL,
            "segments": 1,
            "created_at": now_ms(),
            "not_after": now_ms() + 3_600_000,
            **changes,
        }
    )


def entry(
    command_id: str = "n:1", state: CommandResult = CommandResult.STARTED, **changes: Any
) -> JournalEntry:
    return JournalEntry(
        **{
            "command_id": command_id,
            "state": state,
            "tenant": "acme",
            "sender": SENDER,
            "recipient": RECIPIENT,
            "channel": Channel.SMS,
            "content_digest": text_digest(BODY),
            "started_at": 1_000_000,
            "at": 1_000_000,
            **changes,
        }
    )


def message(sid: str, text: str | None = BODY, created_at: int = 1_000_000) -> FoundMessage:
    return FoundMessage(sid, text_digest(text), created_at)
