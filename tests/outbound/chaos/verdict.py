"""The verdict: what was told of each command, held against what the simulated provider knows it did.

Pure, so that a test can show each wrong it must find. The sink's own journal plays no part: a promise that
it kept only in its books would pass. What was told is `outbound.attempts`, which streams.delivery reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from bench.outbound.pacing import Text, above_bucket
from sandbox.carrier.ledger import Connection, Ledger, SeenRequest, SimMessage
from schemas.records import AttemptEvent, DeadLetter, OutboundCommand
from schemas.vocabulary import Channel, CommandResult, ErrorClass
from tests.outbound.chaos.outside import Place
from tests.outbound.chaos.plan import ENDS, Kind, Story
from tests.outbound.chaos.terms import HELD_UP, SLOW_BURST, SLOW_RATE, SLOW_SENDERS
from tests.outbound.simulator import command_of

R = CommandResult
_NEVER_CALLED = frozenset({R.SUPPRESSED, R.EXPIRED, R.CANCELED})
_STAGES = {R.IN_DOUBT: 0, R.HELD: 1}
# A look-up's list may be so much older than what is told by it.
_LOOK_UP_MS = 10_000
Told = Mapping[str, Sequence[AttemptEvent]]


@dataclass(slots=True)
class Verdict:
    """`wrong` is empty when all promises were kept; the rest says what was looked at."""

    wrong: list[str] = field(default_factory=list)
    results: Counter[str] = field(default_factory=Counter)
    behaviours: Counter[str] = field(default_factory=Counter)
    held_because: Counter[str] = field(default_factory=Counter)
    commands: int = 0
    messages: int = 0
    handsets: int = 0
    doubts: int = 0
    by_look_up: int = 0
    by_callback: int = 0
    dead_letter_copies: int = 0
    fastest: float = float("-inf")

    def __str__(self) -> str:
        def listed(counts: Counter[str]) -> str:
            return ", ".join(f"{number} {what}" for what, number in counts.most_common()) or "none"

        return (
            f"{self.commands} commands, {self.messages} messages, {self.handsets} on a handset, none twice "
            f"unless told below\nends: {listed(self.results)}\n"
            f"{self.doubts} in doubt for a time; settled {self.by_look_up} by look-up, "
            f"{self.by_callback} by callback\nheld: {listed(self.held_because)}\n"
            f"the provider: {listed(self.behaviours)}; "
            f"{self.dead_letter_copies} copies of dead letters\n"
            f"slow senders: {self.fastest:+.1f} segments above bucket and rate, at the worst moment"
        )


def judge(
    stories: Mapping[str, Story],
    told: Told,
    ledger: Ledger,
    unreadable: Iterable[Place],
    letters: Sequence[DeadLetter],
) -> Verdict:
    """The run must have ended: nothing under way at the provider, nothing unread in the lanes."""
    seen = _Seen(ledger)
    verdict = Verdict(
        commands=len(stories), messages=len(ledger.messages), handsets=len({h.sid for h in ledger.handsets})
    )
    verdict.behaviours.update(
        request.behaviour if request.ordinal else f"refused {request.error_code}"
        for request in ledger.requests
    )
    wrong = verdict.wrong
    wrong += [f"{each}: called, and nobody commanded it" for each in seen.requests.keys() - stories.keys()]
    wrong += [f"{each}: told of, and nobody commanded it" for each in told.keys() - stories.keys()]
    for command_id, found in stories.items():
        _check_calls(wrong, command_id, seen)
        _check_end(verdict, found, told.get(command_id, ()), seen)
    claims = _claims(wrong, told)
    pairs: dict[_Pair, list[str]] = {}
    for command_id, found in stories.items():
        pairs.setdefault(_pair(found.command), []).append(command_id)
    for command_id, found in stories.items():
        last = next(reversed(told.get(command_id, ())), None)
        if last is not None and last.result is R.HELD:
            rivals = [each for each in pairs[_pair(found.command)] if _is_rival(each, last, told, seen)]
            verdict.held_because[_why_held(wrong, found, last, seen, claims, rivals)] += 1
    _check_rates(verdict, stories, ledger)
    _check_dead_letters(verdict, set(unreadable), letters)
    return verdict


class _Pair(NamedTuple):
    """Whose messages could be each other's."""

    sender: str
    recipient: str


