"""The measurements: sends without a limit, rates kept, and the wait of the urgent.

Each has senders of its own, and its commands expire soon after it: nothing of one is left for the next.
"""

from __future__ import annotations

import threading
import time
from statistics import quantiles

import msgspec

from bench.outbound.bench import Bench, command, sender
from bench.outbound.child import SenderLimit, Watched
from bench.outbound.pacing import Text, above_bucket, worst_window_error
from bench.outbound.provider import Arrival, arrivals, count
from sandbox.carrier.ledger import fetch_ledger
from schemas.vocabulary import Priority
from tests.servers import running
from tests.waiting import wait_until

UNLIMITED = SenderLimit(100_000, 10_000)
_SENDERS = 100
_WARM_UP_S = 2.0
_CARRIER_S = 15.0


class Unthrottled(msgspec.Struct, frozen=True, kw_only=True):
    """`sends` after the first two seconds; `watched` is the sink from its start on."""

    sends: int
    sends_per_s: float
    concurrency: int
    watched: Watched


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """One sender at `rate` segments/s, of `senders` that are at work.

    `others_rate` is what the others were set to; all that have the same rate are measured, and the worst is
    told. `worst_window_error`: by how much of the rate any 10 s after the first 10 were off, at the provider.
    `above_bucket`: segments beyond burst + rate x time in any stretch, at most; a text that was held up on
    its way there comes together with the next.
    """

    rate: float
    senders: int
    others_rate: float
    burst: float
    text_segments: int
    seconds: float
    worst_window_error: float
    above_bucket: float
    measured: int


class Urgent(msgspec.Struct, frozen=True, kw_only=True):
    """From the moment an urgent command was written to its arrival at the provider, in seconds."""

    rate: float
    bulk_waiting: int
    commands: int
    p50_s: float
    p99_s: float
    max_s: float


def unthrottled(bench: Bench, provider: str, kind: int, sends: int, concurrency: int) -> Unthrottled:
    limits = {sender(kind, number): UNLIMITED for number in range(_SENDERS)}
    _fill(bench, list(limits), sends)
    before = count(provider)
    with bench.sink(provider, limits, concurrency) as watched:
        wait_until(lambda: count(provider) >= before + sends, 180, f"{sends} sends")
    came = [arrival.at_us / 1e6 for arrival in arrivals(provider, before)]
    return _speed(came, concurrency, watched())


def against_the_carrier(bench: Bench, sends: int, concurrency: int) -> float:
    """The same with the simulator that plans every message's life; nobody listens to its callbacks."""
    limits = {sender(900, number): UNLIMITED for number in range(_SENDERS)}
    _fill(bench, list(limits), sends)
    env = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "x"}
    env |= {"TWILIO_API_KEY_SID": "bench", "TWILIO_API_KEY_SECRET": "x"}
    log = bench.directory / "carrier.log"
    with running("sandbox.carrier", log=log, env=env) as carrier:
        with bench.sink(carrier.address, limits, concurrency) as watched:
            # Not by waiting for the last: to be asked for its whole ledger costs the simulator sends.
            time.sleep(_CARRIER_S)
        came = [request.at_ms / 1e3 for request in fetch_ledger(carrier.address).requests]
    return _speed(came, concurrency, watched()).sends_per_s


def _fill(bench: Bench, senders: list[str], sends: int) -> None:
    for number in range(sends):
        bench.write(command(senders[number % len(senders)], number), Priority.NORMAL)
    bench.flush()


def _speed(came: list[float], concurrency: int, watched: Watched) -> Unthrottled:
    counted = [at for at in came if at >= came[0] + _WARM_UP_S]
    return Unthrottled(
        sends=len(counted),
        sends_per_s=round((len(counted) - 1) / (counted[-1] - counted[0]), 1),
        concurrency=concurrency,
        watched=watched,
    )


