"""A second provider: what one needs to be one, and no more. It answers what it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.records import JournalEntry, OutboundCommand, ProviderStatus
from schemas.vocabulary import ErrorClass
from sinks.outbound.provider import (
    Accepted,
    CancelAnswer,
    Concern,
    FoundMessage,
    Rejected,
    SendAnswer,
    TooLate,
    Verdict,
)

NAME = "pigeon"
UNFIT = 7
"""Its code for a sender that it does not carry."""


@dataclass(slots=True)
class Pigeons:
    """`answers` are given in their order, then it accepts; `asked` says what came by which method."""

    answers: list[SendAnswer] = field(default_factory=list)
    cancellations: list[CancelAnswer] = field(default_factory=list)
    statuses: dict[str, ProviderStatus] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        self.asked.append(("send", command.command_id))
        if self.answers:
            return self.answers.pop(0)
        return Accepted(f"feather-{len(self.asked)}", "flying", None)

    async def find(self, doubt: JournalEntry, since: int) -> tuple[FoundMessage, ...]:
        self.asked.append(("find", doubt.command_id))
        return ()

    async def fetch(self, command: OutboundCommand) -> ProviderStatus | None:
        self.asked.append(("fetch", command.command_id))
        return self.statuses.get(command.sid or "")

    async def cancel(self, command: OutboundCommand) -> CancelAnswer:
        self.asked.append(("cancel", command.sid or ""))
        return self.cancellations.pop(0) if self.cancellations else TooLate(None)

    def verdict(self, code: int, sender: str) -> Verdict:
        if code == UNFIT:
            return Verdict(ErrorClass.CONFIGURATION, Concern.SENDER)
        return Verdict(ErrorClass.TERMINAL)

    async def close(self) -> None:
        self.asked.append(("close", ""))

    def refusal(self, code: int) -> Rejected:
        return Rejected(code, self.verdict(code, ""), f"code {code}")
