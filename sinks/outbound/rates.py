"""The senders' rates as the deployment has set them: its own for each, and what holds for the others."""

from sinks.outbound.config import OutboundConfig
from sinks.outbound.pacing.rate import PACIFIC, Rates, SenderRate
from streams.policy import SenderProfile


def rates_of(config: OutboundConfig) -> Rates:
    """From the policy file's senders; what they leave out is SENDER_RATE and SENDER_BURST.

    Raises UnusableRate when these limit nothing.
    """
    default = SenderRate(segments_per_s=config.sender_rate, burst=config.sender_burst)
    own = {name: _rate(profile, default) for name, profile in config.policies.senders.items()}
    return Rates(default, own)


def _rate(profile: SenderProfile, default: SenderRate) -> SenderRate:
    return SenderRate(
        segments_per_s=profile.segments_per_s or default.segments_per_s,
        burst=profile.burst or default.burst,
        daily_segments=profile.daily_segments,
        day_zone=profile.day_zone or PACIFIC,
        concurrency=profile.concurrency,
    )
