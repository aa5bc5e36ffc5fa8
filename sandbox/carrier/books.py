"""Writing side of the ledger: what the simulated world did, kept in memory and, if asked, in a file.

The file gets one JSON line per record when it is settled: a request once it was answered, a message
once nothing will change any more, everything else at once. `ledger` describes the records.
"""

from pathlib import Path
from typing import IO

import msgspec

from sandbox.carrier.ledger import (
    CallbackAttempt,
    Connection,
    Handset,
    Ledger,
    OptOut,
    SeenInbound,
    SeenList,
    SeenRequest,
    SimMessage,
)
from sandbox.carrier.messages import Message

Record = SeenRequest | SimMessage | Handset | OptOut | CallbackAttempt | SeenInbound | SeenList


class Books:
    """The record of one run. Close it to flush the file."""

    def __init__(self, seed: int, file: Path | None = None) -> None:
        self._seed = seed
        self._requests: list[SeenRequest] = []
        self._handsets: list[Handset] = []
        self._opt_outs: list[OptOut] = []
        self._callbacks: list[CallbackAttempt] = []
        self._inbound: list[SeenInbound] = []
        self._lists: list[SeenList] = []
        self._file: IO[bytes] | None = None if file is None else file.open("ab", buffering=0)
        self._open = 0

    def close(self) -> None:
        """Settle what is still in hand, which nobody will answer any more, and close the file."""
        for number, request in enumerate(self._requests):
            if request.connection is Connection.OPEN:
                self.ended(number, Connection.HUNG, None, None)
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def open_requests(self) -> int:
        """Create requests that are still in hand."""
        return self._open

    def arrived(self, request: SeenRequest) -> int:
        """Note a create request, still open; the number by which `ended` settles it."""
        self._requests.append(request)
        self._open += 1
        return len(self._requests) - 1

    def ended(
        self, number: int, connection: Connection, http_status: int | None, error_code: int | None
    ) -> None:
        """Note how a request's connection ended. The first note stands."""
        request = self._requests[number]
        if request.connection is not Connection.OPEN:
            return
        self._requests[number] = msgspec.structs.replace(
            request, connection=connection, http_status=http_status, error_code=error_code
        )
        self._open -= 1
        self._write(self._requests[number])

    def named(self, number: int, *, to: str, sender: str) -> None:
        """Note a valid request's recipient and sender as Twilio writes them."""
        self._requests[number] = msgspec.structs.replace(self._requests[number], to=to, sender=sender)

    def decided(self, number: int, *, ordinal: int, sid: str | None, behaviour: str) -> None:
        """Note what was decided about a request: its place among its equals and its message, if any."""
        self._requests[number] = msgspec.structs.replace(
            self._requests[number], ordinal=ordinal, sid=sid, behaviour=behaviour
        )

    def reached(self, handset: Handset) -> None:
        """A handset shows a message."""
        self._handsets.append(handset)
        self._write(handset)

    def heard(self, opt_out: OptOut) -> None:
        """A handset told a sender to stop or to start."""
        self._opt_outs.append(opt_out)
        self._write(opt_out)

    def posted(self, attempt: CallbackAttempt) -> None:
        """A status callback was posted, or could not be."""
        self._callbacks.append(attempt)
        self._write(attempt)

    def received(self, inbound: SeenInbound) -> None:
        """A handset's message was posted to the inbound webhook."""
        self._inbound.append(inbound)
        self._write(inbound)

    def listed(self, seen: SeenList) -> None:
        """A list of messages was asked for."""
        self._lists.append(seen)
        self._write(seen)

    def settled(self, message: Message) -> None:
        """Nothing about this message will change any more."""
        self._write(_sim_message(message))

    def ledger(self, messages: list[Message]) -> Ledger:
        """Everything so far; `messages` are those the exchange made, in their order."""
        return Ledger(
            seed=self._seed,
            requests=tuple(self._requests),
            messages=tuple(map(_sim_message, messages)),
            handsets=tuple(self._handsets),
            opt_outs=tuple(self._opt_outs),
            callbacks=tuple(self._callbacks),
            inbound=tuple(self._inbound),
            lists=tuple(self._lists),
        )

    def _write(self, record: Record) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(record) + b"\n")


def _sim_message(message: Message) -> SimMessage:
    return SimMessage(
        sid=message.sid,
        to=message.to,
        sender=message.sender,
        service=message.service,
        country=message.carrier.country,
        carrier=message.carrier.name,
        body_sha256=message.body_sha256,
        status_callback=message.status_callback,
        created_ms=message.created_ms,
        status=message.status.value,
        error_code=message.error_code,
        final_status=message.final.status.value,
        final_error_code=message.final.error_code,
        reached=message.reached,
        callbacks_pending=message.callbacks_pending,
        done=message.done,
    )
