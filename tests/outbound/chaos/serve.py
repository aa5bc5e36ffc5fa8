"""One outbound process of a run, whole or with a promise broken: `python -m tests.outbound.chaos.serve …`."""

from __future__ import annotations

import argparse
import sys

from tests.outbound import serve
from tests.outbound.chaos.sabotage import SABOTAGE


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.outbound.chaos.serve", add_help=False)
    parser.add_argument("--sabotage", choices=SABOTAGE)
    options, rest = parser.parse_known_args()
    if options.sabotage is not None:
        SABOTAGE[options.sabotage]()
    sys.argv[1:] = rest
    return serve.main()


if __name__ == "__main__":
    sys.exit(main())
