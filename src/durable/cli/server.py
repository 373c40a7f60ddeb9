"""uvicorn, until it is told to end, or an engine has stopped. Only the extra ``server`` installs uvicorn."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Timer

from durable.cli.application import NoApplicationError, application
from durable.cli.command import CLEAN
from durable.runtime.supervisor import on_engine_stop

try:
    import uvicorn
    from uvicorn.importer import ImportFromStringError, import_from_string
except ModuleNotFoundError as error:
    if error.name != "uvicorn":
        raise
    raise ImportError("needs uvicorn: pip install durable-engine[server]") from error

STOPPED = 70
"""``EX_SOFTWARE``: neither uvicorn nor argparse ends so."""

ABSENT = 1
"""Not left to uvicorn, whose code for it is not the same in every version."""

CLOSES_WITHIN = 30.0
"""Seconds, once no request is left: more than ``Options.grace``. A disk that failed may not answer any more either."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class Watch:
    """Ends a server once an engine has stopped, and the process if that takes too long."""

    def __init__(self, server: uvicorn.Server, patience: float) -> None:
        self.error: BaseException | None = None
        self._server = server
        self._last = Timer(patience, self._end)
        self._last.daemon = True

    def stop(self, error: BaseException) -> None:
        if self.error is None:
            self.error = error
            self._server.should_exit = True
            self._last.start()

    def close(self) -> int:
        """Say how it ended: the exit code of the process."""
        self._last.cancel()
        if self.error is None:
            return CLEAN
        print(f"durable serve: the engine stopped: {self.error}; start a new process to go on", file=sys.stderr)
        return STOPPED

    def _end(self) -> None:
        code = self.close()
        sys.stderr.flush()
        os._exit(code)


class _Config(uvicorn.Config):
    def load(self) -> None:
        self.app = self._application(str(self.app))
        super().load()
        if not logging.getLogger().handlers:  # the application is loaded, and has set up none
            logging.basicConfig(format=LOG_FORMAT)

    def _application(self, name: str) -> Callable[..., object]:
        try:
            return application(name, import_from_string(name))
        except (ImportFromStringError, NoApplicationError) as error:
            print(f"durable serve: {error}", file=sys.stderr)
            sys.exit(ABSENT)


def serve(app: str, *, host: str, port: int, patience: int) -> int:
    """The exit code of the process. SIGTERM is raised again once all is closed, as uvicorn does."""
    sys.path.insert(0, os.getcwd())
    server = uvicorn.Server(_Config(app, host=host, port=port, timeout_graceful_shutdown=patience))
    watch = Watch(server, patience + CLOSES_WITHIN)
    before = on_engine_stop.set(watch.stop)
    try:
        with suppress(KeyboardInterrupt):
            server.run()
    except SystemExit:  # it was not up yet
        if watch.error is None:
            raise
    finally:
        on_engine_stop.reset(before)
    return watch.close()
