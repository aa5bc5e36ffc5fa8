"""The run from the command line: `python -m tests.analytics.chaos`; exit 1 when a row was wrong."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from tests.analytics.chaos.run import Unfinished, lines, run
from tests.analytics.chaos.sabotage import SABOTAGE
from tests.analytics.chaos.terms import Terms
from tests.kafka import jars

_DAY_MS = 86_400_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.analytics.chaos", description=__doc__)
    parser.add_argument("--events", type=int, default=500_000, help="how many (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="how many kill -9 (default: %(default)s)")
    parser.add_argument(
        "--away",
        type=float,
        default=10.0,
        help="seconds without a database; 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--blinks", type=int, default=2, help="kill -9 of the database, back at once (default: %(default)s)"
    )
    parser.add_argument("--no-third", action="store_true", help="let no third sink join")
    parser.add_argument("--seed", type=int, help="of the run to repeat (default: a new one, printed)")
    parser.add_argument("--sabotage", choices=SABOTAGE, help="break a promise, to see that it is noticed")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the directory with logs and data")
    options = parser.parse_args()
    if (reason := jars.why_unavailable()) is not None:
        print(f"needs a real Kafka: {reason}", file=sys.stderr)
        return 1
    given = options.seed if options.seed is not None else os.environ.get("NOTIFYSTREAM_TEST_SEED")
    seed = int(given) if given is not None else random.SystemRandom().randrange(2**32)
    now = time.time_ns() // 1_000_000
    terms = Terms(
        seed=seed,
        base_ms=now - now % _DAY_MS,
        events=options.events,
        kills=options.kills,
        away_s=options.away,
        blinks=options.blinks,
        third=not options.no_third,
        sabotage=options.sabotage,
        limit_s=options.limit,
    )
    directory = Path(mkdtemp(prefix="chaos-analytics-"))
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
