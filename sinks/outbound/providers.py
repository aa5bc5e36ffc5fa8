"""The providers of this deployment: the one place where an adapter is named."""

from sinks.outbound.config import OutboundConfig
from sinks.outbound.provider import TWILIO, Providers
from sinks.outbound.twilio_api import TwilioMessages


def providers_of(config: OutboundConfig, pool: int) -> Providers:
    """The adapters by name, with `pool` connections each. Must be called on the running event loop."""
    return {TWILIO: TwilioMessages(config.twilio, pool, config.policies)}