def paced(
    bench: Bench, provider: str, kind: int, rate: float, together: int, seconds: float, most_per_s: float
) -> Paced:
    """`most_per_s`: texts that the sink can do; beyond that they are longer, and then the others slower."""
    segments, others = _shape(rate, together, most_per_s)
    limits = {
        sender(kind, number): _limit(rate if number == 0 else others, segments) for number in range(together)
    }
    sizes: dict[str, tuple[str, int]] = {}
    # As producers would write them: each sender's in step with its rate.
    due = sorted(
        (number * segments / limit.rate, name)
        for name, limit in limits.items()
        for number in range(int((limit.rate * (seconds + 5) + limit.burst) / segments) + 2)
    )
    for number, (_, name) in enumerate(due):
        each = command(name, number, segments, lasts_s=seconds + 30)
        sizes[each.command_id] = (name, segments)
        bench.write(each, Priority.NORMAL)
    bench.flush()
    before = count(provider)
    with bench.sink(provider, limits, concurrency=256):
        wait_until(lambda: count(provider) > before, 30, "the first to arrive")
        time.sleep(seconds)
    found = [arrival for arrival in arrivals(provider, before) if arrival.command_id in sizes]
    end = found[0].at_us / 1e6 + seconds
    at_provider = _by_sender(sizes, [(a.command_id, a.at_us / 1e6) for a in found if a.at_us / 1e6 <= end])
    measured = [name for name, limit in limits.items() if limit.rate == rate]
    errors = [worst_window_error(at_provider[name], rate) for name in measured]
    burst = limits[measured[0]].burst
    return Paced(
        rate=rate,
        senders=together,
        others_rate=others,
        burst=burst,
        text_segments=segments,
        seconds=seconds,
        worst_window_error=round(max(error if error is not None else 1.0 for error in errors), 5),
        above_bucket=round(max(above_bucket(at_provider[name], rate, burst) for name in measured), 2),
        measured=len(measured),
    )


def _shape(rate: float, together: int, most_per_s: float) -> tuple[int, float]:
    """How long the texts are, and the others' rate: what the sink can do when all are at work."""
    segments = 1 if rate * together <= most_per_s else 10
    left = most_per_s * segments - rate
    return segments, rate if together == 1 else min(rate, round(left / (together - 1), 1))


def _limit(rate: float, segments: int) -> SenderLimit:
    """A bucket of a fifth of a second, and of one text at least."""
    return SenderLimit(rate, max(float(segments), rate / 5))


def _by_sender(sizes: dict[str, tuple[str, int]], came: list[tuple[str, float]]) -> dict[str, list[Text]]:
    found: dict[str, list[Text]] = {name: [] for name, _ in sizes.values()}
    for command_id, at in came:
        name, segments = sizes[command_id]
        found[name].append(Text(at, segments))
    return found


def urgent(bench: Bench, provider: str, bulk: int, rate: float, per_s: float, seconds: float) -> Urgent:
    name = sender(950, 0)
    for number in range(bulk):
        bench.write(command(name, number), Priority.BULK)
    bench.flush()
    before = count(provider)
    written: dict[str, float] = {}
    with bench.sink(provider, {name: SenderLimit(rate, rate / 5)}, concurrency=256):
        wait_until(lambda: count(provider) > before + rate, 60, "the bulk to flow")
        pause = threading.Event()
        for number in range(int(per_s * seconds)):
            each = command(name, bulk + number)
            written[each.command_id] = time.time()
            bench.write(each, Priority.URGENT)
            bench.producer.poll(0)
            pause.wait(1 / per_s)
        bench.flush()

        def came() -> list[Arrival]:
            return [a for a in arrivals(provider, before) if a.command_id in written]

        wait_until(lambda: len(came()) == len(written), 60, "the urgent to arrive")
        waits = sorted(a.at_us / 1e6 - written[a.command_id] for a in came())
    cuts = quantiles(waits, n=100)
    return Urgent(
        rate=rate,
        bulk_waiting=bulk,
        commands=len(waits),
        p50_s=round(cuts[49], 4),
        p99_s=round(cuts[98], 4),
        max_s=round(waits[-1], 4),
    )