class _Seen:
    """The ledger by command and by pair."""

    def __init__(self, ledger: Ledger) -> None:
        self.requests: dict[str, list[SeenRequest]] = {}
        for request in ledger.requests:
            self.requests.setdefault(command_of(request.status_callback), []).append(request)
        self.messages: dict[str, SimMessage] = {message.sid: message for message in ledger.messages}
        self.shown: Counter[str] = Counter(handset.sid for handset in ledger.handsets)
        self.of_pair: dict[_Pair, list[SimMessage]] = {}
        self.in_vain: dict[str, list[int]] = {}
        for asked in ledger.lists:
            if asked.error_code is not None:
                self.in_vain.setdefault(asked.to, []).append(asked.at_ms)
        for message in ledger.messages:
            sender = message.service or message.sender or ""
            self.of_pair.setdefault(_Pair(sender, message.to), []).append(message)

    def made(self, command_id: str) -> list[SimMessage]:
        return [self.messages[r.sid] for r in self.requests.get(command_id, ()) if r.sid is not None]


def _check_calls(wrong: list[str], command_id: str, seen: _Seen) -> None:
    """What holds whatever was told: one call at most, one message at most, on one handset once at most."""
    calls, made = seen.requests.get(command_id, []), seen.made(command_id)
    shown = sum(seen.shown[message.sid] for message in made)
    if shown > 1:
        wrong.append(f"{command_id}: REACHED A HANDSET {shown} TIMES")
    if len(made) > 1:
        wrong.append(f"{command_id}: {len(made)} messages")
    if len(calls) > 1:
        wrong.append(f"{command_id}: called {len(calls)} times: {[call.behaviour for call in calls]}")


def _check_end(verdict: Verdict, found: Story, events: Sequence[AttemptEvent], seen: _Seen) -> None:
    command_id, wrong = found.command.command_id, verdict.wrong
    if not events:
        wrong.append(f"{command_id} ({found.kind}): LOST: nothing was told of it; {_fate(command_id, seen)}")
        return
    results = [event.result for event in events]
    verdict.doubts += R.IN_DOUBT in results
    # In doubt, then held, then the end, each at most once: nothing is told again, and nothing taken back.
    stages = [_STAGES.get(result, 2) for result in results]
    if any(later <= earlier for earlier, later in pairwise(stages)):
        wrong.append(f"{command_id}: told {' then '.join(results)}")
    last, made = events[-1], seen.made(command_id)
    verdict.results[last.result.value] += 1
    if last.result not in ENDS[found.kind]:
        wrong.append(f"{command_id} ({found.kind}): ended {last.result}; {_fate(command_id, seen)}")
    match last.result:
        case R.ACCEPTED:
            _check_accepted(verdict, found, last, made, seen)
        case R.HELD:
            pass  # explained by `_why_held`
        case R.IN_DOUBT:
            wrong.append(f"{command_id}: LOST: still in doubt; {_fate(command_id, seen)}")
        case _ if made:
            wrong.append(f"{command_id}: told {last.result}, and there is a message: {last.detail}")
        case R.REJECTED:
            _check_rejected(wrong, last, seen)
        case R.ABSENT:
            verdict.by_look_up += R.IN_DOUBT in results
    never = found.kind in (Kind.STALE, Kind.FORBIDDEN) or last.result in _NEVER_CALLED
    if never and (calls := seen.requests.get(command_id)):
        wrong.append(f"{command_id} ({found.kind}): {last.result}, and called {len(calls)} times")


def _check_accepted(
    verdict: Verdict, found: Story, event: AttemptEvent, made: list[SimMessage], seen: _Seen
) -> None:
    command_id, wrong = event.command_id, verdict.wrong
    if not made:
        wrong.append(f"{command_id}: told accepted, and there is no message; {_fate(command_id, seen)}")
        return
    told = seen.messages.get(event.sid or "")
    if told is None:
        wrong.append(f"{command_id}: told accepted as {event.sid}, which the provider does not know")
        return
    if event.request_id is not None or event.latency_ms is not None:
        answered = [r for r in seen.requests[command_id] if r.connection is Connection.ANSWERED]
        if [r.sid for r in answered] != [event.sid]:
            wrong.append(f"{command_id}: told its call's answer {event.sid}, which the call was not given")
    elif event.detail == "by callback":
        verdict.by_callback += 1
        if told.sid != made[0].sid:
            wrong.append(f"{command_id}: its callback named {event.sid}, its message is {made[0].sid}")
    else:
        verdict.by_look_up += 1
    # Messages with one text from one sender to one person are nobody's in particular.
    mine = made[0]
    alike = (told.service or told.sender, told.to, told.body_sha256)
    if alike != (mine.service or mine.sender, mine.to, mine.body_sha256):
        wrong.append(f"{command_id}: told accepted as {event.sid}, which says something else")


