"""Twilio's Messages resource behind the provider protocol, through Twilio's own SDK.

Source: facts, Twilio sections 4, 5 and 11. What is asked is `twilio_form`'s, how a send ended
`twilio_endings`', what was read about a message `twilio_message`'s, the wire `twilio_http`'s. Guarantees:
nothing that the network or Twilio does is raised from `send` and `cancel`; nothing that is returned, raised
or logged repeats a number or a text.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.rest import Client

from schemas.records import JournalEntry, OutboundCommand, ProviderStatus
from schemas.vocabulary import ErrorClass
from sinks.outbound import twilio_codes, twilio_endings, twilio_message
from sinks.outbound.config import TWILIO_API, TwilioAccount
from sinks.outbound.media import MediaCheck
from sinks.outbound.provider import (
    CancelAnswer,
    Canceled,
    FoundMessage,
    LookupFailed,
    NotSent,
    Rejected,
    SendAnswer,
    TooLate,
    Unknown,
    Verdict,
)
from sinks.outbound.twilio_form import address, create_message, is_service, refused_here
from sinks.outbound.twilio_http import Call, NotBegun, TwilioHttp, current_call
from streams.policy import DEFAULTS, AddressRetention, Policies

T = TypeVar("T")
_LOOKUP_LIMIT = 200
_CANCELED = "canceled"
_REFUSALS = (TwilioRestException, TwilioServiceException)


class TwilioMessages:
    """Must be created on the running event loop; `close` it there."""

    def __init__(self, account: TwilioAccount, pool: int, policies: Policies = DEFAULTS) -> None:
        self._account_sid = account.account_sid
        self._policies = policies
        base_url = None if account.api_url.rstrip("/") == TWILIO_API else account.api_url
        self._http = TwilioHttp(base_url, account.connect_timeout_s, account.read_timeout_s, pool)
        self._client = Client(
            account.username, account.password, account_sid=account.account_sid, http_client=self._http
        )
        self._media = MediaCheck() if account.check_media else None
        # Given here and not to the constructor, which would look into the environment where they are None.
        self._client.region, self._client.edge = account.region, account.edge
        self._messages = self._client.messages  # loads the SDK's modules: not while the first calls wait

    async def send(self, command: OutboundCommand, callback_url: str, begin_before: float) -> SendAnswer:
        if (wrong := refused_here(command)) is not None:
            return wrong
        if self._media is not None and command.media_urls and command.content_sid is None:
            objection = await self._media.objection(command.channel, command.media_urls)
            if objection is not None:
                return Rejected(None, Verdict(ErrorClass.TERMINAL), f"{objection}; not asked of Twilio")
        sending = self._policies.of(command.tenant).sending
        form = create_message(command, callback_url, sending, int(time.time() * 1000))
        call = Call(begin_before)
        current_call.set(call)
        try:
            message = await self._messages.create_async(**form)
        except _REFUSALS as refused:
            return twilio_endings.refused(call.status or refused.status, refused.code, call)
        except NotBegun:
            return NotSent("not begun in time")
        except Exception as broken:  # the network's, or whatever the SDK makes of a broken answer
            return twilio_endings.broken(broken, call)
        return twilio_endings.accepted(message.sid, message.status, call)

    async def find(self, doubt: JournalEntry, since: int) -> tuple[FoundMessage, ...]:
        if self._policies.of(doubt.tenant).sending.address_retention is AddressRetention.OBFUSCATE:
            raise LookupFailed("Twilio keeps no addresses of this tenant: absence from a list proves nothing")
        to = address(doubt.recipient, doubt.channel)
        # No DateSent filter: a message that waits in Twilio's queue has none yet. Newest come first.
        listed = await self._asked(lambda: self._messages.list_async(to=to, limit=_LOOKUP_LIMIT))
        if listed is None:
            raise LookupFailed("HTTP 404 for the list of messages: is the account's SID right?")
        return twilio_message.found_in(listed, doubt.sender, since, _LOOKUP_LIMIT)

    async def fetch(self, command: OutboundCommand) -> ProviderStatus | None:
        sid = _sid_of(command)
        if sid is None:
            raise LookupFailed("the command names no message of Twilio's")
        message = await self._asked(lambda: self._messages(sid).fetch_async())
        if message is None:
            return None
        return twilio_message.status_of(message, command, self._account_sid, int(time.time() * 1000))

    async def cancel(self, command: OutboundCommand) -> CancelAnswer:
        """Only a message with the status scheduled can be canceled; later it is 30409 (facts, section 11)."""
        sid = _sid_of(command)
        if sid is None:
            return TooLate(None)
        call = Call()
        current_call.set(call)
        try:
            message = await self._messages(sid).update_async(status=_CANCELED)
            status = twilio_message.status_of(message, command, self._account_sid, int(time.time() * 1000))
        except _REFUSALS as refused:
            http_status = call.status or refused.status
            code = twilio_endings.code_of_twilio(http_status, refused.code)
            # Its word, unless it says that it is not the moment (429) or not who was meant (401, 403).
            if http_status in (400, 404, 409, 410) and code is not None:
                return TooLate(code)
            return Unknown(f"HTTP {http_status}, code {code}")
        except Exception as broken:  # as in send
            return Unknown(type(broken).__name__)
        return Canceled(status) if status.status == _CANCELED else Unknown(f"it is {status.status}")

    def verdict(self, code: int, sender: str) -> Verdict:
        return twilio_codes.verdict_of_status(code, by_service=is_service(sender))

    async def close(self) -> None:
        await self._http.close()
        if self._media is not None:
            await self._media.close()

    async def _asked(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, None for 404. Raises LookupFailed, which repeats nothing of what was said."""
        call = Call()
        current_call.set(call)
        try:
            return await question()
        except TwilioException as refused:  # of a list, the SDK says no more than this
            status = call.status or 0
            if status == 404:
                return None
            code = twilio_endings.code_of_twilio(status, getattr(refused, "code", None))
            failure = f"HTTP {status}, code {code}"
        except Exception as broken:  # the network's, or whatever the SDK makes of a broken answer
            failure = type(broken).__name__
        raise LookupFailed(failure)


def _sid_of(command: OutboundCommand) -> str | None:
    """Never anything else: it becomes a part of the path."""
    return command.sid if twilio_endings.is_message_sid(command.sid) else None
