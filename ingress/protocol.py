"""uvicorn's HTTP/1.1 protocol with the bounds it lacks: for clients that are slow, endless or broken.

Guarantees: whatever a client sends, the process keeps at most about `Limits.request` bytes of it; a URL, head
or request beyond its limit is answered 414, 431 or 413, one that is no HTTP 400, one that is not complete in
time 408, each with `connection: close`; a connection on which nothing arrives, or of which nobody reads the
answers, is closed. A request that was understood is answered first, also when garbage follows it or the
client has closed its side. At the end of the process a client that keeps sending is told to go with its next
answer, rather than cut off. A request that arrives whole costs 0.4 µs more than without, one whose body comes
later 1.4 µs (measured).
Leaves to others: everything about a request that is complete.

Written against uvicorn 0.54 and httptools 0.9, whose parser buffers any head and waits for any request. Of a
request under way `self.scope` is the one that is being read, `self.cycle` the newest whose head was complete.
"""

import logging
import time
import traceback
from asyncio import BaseTransport, Transport
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ingress.exchanges import Endpoint, ExchangingProtocol
from ingress.guarding import LOG_S, Fault, Guard

_STATUS = {
    Fault.MALFORMED: 400,
    Fault.SLOW: 408,
    Fault.REQUEST_TOO_LARGE: 413,
    Fault.URL_TOO_LONG: 414,
    Fault.HEAD_TOO_LARGE: 431,
}
# How soon a refusal looks again whether the answers before it are out.
_AGAIN_S = 0.05


def guarded(guard: Guard, endpoints: Mapping[str, Endpoint]) -> type[HttpToolsProtocol]:
    """The protocol for `http=` of a uvicorn.Config, with all its connections under this guard.

    Requests of these paths go to their endpoints, all others to the application.
    """
    return type("GuardedProtocol", (_Guarded,), {"guard": guard, "endpoints": endpoints})


