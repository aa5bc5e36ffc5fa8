"""The fuzz run of the ingress: `python -m tests.fuzz.ingress`, or `make fuzz-ingress`.

Sends generated requests to a running ingress on the embedded broker (or one that is there: --bootstrap and
--registry) and fails when one is answered 5xx, is left hanging, or left a record that was not validly signed,
or when a record of a 2xx is missing. `--seed N --only K` sends one request of a run again.
"""

from __future__ import annotations

import argparse
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.fuzz.ingress.checks import ENOUGH, Finding
from tests.fuzz.ingress.generator import make
from tests.fuzz.ingress.oracle import judge
from tests.fuzz.ingress.report import ProgressLine, show, show_bytes
from tests.fuzz.ingress.run import fuzz, smallest
from tests.fuzz.ingress.target import Place, place_in

REQUESTS = 100_000
MOST_SHRUNK = 3
WIDTH = 120  # of the tables where there is no terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.ingress", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the run to repeat (default: a new one, printed)")
    parser.add_argument("--only", type=int, metavar="K", help="send only the request with this number")
    parser.add_argument("--bootstrap", help="a broker with the ingress's topics (default: an embedded one)")
    parser.add_argument("--registry", help="URL of a schema registry (default: an embedded one)")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"seed {seed}: repeat the run with --seed {seed}, one request of it with --only K besides")
    with ExitStack() as at_end:
        directory = Path(at_end.enter_context(TemporaryDirectory(prefix="fuzz-ingress-")))
        place = at_end.enter_context(place_in(directory, options.bootstrap, options.registry))
        numbers = range(options.requests) if options.only is None else range(options.only, options.only + 1)
        if options.only is not None:
            _explain(console, seed, options.only)
        result = fuzz(place, seed, numbers, ProgressLine(console, len(numbers)))
        show(console, result)
        _show_findings(console, place, seed, result.findings)
    return 1 if result.findings else 0


def _explain(console: Console, seed: int, number: int) -> None:
    request = make(seed, number)
    console.print(f"{number}: {request.kind}, {request.sending.name.lower()}, {len(request.raw)} bytes:")
    show_bytes(console, request.raw)
    signed = judge(request.raw)
    console.print(
        "not validly signed" if not signed else f"validly signed: {', '.join(s.path for s in signed)}"
    )


def _show_findings(console: Console, place: Place, seed: int, findings: tuple[Finding, ...]) -> None:
    if not findings:
        console.print("nothing found")
        return
    console.print(f"\n{len(findings)} findings:")
    for at, finding in enumerate(findings[:ENOUGH]):
        console.print(f"- {finding.what}", markup=False, soft_wrap=True)
        if finding.number is None:
            continue
        again = f"python -m tests.fuzz.ingress --seed {seed} --only {finding.number}"
        console.print(f"  {finding.kind}; again with: {again}", markup=False, soft_wrap=True)
        if at < MOST_SHRUNK:
            show_bytes(console, smallest(place, make(seed, finding.number)))


if __name__ == "__main__":
    sys.exit(main())
