"""``durable serve``: an application, in a process that ends when an engine in it has stopped."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from importlib import import_module

from durable.cli.command import UNREADABLE, Command

PATIENCE = 10
"""Seconds. As long as ``Options.grace`` gives to steps."""


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("app", metavar="MODULE:APP", help="an ASGI application whose lifespan opens an engine")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
    parser.add_argument(
        "--timeout-graceful-shutdown",
        metavar="SECONDS",
        type=int,
        default=PATIENCE,
        help=f"how long requests may take to end once it is told to stop ({PATIENCE})",
    )


def _run(given: Namespace) -> int:
    try:
        server = import_module("durable.cli.server")
    except ImportError as error:
        print(f"durable serve: {error}", file=sys.stderr)
        return UNREADABLE
    code: int = server.serve(given.app, host=given.host, port=given.port, patience=given.timeout_graceful_shutdown)
    return code


COMMAND = Command(
    name="serve",
    summary="Serve an application under uvicorn, and end when an engine in it has stopped.",
    add_arguments=_arguments,
    run=_run,
    epilog="exit codes: 0 interrupted, 1 no such application, 2 bad arguments, 3 it could not start or listen, 70 an "
    "engine stopped: start it again; SIGTERM ends it as a signal does",
)
