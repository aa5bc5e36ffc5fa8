"""The policies of all tenants and the senders they share, and how far back anything in them looks."""

from collections.abc import Iterable

import msgspec

from streams.policy.profiles import SenderProfile, SenderRules
from streams.policy.senders import bare_sender
from streams.policy.tenant import TenantPolicy

EVERY_TENANT = "*"
"""In the file every tenant without an entry; as the tenant of a sender, those that all tenants share."""


class Lookback(msgspec.Struct, frozen=True):
    """The longest time (ms) that any tenant's policy looks back at each kind of thing."""

    failures_ms: int
    whatsapp_ms: int
    caps_ms: int

    @property
    def longest_ms(self) -> int:
        return max(self.failures_ms, self.whatsapp_ms, self.caps_ms)


class Policies(msgspec.Struct, frozen=True):
    """`of` gives a tenant's policy; without arguments the defaults hold for everybody.

    `senders` are the described ones, by number, short code, name or SID without channel prefix. Raises
    ValueError when a route names one that is none of them.
    """

    default: TenantPolicy = TenantPolicy()
    tenants: dict[str, TenantPolicy] = {}
    senders: dict[str, SenderProfile] = {}
    sender_rules: SenderRules = SenderRules()
    lookback: Lookback = Lookback(0, 0, 0)
    """Found from the policies, whatever is given."""

    def __post_init__(self) -> None:
        self._check_routes()
        msgspec.structs.force_setattr(self, "lookback", _lookback((self.default, *self.tenants.values())))

    def _check_routes(self) -> None:
        for tenant, policy in ((EVERY_TENANT, self.default), *self.tenants.items()):
            for number, route in enumerate(policy.routes):
                for sender in route.senders:
                    if sender not in self.senders:
                        raise ValueError(
                            f"tenants.{tenant}.routes[{number}]: {sender!r} is not described in senders"
                        )

    def of(self, tenant: str) -> TenantPolicy:
        return self.tenants.get(tenant, self.default)

    def sender(self, name: str) -> SenderProfile | None:
        """The sender's profile, whatever channel prefix it is written with; None when it is not described."""
        return self.senders.get(bare_sender(name))


def _lookback(policies: Iterable[TenantPolicy]) -> Lookback:
    failures, windows, caps = [0], [0], [0]
    for each in policies:
        dead = each.dead_numbers
        failures += [dead.forget_after_ms, dead.repeated.forget_after_ms + dead.repeated.within_ms]
        windows.append(each.whatsapp_window.length_ms)
        caps += [cap.per_ms for some in each.caps.values() for cap in some]
    return Lookback(max(failures), max(windows), max(caps))


DEFAULTS = Policies()
"""What holds without a policy file."""
