"""The baseline: an empty Starlette POST handler on the server the ingress runs on, set up alike.

`python -m bench.ingress.bare`: prints READY with its address; ends on SIGTERM and with its stdin.
"""

from __future__ import annotations

import argparse
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingress.callback_url import STATUS_PATH
from ingress.server import serve_app
from sandbox.serving import announce, end_with_stdin


async def nothing(request: Request) -> Response:
    return Response(status_code=204)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-with-stdin", action="store_true")
    options = parser.parse_args()
    if options.exit_with_stdin:
        end_with_stdin()
    serve_app(Starlette(routes=[Route(STATUS_PATH, nothing, methods=["POST"])]), "127.0.0.1", 0, announce)
    return 0


if __name__ == "__main__":
    sys.exit(main())
