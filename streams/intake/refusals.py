"""Why a request goes no further."""


class Refusal(Exception):
    """Why a request cannot be sent. `reason` is a code, the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def of(self, what: str) -> "Refusal":
        """The same refusal, saying of which part of the request it is."""
        return Refusal(self.reason, f"{what}: {self}")


class Unidentifiable(Exception):
    """The request names no notification that could be told of, so nobody can be: a dead letter."""
