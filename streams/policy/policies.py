"""The policies of all tenants in one object, and how long anything in them looks back."""

import msgspec

from streams.policy.tenant import TenantPolicy

EVERY_TENANT = "*"
"""In the file every tenant without an entry; as the tenant of a sender, those that all tenants share."""


class Policies(msgspec.Struct, frozen=True):
    """`of` gives a tenant's policy; without arguments the defaults hold for everybody."""

    default: TenantPolicy = TenantPolicy()
    tenants: dict[str, TenantPolicy] = {}

    def of(self, tenant: str) -> TenantPolicy:
        return self.tenants.get(tenant, self.default)

    def everyone(self) -> tuple[TenantPolicy, ...]:
        return (self.default, *self.tenants.values())
