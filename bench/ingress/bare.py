"""The baseline: an empty Starlette POST handler on the server the ingress runs on, set up alike.

`python -m bench.ingress.bare [--read]`: the handler answers 204, with --read after it has read the body;
prints READY with its address; ends on SIGTERM and with its stdin.
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


async def reading(request: Request) -> Response:
    await request.body()
    return Response(status_code=204)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exit-with-stdin", action="store_true")
    parser.add_argument("--read", action="store_true")
    options = parser.parse_args()
    if options.exit_with_stdin:
        end_with_stdin()
    handler = reading if options.read else nothing
    serve_app(Starlette(routes=[Route(STATUS_PATH, handler, methods=["POST"])]), "127.0.0.1", 0, announce)
    return 0


if __name__ == "__main__":
    sys.exit(main())
