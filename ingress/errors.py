"""What can go wrong in the ingress apart from a request that is refused (see `ingress.refusals`)."""


class IngressError(Exception):
    """Root of this package's errors."""


class ConfigError(IngressError, ValueError):
    """The ingress may not start like this; the message says which setting is wrong and what to set."""


class NotKept(IngressError):
    """Neither the broker nor the journal confirmed a record in time, so nothing may be answered with 2xx.

    The record may still have been written: a repeat is recognised by its event id or message SID.
    """


class BrokerAway(IngressError):
    """No broker answered a question about the cluster in time."""
