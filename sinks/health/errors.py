"""What can go wrong between the figures and the topic, by what is to be done about it."""


class HealthError(Exception):
    """Root of this package's errors; the message says what was wrong, where, and what to do."""


class Untold(HealthError):
    """The broker did not acknowledge what a look found: the next look finds and tells it again."""


class Unremembered(HealthError):
    """What was told before could not be read to its end: nothing may be decided yet."""