class _Guarded(ExchangingProtocol):
    guard: ClassVar[Guard]

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger = _sparing_log
        self._most_head = self.guard.limits.head
        self._pending = 0  # bytes so far of the request that is being read
        self._watched = False
        self._fault: Fault | None = None
        self._ending = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast(Transport, transport))
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._fault is not None:  # read on, or the client would meet a reset instead of its answer
            return
        self._unset_keepalive_if_required()
        if self._pending + len(data) > self._most_head:
            self._feed_in_pieces(data)
        else:
            scope, before, was_open = self.scope, self.cycle, self._watched and self._is_open
            self._feed(data)
            cycle = self.cycle
            # The three usual ways, at once: all of a request, its head, its body. Else with care.
            if cycle is None or cycle.scope is not self.scope or cycle.response_complete:
                self._account(
                    len(data), began=self.scope is not scope, from_idle=not was_open and cycle is before
                )
            elif cycle.more_body:
                if self._watched:
                    self._account(len(data), began=self.scope is not scope, from_idle=not was_open)
                else:
                    self._pending = len(data)
                    self._watched = True
                    self.guard.watch(self)
            elif self._watched and not self.flow.write_paused:
                self._pending = 0
                self._watched = False
                self.guard.forget(self)
        if self._ending and not self._is_open and self._is_answering:
            self.cycle.keep_alive = False

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # To what, nobody here can speak: the request is answered as it is, and what follows is not HTTP.
            self.cycle.keep_alive = False
            self._fault = Fault.MALFORMED
        except httptools.HttpParserError:
            too_long = self._is_open and len(self.url) > self.guard.limits.url
            self._refuse(Fault.URL_TOO_LONG if too_long else Fault.MALFORMED)

    def _feed_in_pieces(self, data: bytes) -> None:
        """Never more of a head at once than it may have."""
        while data and self._fault is None:
            room = self._most_head if self._is_in_body else self._most_head - self._pending
            piece, data = data[:room], data[room:]
            scope, cycle, idle = self.scope, self.cycle, not self._is_open
            self._feed(piece)
            self._account(len(piece), began=self.scope is not scope, from_idle=idle and self.cycle is cycle)

    def _account(self, size: int, *, began: bool, from_idle: bool) -> None:
        """Behind each piece that left something to wait for. Where in it a request began is only known when
        there was nothing before it; else its first piece is not counted."""
        if self._fault is not None:
            return
        if self._is_open:
            if began:
                self._pending = 0
                self._watch()
            elif not self._watched:
                self._watch()
            self._pending += size if from_idle or not began else 0
            if not self._is_in_body and self._pending >= self._most_head:
                self._refuse(Fault.HEAD_TOO_LARGE)
            elif self._pending > self.guard.limits.request:
                self._refuse(Fault.REQUEST_TOO_LARGE)
            return
        self._pending = 0
        if self._is_answering:
            if not self.flow.write_paused:
                self._forget()
        elif not self._watched:  # line ends between requests: uvicorn's own timer was stopped by them
            self._watch()

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.guard.limits.url:
            raise ValueError("the URL is too long")  # to httptools, which stops there

    def overdue(self) -> None:
        """Called by the guard."""
        self._watched = False
        if self.transport.is_closing() or self.flow.write_paused:
            self.guard.report(Fault.UNREAD)
            self.transport.abort()
        elif self._fault is not None:
            self._close()
        elif not self._is_open or (self._is_in_body and self.cycle.response_complete):
            if not self._is_answering:
                self.guard.report(Fault.SILENT)
                self._close()
        elif self._answers_are_due:  # meanwhile nothing more is read, which is not the client's fault
            self._watch()
        else:
            self._refuse(Fault.SLOW)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # asyncio's own type
        """Closed from the other side, perhaps only in that direction: what was asked is answered."""
        if self._is_open or not self._is_answering or self._fault is not None:
            return None
        self.cycle.keep_alive = False
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._is_open:
            self._forget()

    def shutdown(self) -> None:
        """The process ends: the answer under way is the last one, or that of what arrives in a moment."""
        self._ending = True
        if self._fault is not None:
            self.transport.close()
        elif not self._is_open and self._is_answering:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(self.guard.limits.last_call_s, self._last_call)

    def _last_call(self) -> None:
        if not self._is_answering and not self.transport.is_closing():
            self.transport.close()

    @property
    def _is_in_body(self) -> bool:
        """The head of the request that is being read is complete, the request is not.

        Also, as uvicorn does not tell, after one that was answered before its end; until the next begins.
        """
        cycle = self.cycle
        return cycle is not None and cycle.scope is self.scope and cycle.more_body

    @property
    def _is_open(self) -> bool:
        cycle = self.cycle
        return self.scope is not None and (cycle is None or cycle.scope is not self.scope or cycle.more_body)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _answers_are_due(self) -> bool:
        """Of requests before the one that is being read."""
        return bool(self.pipeline) or (self._is_answering and not self._is_in_body)

    def _refuse(self, fault: Fault) -> None:
        self._fault = fault
        self.guard.report(fault)
        self._watch()
        self._answer_refusal()

    def _answer_refusal(self) -> None:
        if self.transport.is_closing():
            return
        if self._answers_are_due:
            self.loop.call_later(_AGAIN_S, self._answer_refusal)
            return
        assert self._fault is not None
        if self._is_in_body:
            cycle = self.cycle
            if cycle.response_started:
                self._close()
                return
            cycle.disconnected = True  # so the route gives up waiting for the rest
            cycle.message_event.set()
        self._unset_keepalive_if_required()
        self.transport.write(_answer(_STATUS[self._fault]))
        if self._fault is Fault.SLOW:
            self._close()
        else:  # what the client is still sending is read, or a reset would overtake the answer
            self.transport.write_eof()

    def _close(self) -> None:
        self.transport.close()
        self._watch()  # closing waits for the client to read

    def _watch(self) -> None:
        self._watched = True
        self.guard.watch(self)

    def _forget(self) -> None:
        if self._watched:
            self._watched = False
            self.guard.forget(self)


def _answer(status: int) -> bytes:
    return STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"


class _Sparing(logging.Filter):
    """Of each kind of uvicorn's own complaints about clients one line in ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._again_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._again_at.get(record.msg, 0.0):
            return False
        self._again_at[record.msg] = now + LOG_S
        if record.exc_info is not None and record.exc_info[0] is not None:
            # The text of an exception may hold what a client sent.
            kind, _, trace = record.exc_info
            place = traceback.extract_tb(trace)[-1:]
            record.msg = f"{record.msg.strip()}: {kind.__name__} at {place}"
            record.exc_info = None
        return True


_sparing_log = logging.getLogger("ingress.http")
_sparing_log.setLevel(logging.WARNING)
_sparing_log.addFilter(_Sparing())
