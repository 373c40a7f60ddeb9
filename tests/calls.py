"""Looks at system calls of this process before they are made, and lets them go on or fail.

A seccomp filter hands each of them to a listener in the same process. This takes no privilege, no compiler and no
tracer, but Linux 5.5 on a processor whose system calls are listed here.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
UNSUPPORTED = 77

_GENERIC = {
    "write": 64, "pwrite": 68, "fsync": 82, "fdatasync": 83, "ftruncate": 46, "unlinkat": 35, "renameat": 38,
    "renameat2": 276, "seccomp": 277,
}  # fmt: skip
_NUMBERS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        "write": 1, "pwrite": 18, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "unlink": 87, "unlinkat": 263,
        "rename": 82, "renameat": 264, "renameat2": 316, "seccomp": 317,
    },
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
}  # fmt: skip

# From linux/prctl.h, linux/seccomp.h, linux/bpf_common.h.
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_LOAD_CALL, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000


class Call(NamedTuple):
    name: str
    arguments: tuple[int, ...]
    """As the kernel gets them; what a pointer points at stands still until the call goes on."""


class Calls:
    """Shows ``look`` each of the named calls of every other thread, from now on and for ever.

    It returns 0, or the number of the error with which the call fails. What is called while the interpreter shuts down
    would wait for ever: leave by ``_exit``.
    """

    def __init__(self, names: tuple[str, ...], look: Callable[[Call], int]) -> None:
        numbers = _NUMBERS.get(platform.machine()) if sys.platform == "linux" else None
        if numbers is None:
            give_up(f"its system calls are not known: {sys.platform} on {platform.machine()}")
            return
        self._names = {numbers[name]: name for name in names if name in numbers}
        self._look = look
        self._installed = threading.Event()
        # A thread that was there before the filter is not subject to it.
        threading.Thread(target=self._listen, daemon=True).start()
        self._listener = _install(numbers["seccomp"], list(self._names))
        self._installed.set()

    def _listen(self) -> None:
        self._installed.wait()
        while True:
            notification = bytearray(80)
            fcntl.ioctl(self._listener, _RECEIVE, notification, True)
            id, number, *arguments = struct.unpack("=Q8xi12x6Q", notification)
            error = self._look(Call(self._names[number], tuple(arguments)))
            reply = struct.pack("=QqiI", id, 0, -error, 0 if error else _CONTINUE)
            fcntl.ioctl(self._listener, _SEND, reply)


def _install(seccomp: int, numbers: list[int]) -> int:
    listened = len(numbers)
    instructions = [
        (_LOAD_CALL, 0, 0, 0),
        *((_JUMP_IF_EQUAL, listened - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _NOTIFY),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
    program = struct.pack("H6xP", len(instructions), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, program)
    if listener < 0:
        give_up(f"this kernel shows no system calls: {os.strerror(ctypes.get_errno())}")
    return listener


def give_up(reason: str) -> None:
    print(reason, flush=True)
    os._exit(UNSUPPORTED)


def shown(*command: object, vital: bool = False) -> str:
    """What Python prints, run with arguments, as a process of its own.

    Where no call can be seen the test is skipped, or fails if it is ``vital`` and this is Linux.
    """
    ended = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    if ended.returncode == UNSUPPORTED:
        (pytest.fail if vital and sys.platform == "linux" else pytest.skip)(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
