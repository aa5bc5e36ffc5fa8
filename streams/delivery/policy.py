"""What a deployment decides about deliveries."""

import msgspec

from streams.policy import Policies, TenantPolicy


class DeliveryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """All times in milliseconds.

    `settle_ms` is how long a bad end waits for news that overtook it or was overtaken by it, before anything
    follows from it. `remember_ms` is how long after its last news a notification is known at all: a repeat of
    its idempotency key after that is another notification. `price_after_ms` is how long after its end the
    provider is asked what a message cost; None: never.
    """

    default_sender: str
    max_attempts: int = 3
    retry_base_ms: int = 60_000
    longest_retry_ms: int = 3_600_000
    settle_ms: int = 2_000
    command_ttl_ms: int = 4 * 3_600_000
    admission_again_ms: int = 60_000
    quiet_after_ms: int = 900_000
    unconfirmed_after_ms: int = 72 * 3_600_000
    remember_ms: int = 7 * 86_400_000
    price_after_ms: int | None = None
    tenants: dict[str, "DeliveryPolicy"] = {}

    def of(self, tenant: str) -> "DeliveryPolicy":
        """What holds for this tenant; these values for one that decides nothing of its own."""
        return self.tenants.get(tenant, self)

    def refined(self, policies: Policies) -> "DeliveryPolicy":
        """With what the policy file says of retries, for everybody and by tenant."""
        tenants = {name: self._retrying(policy) for name, policy in policies.tenants.items()}
        return msgspec.structs.replace(self._retrying(policies.default), tenants=tenants)

    def _retrying(self, tenant: TenantPolicy) -> "DeliveryPolicy":
        retry = tenant.retry
        return msgspec.structs.replace(
            self,
            max_attempts=retry.attempts,
            retry_base_ms=retry.base_ms,
            longest_retry_ms=retry.longest_ms,
            settle_ms=retry.settle_ms,
        )
