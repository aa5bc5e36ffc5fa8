"""Is this request from Twilio: from a whole HTTP request to a verified form or body, or the reason why not.

Guarantees: pure; fails closed: what is verified was signed with a token of the account it names, over the
public URL with exactly the path and query that were asked for, and all parameters (of a JSON body, its
hash); nothing a client sends raises.
Leaves to others: what the form means.
"""

from collections.abc import Callable

import msgspec

from ingress.accounts import Account, Accounts
from ingress.calls import Call
from ingress.config import IngressConfig
from ingress.form import Form, parse_form
from ingress.forwarded import Origin, TrustedProxies, forwarded_origin
from ingress.refusals import Reason, Refusal
from ingress.signature import DEFAULT_ALGORITHM, SETTINGS_HEADER, SIGNATURE_HEADER, algorithm_of

_SIGNATURE = SIGNATURE_HEADER.encode()
_SETTINGS = SETTINGS_HEADER.encode()


class VerifiedForm(msgspec.Struct, frozen=True, gc=False):
    """`query` is that of the URL, as signed."""

    form: Form
    query: str
    account: Account


class VerifiedBody(msgspec.Struct, frozen=True):
    """The bytes of a JSON body, as signed."""

    body: bytes
    account: Account


class Reader:
    """Verifies requests. `accounts` gives the accounts of the moment."""

    __slots__ = ("_accounts", "_local", "_proxies")

    def __init__(self, config: IngressConfig, accounts: Callable[[], Accounts]) -> None:
        self._accounts = accounts
        self._proxies: TrustedProxies | None = (
            config.trusted_proxies if config.trusted_proxies.networks else None
        )
        self._local = config.local

    def form(self, call: Call) -> VerifiedForm | Refusal:
        """Of a POST the body's parameters are signed one by one; of a GET the URL with its query is."""
        form = parse_form(call.query if call.is_get else call.body)
        if isinstance(form, Refusal):
            return form
        given = call.headers.get(_SIGNATURE)
        if given is None:
            return _UNSIGNED
        account = self._accounts().by_sid.get(form.values.get("AccountSid", ""))
        if account is None:
            return _UNKNOWN_ACCOUNT
        rest = call.target if call.is_get else call.target + form.signed_text
        if account.signed(rest, given, _algorithm(call), self._origin(call)):
            return VerifiedForm(form, call.query.decode("utf-8", "replace"), account)
        return _FORGED

    def json(self, call: Call) -> VerifiedBody | Refusal:
        """The URL is signed, and holds the body's hash; the body is not looked into before that is proved."""
        given = call.headers.get(_SIGNATURE)
        if given is None:
            return _UNSIGNED
        account = self._accounts().signer(call.target, call.body, given, _algorithm(call), self._origin(call))
        return _FORGED if account is None else VerifiedBody(call.body, account)

    def _origin(self, call: Call) -> Origin | None:
        if self._proxies is None:
            return None
        peer = call.scope.get("client")
        return forwarded_origin(
            self._proxies, peer[0] if peer else None, call.scope["headers"], local=self._local
        )


def _algorithm(call: Call) -> str:
    settings = call.headers.get(_SETTINGS)
    return DEFAULT_ALGORITHM if settings is None else algorithm_of(settings.decode("latin-1"))


_UNSIGNED = Refusal(Reason.MISSING_SIGNATURE, "there is no X-Twilio-Signature; only Twilio may call this")
_UNKNOWN_ACCOUNT = Refusal(
    Reason.UNKNOWN_ACCOUNT,
    "no auth token is known for this AccountSid; add the account to the ingress's accounts",
)
_FORGED = Refusal(
    Reason.BAD_SIGNATURE,
    "the signature does not match; check that PUBLIC_BASE_URL is the address Twilio calls, and that "
    "the token is the account's primary auth token",
)
