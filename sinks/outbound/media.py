"""Whether media may be sent, asked of whoever has them before a message is paid for. Off unless switched on.

Limits: facts, Twilio sections 4 and 8. Guarantees: one HEAD request for each, without redirects, within two
seconds, to public addresses only, as the provider reaches no others and producers choose the URLs. What is
not told is no reason to refuse: the provider judges by itself. Leaves to others: how many (`twilio_form`).
"""

import asyncio
import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from schemas.vocabulary import Channel

_MB = 1024 * 1024
_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif"})
_MMS_IMAGE, _MMS_OTHER = 5 * _MB, 500 * 1024
_WHATSAPP_IMAGE, _WHATSAPP_TOTAL, _RCS_TOTAL = 5 * _MB, 16 * _MB, 16 * _MB
_GONE = frozenset({404, 410})
_WAIT_S = 2.0


class Medium(NamedTuple):
    """What is known of one; `size` in bytes."""

    gone: bool = False
    content_type: str | None = None
    size: int | None = None


def objection(channel: Channel, media: tuple[Medium, ...]) -> str | None:
    """Why these may not be sent on this channel; None when nothing is known against it. Pure."""
    for number, medium in enumerate(media, 1):
        if medium.gone:
            return f"medium {number} is not there"
        limit = _limit(channel, medium.content_type)
        if limit is not None and medium.size is not None and medium.size > limit:
            return f"medium {number} ({medium.content_type}) has {medium.size} bytes, and {limit} are allowed"
    total = {Channel.WHATSAPP: _WHATSAPP_TOTAL, Channel.RCS: _RCS_TOTAL}.get(channel)
    size = sum(medium.size or 0 for medium in media)
    if total is not None and size > total:
        return f"the media have {size} bytes, and {total} are allowed"
    return None


def _limit(channel: Channel, content_type: str | None) -> int | None:
    if content_type is None:
        return None
    if channel is Channel.WHATSAPP:
        return _WHATSAPP_IMAGE if content_type.startswith("image/") else None
    if channel is Channel.RCS:
        return None
    return _MMS_IMAGE if content_type in _IMAGES else _MMS_OTHER


class MediaCheck:
    """Must be created on the running event loop; `close` it there. `anywhere` is for tests."""

    def __init__(self, *, anywhere: bool = False) -> None:
        self._anywhere = anywhere
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=ThreadedResolver() if anywhere else _Public()),
            timeout=aiohttp.ClientTimeout(total=_WAIT_S, ceil_threshold=float("inf")),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def objection(self, channel: Channel, urls: tuple[str, ...]) -> str | None:
        """As the function; takes no longer than two seconds."""
        return objection(channel, tuple(await asyncio.gather(*map(self._look, urls))))

    async def close(self) -> None:
        await self._session.close()

    async def _look(self, text: str) -> Medium:
        try:
            if not self._anywhere and _is_private(urlsplit(text).hostname):
                return Medium()
            async with self._session.head(text, allow_redirects=False) as answer:
                if answer.status in _GONE:
                    return Medium(gone=True)
                if answer.status != 200 or "Content-Type" not in answer.headers:
                    return Medium()
                return Medium(content_type=answer.content_type, size=answer.content_length)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return Medium()


class _Public(AbstractResolver):
    """Knows no host but those of the public network."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        public = [each for each in found if not _is_private(each["host"])]
        if not public:
            raise OSError("not a public address")
        return public

    async def close(self) -> None:
        await self._resolver.close()


def _is_private(host: str | None) -> bool:
    try:
        return not ipaddress.ip_address(host or "").is_global
    except ValueError:
        return False  # a name, for the resolver
