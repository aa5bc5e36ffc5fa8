"""What the tenants of a deployment decide, and what its senders are: read once from a file, followed by the
stream processors and the outbound sink.

`load_policy(path)` gives Policies, `policies.of(tenant)` a TenantPolicy, `policies.sender(name)` a
SenderProfile.
"""

from streams.policy.file import PolicyError, load_policy
from streams.policy.policies import DEFAULTS, EVERY_TENANT, Policies
from streams.policy.profiles import Campaign, CampaignState, SenderProfile, SenderRules, Verification
from streams.policy.routing import Route
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
from streams.policy.sending import AddressRetention, ContentRetention, Sending
from streams.policy.tenant import OTHER_SENDERS, TenantPolicy
from streams.policy.values import Duration, Hours, Weekday

__all__ = [
    "ANY_COUNTRY",
    "DEFAULTS",
    "EVERY_TENANT",
    "OTHER_SENDERS",
    "AddressRetention",
    "Campaign",
    "CampaignState",
    "Cap",
    "ChainStep",
    "ContentRetention",
    "DeadNumbers",
    "Duration",
    "Hours",
    "Policies",
    "PolicyError",
    "Prices",
    "QuietHours",
    "RepeatedFailures",
    "Retry",
    "Route",
    "SenderGroup",
    "SenderProfile",
    "SenderRules",
    "SenderType",
    "Sending",
    "TenantPolicy",
    "Verification",
    "Weekday",
    "WhatsAppWindow",
    "bare_sender",
    "load_policy",
]
