"""What a batch is: how large, how long it waits, and what its parts hand to one another. It does nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec

from durable.futures import check_duration
from durable.sizes import LARGEST

LARGEST_BATCH = 10_000


class Batch(msgspec.Struct, frozen=True):
    """Of ``@handler(batch=...)``: the handler is given up to ``size`` inputs, or what came ``within`` the first."""

    size: int
    within: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 1 <= self.size <= LARGEST_BATCH:
            raise ValueError(f"the size of a batch is a number from 1 to {LARGEST_BATCH:,}, got {self.size!r}")
        check_duration(self.within, "the time that a batch waits")


def check_batch(given: object) -> None:
    if given is not None and not isinstance(given, Batch):
        raise TypeError(f"batch is a Batch, got {given!r}; write batch=Batch(100, within=timedelta(seconds=1))")


class Member(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One call of a batch handler, as it waits for its result."""

    invocation: str
    payload: bytes

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class Opening(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a new batch is told. Its numbers are those of the code that opened it, whatever today's say."""

    key: str
    size: int
    within_ms: int


class Open(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The batch of a key that has room."""

    batch: str
    """Its invocation."""
    size: int
    count: int = 0


def parts(members: Sequence[Member]) -> Iterator[list[Member]]:
    """All of them in order, in as few lists as a payload can hold; nearly always one."""
    part, size = list[Member](), 0
    for member in members:
        if part and size + len(member.payload) > LARGEST:
            yield part
            part, size = [], 0
        part.append(member)
        size += len(member.payload)
    if part:
        yield part
