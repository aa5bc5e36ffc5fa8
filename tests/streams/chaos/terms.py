"""What the processes of the run and its verdict must agree on: policies whose waits end within a run."""

from __future__ import annotations

import msgspec

from schemas.vocabulary import Category, Channel
from streams.delivery import DeliveryPolicy
from streams.intake import IntakePolicy
from streams.policy import Cap, ChainStep, Policies, TenantPolicy

PARTITIONS = 12
PATIENT, HASTY = "acme", "beta"
SENDERS = tuple(f"+1415555010{digit}" for digit in range(8))
CAPPED = Category.MARKETING
# Whatever a run's hour is, nobody sleeps: quiet hours would defer to tomorrow.
_TENANT = TenantPolicy(quiet_hours={}, caps={CAPPED: (Cap(limit=2, per_ms=3_000),)})
POLICIES = Policies(
    default=_TENANT,
    tenants={
        HASTY: msgspec.structs.replace(
            _TENANT,
            chains={Category.OTP: (ChainStep(Channel.WHATSAPP, wait_ms=1_500), ChainStep(Channel.SMS))},
            smart_encoding=True,
        )
    },
)
INTAKE = IntakePolicy(default_region="US", policies=POLICIES)
_DELIVERY = DeliveryPolicy(
    default_sender=SENDERS[0],
    max_attempts=3,
    retry_base_ms=500,
    longest_retry_ms=4_000,
    settle_ms=200,
    command_ttl_ms=600_000,
    # Shorter than a restart: checks are asked again in every run.
    admission_again_ms=5_000,
    quiet_after_ms=2_000,
    unconfirmed_after_ms=8_000,
)
DELIVERY = msgspec.structs.replace(
    _DELIVERY, tenants={HASTY: msgspec.structs.replace(_DELIVERY, max_attempts=2, settle_ms=100)}
)
SESSION_TIMEOUT_S = 6.0
