"""What can be wrong with a record's bytes, or with the way to the registry."""


class WireError(Exception):
    """These bytes will never be readable as the record they should be: a dead letter, not a reason to stop.

    `reason` is a code for tables and counters, the message says what is wrong and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RegistryUnavailable(Exception):
    """The schema registry could not be asked. Says nothing about the record: stop and try again."""
