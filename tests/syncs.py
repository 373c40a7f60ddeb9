"""Counts what a process syncs to its disks, as the kernel sees it: every fsync and fdatasync of every thread.

A seccomp filter hands each of the two calls to a listener in the same process, which counts it and lets it go on. This
takes no privilege, no compiler and no tracer, but Linux 5.5 on a processor whose system calls are listed here.
"""

import ctypes
import fcntl
import os
import platform
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_UNSUPPORTED = 77

# seccomp, fsync, fdatasync
_CALLS = {"x86_64": (317, 74, 75), "aarch64": (277, 82, 83), "riscv64": (277, 82, 83)}

# From linux/prctl.h, linux/seccomp.h, linux/bpf_common.h.
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_LOAD_CALL, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000


class Syncs:
    """Counts from now on, and for ever. What is synced while the interpreter shuts down would wait: leave by _exit."""

    def __init__(self) -> None:
        self.count = 0
        self._listener = -1
        self._installed = threading.Event()
        # A thread that was there before the filter is not subject to it.
        threading.Thread(target=self._listen, daemon=True).start()
        self._listener = _install()
        self._installed.set()

    def _listen(self) -> None:
        self._installed.wait()
        while True:
            notification = bytearray(80)
            fcntl.ioctl(self._listener, _RECEIVE, notification, True)
            self.count += 1
            (id,) = struct.unpack_from("=Q", notification)
            fcntl.ioctl(self._listener, _SEND, struct.pack("=QqiI", id, 0, 0, _CONTINUE))


def _install() -> int:
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        _give_up(f"its system calls are not known: {sys.platform} on {platform.machine()}")
    seccomp, fsync, fdatasync = _CALLS[platform.machine()]
    instructions = [
        (_LOAD_CALL, 0, 0, 0),
        (_JUMP_IF_EQUAL, 1, 0, fsync),
        (_JUMP_IF_EQUAL, 0, 1, fdatasync),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
    program = struct.pack("H6xP", len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        _give_up(f"this kernel counts no system calls: {os.strerror(ctypes.get_errno())}")
    return listener


def _give_up(reason: str) -> None:
    print(reason, flush=True)
    os._exit(_UNSUPPORTED)


def counted(program: str, *arguments: object) -> str:
    """What a program prints, run by a process of its own; skips the test where nothing can be counted."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)
    if ended.returncode == _UNSUPPORTED:
        pytest.skip(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
