"""Processes that are up in milliseconds: they are forked by one that has imported everything and opened nothing."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]


class Nursery:
    """Forks children that run one function, named ``module:function``, with the words they are begun with."""

    def __init__(self, function: str, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "tests.crash.nursery", function, str(log)]
        self._parent = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._ask("hello")

    def begin(self, *words: object) -> int:
        """The pid of a new child."""
        return self._ask("begin", *map(str, words))

    def end(self, pid: int) -> int:
        """Wait for a child, once: its exit code, or the negative number of the signal that ended it."""
        return self._ask("wait", str(pid))

    def kill(self, pid: int) -> None:
        """SIGKILL, and the proof that nothing else ended it."""
        os.kill(pid, signal.SIGKILL)
        code = self.end(pid)
        assert code == -signal.SIGKILL, f"the process had ended with {code}:\n{self.said()}"

    def said(self) -> str:
        return self.log.read_text()[-4000:]

    def _ask(self, *words: str) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(words).encode() + b"\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.close()
        self._parent.wait()
        self._parent.stdout.close()


def main(function: str, log: str) -> None:
    module, _, name = function.partition(":")
    child, alive = getattr(importlib.import_module(module), name), set[int]()
    for line in sys.stdin.buffer:
        verb, *words = json.loads(line)
        match verb:
            case "begin":
                answer = os.fork() or _live(child, words, log)
                alive.add(answer)
            case "wait":
                answer = os.waitstatus_to_exitcode(os.waitpid(int(words[0]), 0)[1])
                alive.discard(int(words[0]))
            case _:
                answer = 0
        os.write(1, b"%d\n" % answer)
    for pid in alive:  # whoever wanted them is gone
        os.kill(pid, signal.SIGKILL)


def _live(child: Callable[..., Any], words: list[str], log: str) -> int:
    """In the child, which never returns to its parent's loop."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for ours, theirs in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(ours, theirs)
        child(*words)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
