"""What every virtual object has beside its own handlers: one that replaces the state of a key, in the key's turn."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import msgspec

from durable.errors import TerminalError
from durable.machine import Machine
from durable.retry import RetryPolicy

REPLACE_STATE = "state.replace"
"""Its name: not one that a handler can have, so no author's, and no client's to call."""


class Replacement(msgspec.Struct, frozen=True):
    """All the state that a key is to have."""

    state: Mapping[str, bytes]
    version: str | None = None
    """Of the state that it replaces; another one is left alone."""

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


def version_of(state: Mapping[str, bytes]) -> str:
    """Two states have the same version if, and only if, they are equal."""
    return sha256(msgspec.msgpack.encode(sorted(state.items()))).hexdigest()


class StateReplacer:
    """Implements :class:`durable.runtime.invoker.Runnable`."""

    retry: RetryPolicy | None = None
    source = __name__

    async def invoke(self, machine: Machine, payload: bytes, /) -> bytes:
        wanted = msgspec.msgpack.decode(payload, type=Replacement)
        names, _ = machine.state_keys()
        if wanted.version is not None:
            held = {name: machine.get(name)[0] or b"" for name in names}
            if version_of(held) != wanted.version:
                raise TerminalError("the state is not of the version that was to be replaced", status=409)
        machine.clear_all()
        for name, value in wanted.state.items():
            machine.set(name, value)
        return b""
