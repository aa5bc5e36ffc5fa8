"""`python -m sandbox.carrier`: Twilio and the carriers behind it, as one local server."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from sandbox.carrier.app import Simulator
from sandbox.carrier.chaos import CHAOS_KINDS, ChaosLevel
from sandbox.carrier.errors import SettingError
from sandbox.carrier.settings import Settings, Throttling, account_of, services_of, throttling_of
from sandbox.serving import add_server_options, serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.carrier",
        description="Twilio's Messages API with its callbacks, and the carriers behind it.",
        epilog="Secrets come from the environment: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and, for API keys, "
        "TWILIO_API_KEY_SID and TWILIO_API_KEY_SECRET.",
    )
    add_server_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="the same seed repeats every fate (default 0)")
    parser.add_argument(
        "--chaos",
        type=ChaosLevel,
        choices=list(ChaosLevel),
        metavar="{" + ",".join(level.value for level in ChaosLevel) + "}",
        default=ChaosLevel.NONE,
        help="how much goes wrong beyond the carriers' own losses (default none)",
    )
    for kind in CHAOS_KINDS:
        parser.add_argument(
            f"--chaos-{kind.replace('_', '-')}",
            dest=f"chaos_{kind}",
            type=float,
            metavar="P",
            help="probability of this kind, instead of the level's",
        )
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="multiplies every carrier delay (default 1.0)"
    )
    parser.add_argument(
        "--max-concurrency",
        type=int,
        default=0,
        help="requests in hand above which 429 is answered (0: none)",
    )
    parser.add_argument(
        "--throttle-bursts",
        metavar="EVERY,FOR",
        help="answer 429 to everything in FOR of every EVERY seconds (10,1)",
    )
    parser.add_argument(
        "--list-lag",
        type=float,
        default=0.0,
        metavar="S",
        help="so long a new message is in no list yet (default 0)",
    )
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="MG…=+1…,+1…",
        help="the numbers of a Messaging Service; any other service gets three fictional ones",
    )
    parser.add_argument("--inbound-url", help="where messages from handsets are posted")
    parser.add_argument(
        "--ledger", type=Path, metavar="FILE", help="append the ledger's records as JSON lines"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end; the process's exit status (2 for a setting that cannot be used)."""
    options = _parser().parse_args(arguments)
    given = {
        kind: probability
        for kind in CHAOS_KINDS
        if (probability := getattr(options, f"chaos_{kind}")) is not None
    }
    try:
        settings = Settings(
            account=account_of(os.environ),
            seed=options.seed,
            chaos=replace(options.chaos.chaos, **given),
            time_scale=options.time_scale,
            max_concurrency=options.max_concurrency,
            throttling=throttling_of(options.throttle_bursts) if options.throttle_bursts else Throttling(),
            list_lag_ms=int(options.list_lag * 1000),
            services=services_of(options.service),
            inbound_url=options.inbound_url,
            ledger_file=options.ledger,
        )
    except SettingError as error:
        print(f"sandbox.carrier: {error}", file=sys.stderr)
        return 2
    return serve(
        Simulator(settings).application(),
        host=options.host,
        port=options.port,
        exit_with_stdin=options.exit_with_stdin,
    )


if __name__ == "__main__":
    sys.exit(main())
