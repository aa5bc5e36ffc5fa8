"""What really happened, judged: the plan and the pipeline's outcomes against the simulator's ledger. Pure.

Guarantees: `double_sends`, `lost`, `wrong_state` and `sent_after_opt_out` are counted from what the simulator
did and saw; an outcome is only ever the accused, never the witness. Each of them comes with findings that
name the notification. Leaves to `run` that everything has come to its end before.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from sandbox.carrier.ledger import Ledger, OptOut
from sandbox.demo.callbacks import attempt_of
from sandbox.demo.plan import Kind, Plan, Planned
from sandbox.demo.truth import Attempts, truth
from schemas.records import NotificationOutcome
from schemas.vocabulary import NotificationState

PROMISES = ("open", "double_sends", "lost", "wrong_state", "sent_after_opt_out", "wrong_figures")
"""The fields of a verdict that must be zero."""

_UNSUBSCRIBED = 21610
_TRIED = frozenset({Kind.NOTIFICATION, Kind.STOPPED})


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: `kind` is the field of the verdict that counts it."""

    kind: str
    notification_id: str
    what: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`requested` are events; what follows down to `open` is notifications by outcome, except `accepted`:
    notifications of which the ledger accepted a message. `api_calls` are creates the ledger saw. `figures`
    are those of the reports that were compared with the ledger (`sandbox.demo.proof`)."""

    requested: int
    duplicates: int
    conflicts: int
    dead_letters: int
    invalid: int
    suppressed: int
    accepted: int
    delivered: int
    undelivered: int
    failed: int
    unconfirmed: int
    open: int
    api_calls: int
    double_sends: int
    lost: int
    wrong_state: int
    sent_after_opt_out: int
    elapsed_s: float
    reports_checked: int = 0
    figures: int = 0
    wrong_figures: int = 0
    findings: tuple[Finding, ...] = ()

    @property
    def passed(self) -> bool:
        return not any(getattr(self, promise) for promise in PROMISES)


def judge(
    plan: Plan,
    outcomes: Mapping[str, NotificationOutcome],
    dead_letters: Collection[bytes],
    ledger: Ledger,
    elapsed_s: float,
) -> Verdict:
    """`outcomes` are the latest by notification id; `dead_letters` the bytes that were given up."""
    case = _Case(plan, outcomes, ledger)
    firsts = {p.notification_id: p for p in plan.events if p.kind not in (Kind.REPEAT, Kind.CONFLICT)}
    for identity, planned in firsts.items():
        if identity is not None:
            case.examine(identity, planned)
    case.examine_strangers(set(firsts))
    case.examine_conflicts(p for p in plan.events if p.kind is Kind.CONFLICT)
    for planned in plan.events:
        if planned.kind is Kind.UNREADABLE and planned.value not in dead_letters:
            case.find("open", planned.key, "unreadable bytes that are no dead letter")
    states = Counter(outcome.state for outcome in outcomes.values())
    wrong = Counter(finding.kind for finding in case.findings)
    return Verdict(
        requested=len(plan.events),
        duplicates=sum(outcome.duplicates for outcome in outcomes.values()),
        conflicts=states[NotificationState.CONFLICT],
        dead_letters=len(dead_letters),
        invalid=states[NotificationState.INVALID],
        suppressed=states[NotificationState.SUPPRESSED],
        accepted=sum(any(r.accepted for r in of.requests) for of in case.attempts.values()),
        delivered=states[NotificationState.DELIVERED] + states[NotificationState.READ],
        undelivered=states[NotificationState.UNDELIVERED],
        failed=states[NotificationState.FAILED],
        unconfirmed=states[NotificationState.UNCONFIRMED],
        open=wrong["open"],
        api_calls=len(ledger.requests),
        double_sends=wrong["double_sends"],
        lost=wrong["lost"],
        wrong_state=wrong["wrong_state"],
        sent_after_opt_out=wrong["sent_after_opt_out"],
        elapsed_s=round(elapsed_s, 1),
        findings=tuple(case.findings),
    )


class _Case:
    def __init__(self, plan: Plan, outcomes: Mapping[str, NotificationOutcome], ledger: Ledger) -> None:
        self.findings: list[Finding] = []
        self._outcomes = outcomes
        self._tenants = plan.sender_tenants
        self._messages = {message.sid: message for message in ledger.messages}
        self._reached = Counter(handset.sid for handset in ledger.handsets)
        self._opt_outs: defaultdict[tuple[str, str], list[OptOut]] = defaultdict(list)
        for said in ledger.opt_outs:
            self._opt_outs[said.recipient, self._tenants.get(said.sender, "*")].append(said)
        self.attempts: defaultdict[str, Attempts] = defaultdict(Attempts)
        for request in ledger.requests:
            reference = attempt_of(request.status_callback)
            if reference is None:
                self.find("wrong_state", "?", f"a create without our callback URL, to {request.to}")
                continue
            message = self._messages.get(request.sid) if request.sid is not None else None
            self.attempts[reference.notification_id].add(reference.attempt, request, message)

    def find(self, kind: str, identity: str, what: str) -> None:
        self.findings.append(Finding(kind, identity, what))

    def examine(self, identity: str, planned: Planned) -> None:
        outcome = self._outcomes.get(identity)
        of = self.attempts.get(identity, Attempts())
        self._examine_sends(identity, planned, of)
        if outcome is None or not outcome.final:
            state = "no outcome" if outcome is None else outcome.state
            self.find("open", identity, f"{planned.kind.value}: {state}")
        if planned.kind in _TRIED:
            excused = self._refuses(planned, of)
            if not of.requests and not excused:
                state = "no outcome" if outcome is None else outcome.state
                self.find("lost", identity, f"never asked of Twilio; the pipeline says {state}")
            elif outcome is not None and outcome.final:
                allowed = truth(of, excused=excused)
                if outcome.state not in allowed:
                    said = " or ".join(sorted(allowed))
                    self.find(
                        "wrong_state", identity, f"the pipeline says {outcome.state}, the ledger {said}"
                    )
        elif outcome is not None and outcome.final and outcome.state is not NotificationState.INVALID:
            self.find("wrong_state", identity, f"{planned.kind.value} became {outcome.state}, not invalid")

    def examine_strangers(self, known: Collection[str | None]) -> None:
        for identity, of in self.attempts.items():
            if identity not in known:
                self.find("wrong_state", identity, f"{len(of.requests)} creates that nobody asked for")

    def examine_conflicts(self, repeats: Iterable[Planned]) -> None:
        refused = Counter(o.conflicts_with for o in self._outcomes.values() if o.conflicts_with is not None)
        for planned in repeats:
            if not refused[planned.notification_id or ""]:
                self.find(
                    "open", planned.notification_id or "?", "a repeat with other content was not refused"
                )

    def _examine_sends(self, identity: str, planned: Planned, of: Attempts) -> None:
        reached = sum(self._reached[message.sid] > 0 for message in of.messages)
        shown_again = any(self._reached[message.sid] > 1 for message in of.messages)
        repeated = [attempt for attempt, count in of.accepted_per_attempt.items() if count > 1]
        if reached > 1 or shown_again or repeated:
            detail = f"{reached} messages reached the handset"
            again = f"; accepted more than once: attempt {', '.join(map(str, repeated))}" if repeated else ""
            self.find("double_sends", identity, detail + again)
        if planned.kind not in _TRIED:
            if of.messages:
                self.find("wrong_state", identity, f"{planned.kind.value} was sent")
            return
        for request in of.requests:
            # Twilio refused it, so nobody was reached; but the pipeline must not have asked.
            if request.error_code == _UNSUBSCRIBED and self._opted_out_at(planned, request.at_ms):
                self.find("sent_after_opt_out", identity, "asked of Twilio after STOP, and refused there")
        assert planned.request is not None
        digest = hashlib.sha256((planned.text or "").encode()).hexdigest()
        templates = {request.sid: request.content_sid for request in of.requests}
        for message in of.messages:
            if message.to.rpartition(":")[2] != planned.request.recipient:
                self.find("wrong_state", identity, f"it went to {message.to}, who is somebody else")
            template = templates.get(message.sid)
            right = template == planned.content_sid if template is not None else message.body_sha256 == digest
            if not right:
                self.find("wrong_state", identity, "the person got another text than was asked for")
            if self._opted_out_at(planned, message.created_ms):
                self.find("sent_after_opt_out", identity, f"{message.to} had said STOP before")

    def _refuses(self, planned: Planned, of: Attempts) -> bool:
        """Whether the ledger knows a reason not to send: the person said so, or Twilio did."""
        told = any(request.error_code == _UNSUBSCRIBED for request in of.requests)
        return told or self._opted_out_at(planned, 2**63)

    def _opted_out_at(self, planned: Planned, at_ms: int) -> bool:
        request = planned.request
        assert request is not None
        said = [
            *self._opt_outs.get((request.recipient, request.tenant), ()),
            *self._opt_outs.get((request.recipient, "*"), ()),
        ]
        # Only what was said by then counts; the last word does.
        before = [word for word in said if word.at_ms <= at_ms]
        return bool(before) and max(before, key=lambda word: word.at_ms).opted_out
