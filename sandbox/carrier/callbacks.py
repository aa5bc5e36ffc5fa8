"""How Twilio posts a webhook: form-encoded, signed, with its time-outs and its retry rules.

Guarantees: the signature covers the URL without its fragment, as given (query and port included), and
every parameter; the fragment's connection overrides are honoured (facts, section 2); redirects are
not followed. By default only a connect failure is tried again, once: a 5xx or a time-out loses the
callback. Assumed, as Twilio does not say: retries follow at once, `tt` spans all of them, and an
override that cannot be read leaves its default. `sni` and `e` are accepted and change nothing.
What to post, and when, is decided elsewhere.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urldefrag, urlencode

import aiohttp
from yarl import URL

from sandbox.carrier.ledger import Failure

USER_AGENT = "TwilioProxy/1.1"
_MAX_ANSWER = 65_536
_CONNECTIONS = 256
# Below uvicorn's five seconds: a reused connection the server has just closed would lose a callback.
_KEEP_S = 2.0


@dataclass(frozen=True, slots=True)
class Overrides:
    """Connection overrides of one URL: times in milliseconds, `rc` retries, `rp` what is retried."""

    ct: int = 5000
    rt: int = 15_000
    tt: int = 15_000
    rc: int = 1
    rp: frozenset[str] = frozenset({"ct"})

    def retries(self, status: int | None, failure: Failure | None) -> bool:
        """Whether an attempt that ended so is one the policy tries again."""
        if "all" in self.rp:
            return status is None or status >= 400
        if failure is Failure.CONNECT:
            return "ct" in self.rp
        if failure is not None:
            return "rt" in self.rp
        return status is not None and (
            (400 <= status < 500 and "4xx" in self.rp) or (500 <= status < 600 and "5xx" in self.rp)
        )


_RANGES = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}
_POLICIES = frozenset({"4xx", "5xx", "ct", "rt", "all"})


def overrides_of(url: str) -> Overrides:
    """The overrides in the URL's fragment (`#rc=2&rp=ct,rt`), defaults for the rest."""
    numbers: dict[str, int] = {}
    policy = Overrides().rp
    for pair in urldefrag(url).fragment.split("&"):
        name, _, value = pair.partition("=")
        if name in _RANGES and value.isascii() and value.isdigit():
            low, high = _RANGES[name]
            if low <= int(value) <= high:
                numbers[name] = int(value)
        elif name == "rp":
            named = frozenset(part.strip() for part in value.split(","))
            if named and named <= _POLICIES:
                policy = named
    return Overrides(**numbers, rp=policy)


def signature_of(token: str, url: str, params: Mapping[str, str]) -> str:
    """X-Twilio-Signature of a form POST (facts, section 3; usage/webhooks/webhooks-security)."""
    text = urldefrag(url).url + "".join(name + params[name] for name in sorted(params))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST: the count from 1, when it began, and either an HTTP status or why there is none."""

    number: int
    at_ms: int
    status: int | None
    failure: Failure | None
    body: str = ""


class Poster:
    """Posts webhooks over one shared session. Call `close` at the end."""

    def __init__(self, token: str, now_ms: Callable[[], int]) -> None:
        self._token = token
        self._now_ms = now_ms
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=_CONNECTIONS, keepalive_timeout=_KEEP_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Give every connection back; nothing can be posted afterwards."""
        await self._session.close()

    async def post(
        self, url: str, params: Mapping[str, str], token: str, heard: Callable[[Attempt], None]
    ) -> Attempt:
        """Post until an attempt succeeds or the URL's policy is at its end; the last attempt.

        `heard` is told of every attempt as it ends; `token` is the I-Twilio-Idempotency-Token of all.
        """
        rules = overrides_of(url)
        target = URL(urldefrag(url).url, encoded=True)
        body = urlencode(params).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "X-Twilio-Signature": signature_of(self._token, url, params),
            "I-Twilio-Idempotency-Token": token,
        }
        deadline = time.monotonic() + rules.tt / 1000
        number = 0
        while True:
            number += 1
            left = max(deadline - time.monotonic(), 0.001)
            attempt = await self._once(number, target, body, headers, rules, left)
            heard(attempt)
            over = number > rules.rc or time.monotonic() >= deadline
            if over or not rules.retries(attempt.status, attempt.failure):
                return attempt

    async def _once(
        self, number: int, target: URL, body: bytes, headers: dict[str, str], rules: Overrides, left: float
    ) -> Attempt:
        at_ms = self._now_ms()
        limits = aiohttp.ClientTimeout(total=left, sock_connect=rules.ct / 1000, sock_read=rules.rt / 1000)
        try:
            async with self._session.post(
                target, data=body, headers=headers, timeout=limits, allow_redirects=False
            ) as answer:
                text = await answer.content.read(_MAX_ANSWER)
                return Attempt(number, at_ms, answer.status, None, text.decode(errors="replace"))
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
            return Attempt(number, at_ms, None, Failure.CONNECT)
        except TimeoutError:
            return Attempt(number, at_ms, None, Failure.TIMEOUT)
        except aiohttp.ClientError:
            return Attempt(number, at_ms, None, Failure.BROKEN)
