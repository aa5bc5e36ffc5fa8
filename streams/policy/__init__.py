"""What the tenants of a deployment decide: read once from a file, followed by the stream processors.

`load_policy(path)` gives Policies, `policies.of(tenant)` a TenantPolicy.
"""

from streams.policy.file import PolicyError, load_policy
from streams.policy.policies import DEFAULTS, EVERY_TENANT, Policies
from streams.policy.sections import (
    ANY_COUNTRY,
    Cap,
    ChainStep,
    DeadNumbers,
    Prices,
    QuietHours,
    RepeatedFailures,
    Retry,
    WhatsAppWindow,
)
from streams.policy.senders import SenderGroup, SenderType, bare_sender
from streams.policy.tenant import OTHER_SENDERS, TenantPolicy
from streams.policy.values import Duration, Hours, Weekday

__all__ = [
    "ANY_COUNTRY",
    "DEFAULTS",
    "EVERY_TENANT",
    "OTHER_SENDERS",
    "Cap",
    "ChainStep",
    "DeadNumbers",
    "Duration",
    "Hours",
    "Policies",
    "PolicyError",
    "Prices",
    "QuietHours",
    "RepeatedFailures",
    "Retry",
    "SenderGroup",
    "SenderType",
    "TenantPolicy",
    "Weekday",
    "WhatsAppWindow",
    "bare_sender",
    "load_policy",
]
