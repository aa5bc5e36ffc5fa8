"""What the simulator's ledger says became of one notification, and which outcomes agree with it. Pure."""

from collections import Counter

from sandbox.carrier.ledger import SeenRequest, SimMessage
from schemas.vocabulary import NotificationState

_GOOD = frozenset({"delivered", "read"})
_NEVER_LEFT = frozenset({"failed", "canceled"})


class Attempts:
    """What the ledger knows of one notification."""

    def __init__(self) -> None:
        self.requests: list[SeenRequest] = []
        self.messages: list[SimMessage] = []
        self.accepted_per_attempt: Counter[int] = Counter()
        self.last_attempt = 0
        self.last: list[SeenRequest] = []

    def add(self, attempt: int, request: SeenRequest, message: SimMessage | None) -> None:
        self.requests.append(request)
        if message is not None:
            self.messages.append(message)
        self.accepted_per_attempt[attempt] += request.accepted
        if attempt > self.last_attempt:
            self.last_attempt, self.last = attempt, []
        if attempt == self.last_attempt:
            self.last.append(request)


def truth(of: Attempts, *, excused: bool) -> frozenset[NotificationState]:
    """The states that agree with the ledger."""
    ends = {message.final_status for message in of.messages}
    if ends & _GOOD:
        # `read` may be told or not; but nobody may claim it who was not told.
        good = {NotificationState.DELIVERED}
        return frozenset(good | {NotificationState.READ} if "read" in ends else good)
    if excused and not of.messages:
        return frozenset({NotificationState.SUPPRESSED})
    by_sid = {message.sid: message for message in of.messages}
    accepted = [by_sid[r.sid] for r in of.last if r.sid is not None and r.sid in by_sid]
    end = accepted[-1].final_status if accepted else "failed"
    if end == "undelivered":
        state = NotificationState.UNDELIVERED
    else:
        state = NotificationState.FAILED if end in _NEVER_LEFT else NotificationState.UNCONFIRMED
    # A STOP between two attempts ends the notification before the second.
    return frozenset({state, NotificationState.SUPPRESSED} if excused else {state})