def _check_rejected(wrong: list[str], event: AttemptEvent, seen: _Seen) -> None:
    """In the provider's words: the code it answered."""
    codes = [request.error_code for request in seen.requests.get(event.command_id, ())]
    if codes != [event.error_code]:
        wrong.append(f"{event.command_id}: told rejected with {event.error_code}; it was answered {codes}")
    elif event.error_code == 20429 and event.error_class is not ErrorClass.RATE:
        wrong.append(f"{event.command_id}: a 429 told as {event.error_class}")


def _claims(wrong: list[str], told: Told) -> dict[str, AttemptEvent]:
    """Who was told to have made each message: one command at most."""
    claims: dict[str, AttemptEvent] = {}
    for events in told.values():
        for event in events:
            if event.result is R.ACCEPTED and event.sid is not None:
                first = claims.setdefault(event.sid, event)
                if first.command_id != event.command_id:
                    wrong.append(f"{event.sid}: told of {first.command_id} and of {event.command_id}")
    return claims


def _pair(command: OutboundCommand) -> _Pair:
    """As the provider writes addresses."""
    prefix = f"{Channel.WHATSAPP.value}:" if command.channel is Channel.WHATSAPP else ""
    return _Pair(prefix + command.sender, prefix + command.recipient)


def _is_rival(command_id: str, held: AttemptEvent, told: Told, seen: _Seen) -> bool:
    """Whether this other one's fate was open, too, when that was told."""
    events = told.get(command_id, ())
    if command_id == held.command_id or not events:
        return False
    begun = min([events[0].at, *(call.at_ms for call in seen.requests.get(command_id, ()))])
    ended = float("inf") if events[-1].result is R.HELD else events[-1].at
    return begun <= held.at and ended >= held.at - _LOOK_UP_MS


def _why_held(
    wrong: list[str],
    found: Story,
    event: AttemptEvent,
    seen: _Seen,
    claims: Mapping[str, AttemptEvent],
    rivals: list[str],
) -> str:
    """What forbade both proofs: a message that nobody had claimed, and could be another's; or no list."""
    what = f"{event.command_id}: HELD ({event.detail})"
    fate = _fate(event.command_id, seen)
    free = [
        message
        for message in seen.of_pair.get(_pair(found.command), [])
        if message.created_ms <= event.at
        and ((claim := claims.get(message.sid)) is None or claim.at >= event.at - _LOOK_UP_MS)
    ]
    pair = _pair(found.command)
    if any(event.at - _LOOK_UP_MS <= at <= event.at for at in seen.in_vain.get(pair.recipient, ())):
        return "the provider refused to list the person's messages"
    if not free:
        wrong.append(
            f"{what}, and no message without an owner stood against the proof of its absence; {fate}"
        )
        return "without a reason"
    own = {message.sid for message in seen.made(event.command_id)}
    if own and not rivals and all(message.sid in own for message in free):
        wrong.append(f"{what}, and its message could be nobody else's; {fate}")
        return "without a reason"
    return "sent, but the message may be another's" if own else "not sent, but a message may be its own"


def _fate(command_id: str, seen: _Seen) -> str:
    calls = seen.requests.get(command_id)
    if not calls:
        return "it was never called"
    return "its call: " + ", ".join(f"{call.behaviour} ({call.connection.value})" for call in calls)


def _check_rates(verdict: Verdict, stories: Mapping[str, Story], ledger: Ledger) -> None:
    """Whatever became of the processes, no slow sender was faster than its bucket and its rate allow."""
    texts: dict[str, list[Text]] = {sender: [] for sender in SLOW_SENDERS}
    for request in sorted(ledger.requests, key=lambda each: each.at_ms):
        found = stories.get(command_of(request.status_callback))
        if found is not None and found.command.sender in texts:
            texts[found.command.sender].append(Text(request.at_ms / 1000, found.command.segments))
    for sender, came in texts.items():
        above = above_bucket(came, SLOW_RATE, SLOW_BURST)
        verdict.fastest = max(verdict.fastest, above)
        if above > HELD_UP:
            verdict.wrong.append(f"{sender}: TOO FAST by {above:.1f} segments at the worst moment")


def _check_dead_letters(verdict: Verdict, unreadable: set[Place], letters: Sequence[DeadLetter]) -> None:
    told = Counter(Place(letter.topic, letter.partition, letter.offset) for letter in letters)
    verdict.dead_letter_copies = sum(told.values()) - len(told)
    verdict.wrong += [f"{place}: unreadable, and no dead letter" for place in unreadable - told.keys()]
    verdict.wrong += [f"{place}: a dead letter of what can be read" for place in told.keys() - unreadable]
