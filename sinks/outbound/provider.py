"""What the sink asks of a provider: one small protocol, typed answers.

Every way a call can end is one of the four answers of `send`; only `Ambiguous` leaves open whether a message
exists. Adapters never raise for what the network or the provider does, and put their provider's codes into
our classes: nobody behind this border knows a code's meaning. A second provider is an adapter and an entry
in the `providers` that the worker is given; a command names its own (`OutboundCommand.provider`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from schemas.records import JournalEntry, OutboundCommand, ProviderStatus
from schemas.vocabulary import ErrorClass


class Accepted(NamedTuple):
    sid: str
    status: str
    request_id: str | None


class Concern(StrEnum):
    """Of what else a refusal tells, beside the message that was refused."""

    MESSAGE = "message"
    # Perhaps of the sender: it cannot reach recipients like this one.
    DESTINATION = "destination"
    SENDER = "sender"
    # Of the whole account: nothing can be sent.
    ACCOUNT = "account"


class Lift(StrEnum):
    """When what was refused may be tried again."""

    # A person has to mend something first.
    BY_HAND = "by_hand"
    # By itself, in some minutes.
    SOON = "soon"
    # By itself, in an hour or so.
    LATER = "later"
    # With the carriers' next day.
    NEXT_DAY = "next_day"


class Verdict(NamedTuple):
    """What a code means here: its class, of what it tells, and when that is over."""

    error_class: ErrorClass
    concern: Concern = Concern.MESSAGE
    lift: Lift = Lift.BY_HAND


class Rejected(NamedTuple):
    """The provider refused it: nothing was sent. `code` is the provider's; None when refused on our side."""

    code: int | None
    verdict: Verdict
    detail: str
    request_id: str | None = None


class NotSent(NamedTuple):
    """Nothing reached the provider, or it said that it did not process it.

    `unreachable`: no connection could be made, so nobody's call can be made now.
    """

    detail: str
    throttled: bool = False
    retry_after_s: float | None = None
    unreachable: bool = False


class Ambiguous(NamedTuple):
    """It may have been sent. `http_status` is of the answer, None when there was none."""

    detail: str
    request_id: str | None = None
    http_status: int | None = None
    retry_after_s: float | None = None


SendAnswer = Accepted | Rejected | NotSent | Ambiguous


class FoundMessage(NamedTuple):
    """A message at the provider. `content_digest` is schemas.identity.text_digest of its text."""

    sid: str
    content_digest: str
    created_at: int


class LookupFailed(Exception):
    """The provider could not be asked, or its answer proves nothing."""


class Canceled(NamedTuple):
    """It will not be sent; `status` says so, for the same fold as every other status."""

    status: ProviderStatus


class TooLate(NamedTuple):
    """The provider will not cancel it, or knows of nothing to cancel; asking again changes nothing."""

    code: int | None


class Unknown(NamedTuple):
    """Whether it is canceled is not known; asking again does no harm."""

    detail: str


CancelAnswer = Canceled | TooLate | Unknown


class Provider(Protocol):
    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        """Create the message, unless time.monotonic() has passed `begin_before` when the wire is reached."""

    async def find(self, doubt: JournalEntry, since: int) -> tuple[FoundMessage, ...]:
        """Messages to the doubt's recipient, on its channel, from its sender, created since then (ms).

        All of them: absence is concluded from what is not there. Raises LookupFailed.
        """

    async def fetch(self, command: OutboundCommand) -> ProviderStatus | None:
        """The status now of the message `command.sid`, None when the provider does not know it.

        Raises LookupFailed.
        """

    async def cancel(self, command: OutboundCommand) -> CancelAnswer:
        """Keep the message `command.sid` from being sent, when it still waits at the provider."""

    def verdict(self, code: int, sender: str) -> Verdict:
        """What one of its codes means that came with the status of a message of this sender."""

    async def close(self) -> None: ...


Providers = Mapping[str, Provider]
"""By the name that commands and routes know them by."""

TWILIO = "twilio"

SCHEDULED = "scheduled"
"""The status of a message that waits at the provider for its time, and can be canceled there."""
