"""Other processes: how they are started and ended, and what they use."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0
"""Seconds that a process may take to answer first, or to end."""

_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """One that runs, and those that it started."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def cpu_seconds(self) -> float:
        return sum(_cpu_seconds(pid) for pid in self._family())

    def peak_bytes(self) -> int:
        """The most that was resident at a time."""
        return sum(memory(pid)["VmHWM"] for pid in self._family())

    def _family(self) -> list[int]:
        family = [self._popen.pid]
        for pid in family:  # it grows on the way
            family += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return family


@contextmanager
def started(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Generator[Process]:
    """Run it until the block ends; if the block fails, show what it said."""
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=output, stderr=output
        )
    try:
        yield Process(popen)
    except BaseException:
        print(log.read_text(errors="replace")[-5000:], file=sys.stderr)
        raise
    finally:
        popen.terminate()
        try:
            popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def wait_until(condition: Callable[[], bool], process: Process | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process is not None and not process.running:
            raise RuntimeError("a process ended before it was ready; what it said is above")
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing answered within {PATIENCE:.0f} s")
        time.sleep(0.02)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def memory(pid: int | str = "self") -> dict[str, int]:
    """The memory lines of Linux's ``/proc/PID/status`` by name, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line.endswith(" kB"))
    return {name: 1024 * int(value.split()[0]) for name, value in pairs}


def _cpu_seconds(pid: int) -> float:
    # The name, in parentheses, may have blanks; utime and stime are fields 14 and 15.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
