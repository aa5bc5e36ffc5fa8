"""The simulator's own truth, typed, for tests and the demo to compare a pipeline with.

What the pipeline believes plays no part here: these records are written where the simulated world
acts. Times are Unix milliseconds of the simulator's clock. Addresses keep their channel prefix.
"""

import enum

import msgspec

from sandbox.carrier._http import call


class Connection(enum.Enum):
    """What became of a create request's answer."""

    OPEN = "open"  # still in hand: answered late, or hanging until the caller gives up
    ANSWERED = "answered"
    RESET = "reset"  # the connection was reset instead of an answer
    HUNG = "hung"  # the caller gave up (or the limit was reached) without an answer


class Failure(enum.Enum):
    """Why a webhook got no HTTP status."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    BROKEN = "broken"  # the connection ended before the answer did


class SeenRequest(msgspec.Struct, frozen=True, kw_only=True, tag="request"):
    """One create request: as it came and as it was answered.

    `sid` is set when a message exists because of it, also if the caller was never told. `http_status`
    is what was answered, None without an answer. `ordinal` counts equal requests from 1; it is 0 when
    the request was refused before, and `to` and `sender` are then as they came, else normalised.
    """

    at_ms: int
    to: str
    sender: str
    body_sha256: str
    content_sid: str | None
    status_callback: str | None
    ordinal: int
    sid: str | None
    connection: Connection
    http_status: int | None
    error_code: int | None
    behaviour: str

    @property
    def accepted(self) -> bool:
        """Whether the request caused a message."""
        return self.sid is not None


class Handset(msgspec.Struct, frozen=True, kw_only=True, tag="handset"):
    """A message shown on a handset. Two of them for one notification is a double send."""

    sid: str
    to: str
    at_ms: int


class SimMessage(msgspec.Struct, frozen=True, kw_only=True, tag="message"):
    """One message's truth now, and the status it will end with.

    `final_status` of a silent message is "sent". `callbacks_pending` counts callbacks not yet posted
    (retries included); `done` says that neither the truth nor the callbacks will change any more.
    """

    sid: str
    to: str
    sender: str | None
    service: str | None
    country: str
    carrier: str
    body_sha256: str
    status_callback: str | None
    created_ms: int
    status: str
    error_code: int | None
    final_status: str
    final_error_code: int | None
    reached: bool
    callbacks_pending: int
    done: bool


class OptOut(msgspec.Struct, frozen=True, kw_only=True, tag="opt_out"):
    """A recipient told a sender to stop (`opted_out`) or to start again."""

    recipient: str
    sender: str
    at_ms: int
    keyword: str
    opted_out: bool


class CallbackAttempt(msgspec.Struct, frozen=True, kw_only=True, tag="callback"):
    """One POST of a status callback; retries of it share `token` and count up `attempt` from 1."""

    sid: str
    status: str
    token: str
    attempt: int
    at_ms: int
    url: str
    http_status: int | None
    failure: Failure | None


class SeenInbound(msgspec.Struct, frozen=True, kw_only=True, tag="inbound"):
    """A message a handset sent, and what the inbound webhook answered."""

    sid: str
    sender: str
    recipient: str
    body_sha256: str
    at_ms: int
    http_status: int | None
    failure: Failure | None


class SeenList(msgspec.Struct, frozen=True, kw_only=True, tag="list"):
    """A list of messages that was asked for; `to` is the filter as it came, `error_code` is of a refusal."""

    to: str
    at_ms: int
    error_code: int | None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the simulator did and saw, each list in the order it happened."""

    seed: int
    requests: tuple[SeenRequest, ...]
    messages: tuple[SimMessage, ...]
    handsets: tuple[Handset, ...]
    opt_outs: tuple[OptOut, ...]
    callbacks: tuple[CallbackAttempt, ...]
    inbound: tuple[SeenInbound, ...]
    lists: tuple[SeenList, ...] = ()


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Steps not yet done: `steps` of messages and handsets, `callbacks` to post, `requests` in hand."""

    steps: int
    callbacks: int
    requests: int

    @property
    def total(self) -> int:
        """Zero when nothing will happen any more unless somebody asks for it."""
        return self.steps + self.callbacks + self.requests


def fetch_ledger(base_url: str) -> Ledger:
    """The ledger of the simulator at `base_url` (what it printed after READY).

    Raises SimulatorError when it does not answer, or not with a ledger.
    """
    return call(base_url, "GET", "/_simulator/ledger", None, Ledger)


def fetch_pending(base_url: str) -> Pending:
    """How much is still going to happen there. Raises SimulatorError."""
    return call(base_url, "GET", "/_simulator/pending", None, Pending)
