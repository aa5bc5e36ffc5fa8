"""The accounts whose webhooks are taken: their tokens, their public URLs, their tenants.

Guarantees: an `Account` that exists can verify: every token is usable and every URL is one Twilio can call.
No repr and no error shows a token. Looking an account up takes the same time however many there are, and a
forger can make the process try at most `MOST_TRIED` of them.
Leaves to others: the file they come from (`ingress.accounts_file`), and what to do with a request that none
of them signed.

Which account signed: a form says it in `AccountSid`. A JSON body of Event Streams is not read before it is
verified, so there the URL says it: give the sink `…/twilio/events?account=AC…`, which is signed with the
rest. Without it all accounts are tried, as long as there are few.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from ingress.body_hash import MOST_PARAMETERS, verify_body
from ingress.forwarded import Origin, forwarded_forms
from ingress.signature import DEFAULT_ALGORITHM, SigningKey, base_forms, is_signed

# Each costs a forger's request two to four HMACs of some 2 µs.
MOST_TRIED = 16
ACCOUNT_PARAMETER = "account"
"""In the query of a sink's URL: the account whose token signs."""


@dataclass(frozen=True, slots=True)
class Account:
    """One Twilio account or subaccount. `tokens`: one, or two while they are rotated.

    `public_base_urls` is where Twilio calls for it: its own URL, if it has one, then the default one, which
    callbacks of messages sent before it had one still carry. `tenant` is whom its records belong to where the
    sender does not say; several accounts may have the same.
    """

    sid: str
    tokens: tuple[str, ...] = field(repr=False)
    public_base_urls: tuple[str, ...] = field(repr=False)
    tenant: str | None = None
    _keys: tuple[SigningKey, ...] = field(init=False, repr=False, compare=False)
    _bases: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keys", tuple(SigningKey(token) for token in self.tokens))
        object.__setattr__(
            self, "_bases", tuple(form for url in self.public_base_urls for form in base_forms(url))
        )

    def signed(
        self,
        rest: bytes,
        signature: bytes,
        algorithm: str = DEFAULT_ALGORITHM,
        origin: Origin | None = None,
    ) -> bool:
        """Whether this account signed the request.

        `rest` is as for `signature.is_signed`. `origin` is what a trusted proxy says was called
        (`forwarded.forwarded_origin`); it is tried before the account's own URLs.
        """
        bases = self._bases
        if origin is not None:
            bases = forwarded_forms(origin, self.public_base_urls[0]) + bases
        return is_signed(bases, rest, signature, self._keys, algorithm)


@dataclass(frozen=True, slots=True)
class Accounts:
    """All accounts at one moment."""

    by_sid: Mapping[str, Account]

    @classmethod
    def of(cls, accounts: Iterable[Account]) -> "Accounts":
        return cls({account.sid: account for account in accounts})

    def get(self, sid: str | None) -> Account | None:
        """The account with this SID."""
        return None if sid is None else self.by_sid.get(sid)

    def tenant_of(self, sid: str) -> str | None:
        """Whom the records of this account belong to, if the account says so."""
        account = self.by_sid.get(sid)
        return account.tenant if account is not None else None

    def signer(
        self,
        target: bytes,
        body: bytes,
        signature: bytes,
        algorithm: str = DEFAULT_ALGORITHM,
        origin: Origin | None = None,
    ) -> Account | None:
        """The account that signed a JSON body sent to `target`, the path and query as they were asked for.

        The one that the query names, if it names one; else any, if there are at most `MOST_TRIED`. None when
        none signed the URL, or the body is not the one whose hash the URL has.
        """
        query = target.partition(b"?")[2]
        for account in self._candidates(query):
            if account.signed(target, signature, algorithm, origin):
                return account if verify_body(query, body) else None
        return None

    def _candidates(self, query: bytes) -> Iterable[Account]:
        try:
            named = dict(parse_qsl(query.decode("utf-8", "replace"), max_num_fields=MOST_PARAMETERS))
        except ValueError:
            return ()
        if ACCOUNT_PARAMETER in named:
            account = self.get(named[ACCOUNT_PARAMETER])
            return () if account is None else (account,)
        return self.by_sid.values() if len(self.by_sid) <= MOST_TRIED else ()
