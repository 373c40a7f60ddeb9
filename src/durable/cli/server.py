"""uvicorn, until it is told to end, or an engine has stopped. Only the extra ``server`` installs uvicorn."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from durable.cli.command import CLEAN
from durable.runtime.supervisor import on_engine_stop

try:
    import uvicorn
except ModuleNotFoundError as error:
    if error.name != "uvicorn":
        raise
    raise ImportError("needs uvicorn: pip install durable-engine[server]") from error

STOPPED = 70
"""``EX_SOFTWARE``: neither uvicorn nor argparse ends so."""


def serve(app: str, *, host: str, port: int, patience: int) -> int:
    """The exit code of the process. SIGTERM is raised again once all is closed, as uvicorn does."""
    sys.path.insert(0, os.getcwd())
    server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, timeout_graceful_shutdown=patience))
    stops: list[BaseException] = []

    def stop(error: BaseException) -> None:
        stops.append(error)
        server.should_exit = True

    before = on_engine_stop.set(stop)
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    except SystemExit:  # it was not up yet
        if not stops:
            raise
    finally:
        on_engine_stop.reset(before)
    if not stops:
        return CLEAN
    print(f"durable serve: the engine stopped: {stops[0]}; start a new process to go on", file=sys.stderr)
    return STOPPED
