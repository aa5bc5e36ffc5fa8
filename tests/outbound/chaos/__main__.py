"""The run from the command line: `python -m tests.outbound.chaos`; exit 1 when a promise was broken."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

from tests.kafka import jars
from tests.outbound.chaos.run import Unfinished, lines, run
from tests.outbound.chaos.sabotage import SABOTAGE
from tests.outbound.chaos.terms import Terms


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.outbound.chaos", description=__doc__)
    parser.add_argument("--commands", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="how many kill -9 (default: %(default)s)")
    parser.add_argument("--no-freeze", action="store_true", help="let no process stand still")
    parser.add_argument("--no-third", action="store_true", help="let no third process join")
    parser.add_argument("--seed", type=int, help="of the run to repeat (default: a new one, printed)")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="break a promise, to see that it is noticed")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the directory with logs and data")
    options = parser.parse_args()
    if (reason := jars.why_unavailable()) is not None:
        print(f"needs a real Kafka: {reason}", file=sys.stderr)
        return 1
    given = options.seed if options.seed is not None else os.environ.get("NOTIFYSTREAM_TEST_SEED")
    seed = int(given) if given is not None else random.SystemRandom().randrange(2**32)
    terms = Terms(
        seed=seed,
        commands=options.commands,
        kills=options.kills,
        freeze=not options.no_freeze,
        third=not options.no_third,
        sabotage=options.sabotage,
        limit_s=options.limit,
    )
    directory = Path(mkdtemp(prefix="chaos-outbound-"))
    print(f"seed {seed}: repeat the run with --seed {seed}; logs in {directory}", flush=True)
    kept = True
    try:
        result = run(terms, directory)
        kept = bool(result.wrong)
        print("\n".join(lines(result)))
    except Unfinished as unfinished:
        print(unfinished)
    finally:
        if not kept and not options.keep:
            shutil.rmtree(directory)
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
