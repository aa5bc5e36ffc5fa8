"""What a deployment decides about requests: defaults for what they leave out."""

import msgspec

from streams.policy import DEFAULTS, Policies
from streams.templates import Templates


class IntakePolicy(msgspec.Struct, frozen=True):
    """`default_region` completes numbers written without +; `policies` have each tenant's chains, prices and
    routes, and whether its texts are smart-encoded. `default_sender` is checked like any other sender where
    the policies describe it; without it steps without a sender and a route are delivery's to send."""

    default_region: str | None = None
    templates: Templates = {}
    policies: Policies = DEFAULTS
    default_sender: str | None = None
