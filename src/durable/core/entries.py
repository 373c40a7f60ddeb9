"""The journal's vocabulary: what a handler asked for (commands), and what came of it (notifications).

Shaped like Restate's service protocol: completion ids count from 1 in the order of the commands that want an answer,
signal indexes are :data:`~durable.core.ids.CANCEL` and, for awakeables, 17 and up. On disk an entry is a msgpack array
that begins with its tag: fields may be added at the end, with a default; none may move.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any, ClassVar, Literal

import msgspec

from durable.core.ids import InvocationId
from durable.core.outcome import Outcome

_SEEN = 40
"""How many bytes of a long value are shown, around where it differs."""

Verb = Literal["kill", "pause", "resume", "restart", "purge", "purge-journal"]


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A handler to call; ``key`` only for virtual objects and workflows."""

    service: str
    handler: str
    key: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.service, self.key, self.handler) if part is not None)


def line_of(service: str, handler: str, name: str = "") -> Target:
    """A handler whose calls stand in one line, or in one for each name."""
    return Target(service, handler, f"{handler}:{name}")


class Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something the handler asked for; replayed code must ask for the same again."""

    varying: ClassVar[frozenset[str]] = frozenset()
    """Fields in which a replayed command may differ: the recorded one counts."""

    def matches(self, issued: Command) -> bool:
        """Whether code that issued ``issued`` took the recorded path."""
        return type(self) is type(issued) and self.difference(issued) is None

    def difference(self, issued: Command) -> str | None:
        """The first field in which another one of its kind differs; and where, if that is too long to see."""
        for field in self.__struct_fields__:
            if field not in self.varying and getattr(self, field) != getattr(issued, field):
                return f"{field}{_place(getattr(self, field), getattr(issued, field))}"
        return None

    def __str__(self) -> str:
        fields = (f"{name}={_show(getattr(self, name))}" for name in self.__struct_fields__ if name not in self.varying)
        return f"{type(self).__name__}({', '.join(fields)})"


def _show(value: Any) -> str:
    text = str(value) if isinstance(value, Target) else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def _place(recorded: object, issued: object) -> str:
    if not (isinstance(recorded, bytes) and isinstance(issued, bytes)) or max(len(recorded), len(issued)) <= _SEEN:
        return ""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(recorded, issued, strict=False)))
    start = max(0, same - _SEEN // 2)
    return f" from byte {same} on: {recorded[start : start + _SEEN]!r}, now {issued[start : start + _SEEN]!r}"


class Question(Command, frozen=True):
    """A command that is answered later, by this completion id."""

    completion: int


class Run(Question, frozen=True, tag="run"):
    name: str


class Sleep(Question, frozen=True, tag="sleep"):
    varying = frozenset({"due_ms"})
    due_ms: int


class Call(Question, frozen=True, tag="call"):
    varying = frozenset({"invocation_id"})
    target: Target
    payload: bytes
    headers: dict[str, str]
    idempotency_key: str | None
    invocation_id: InvocationId
    attach: bool = False
    limit_key: str | None = None
    priority: int = 0


class Send(Command, frozen=True, tag="send"):
    varying = frozenset({"invocation_id", "due_ms"})
    target: Target
    payload: bytes
    headers: dict[str, str]
    idempotency_key: str | None
    invocation_id: InvocationId
    due_ms: int | None
    limit_key: str | None = None
    priority: int = 0


class GetState(Command, frozen=True, tag="get"):
    varying = frozenset({"value", "seen"})
    name: str
    value: bytes | None
    seen: int
    """How many notifications the journal held when this was answered: its place among them."""


class GetStateKeys(Command, frozen=True, tag="keys"):
    varying = frozenset({"names", "seen"})
    names: list[str]
    seen: int


class Now(Command, frozen=True, tag="now"):
    varying = frozenset({"now_ms", "seen"})
    now_ms: int
    seen: int


class SetState(Command, frozen=True, tag="set"):
    name: str
    value: bytes


class ClearState(Command, frozen=True, tag="clear"):
    name: str


class ClearAllState(Command, frozen=True, tag="clear_all"):
    pass


class GetPromise(Question, frozen=True, tag="promise"):
    name: str


class PeekPromise(Question, frozen=True, tag="peek"):
    name: str


class CompletePromise(Question, frozen=True, tag="complete"):
    name: str
    outcome: Outcome


class SendSignal(Command, frozen=True, tag="signal"):
    invocation_id: InvocationId
    signal: int | str
    outcome: Outcome


class CompleteAwakeable(Command, frozen=True, tag="awakeable"):
    invocation_id: InvocationId
    signal: int
    outcome: Outcome
    created_ms: int
    """Of the invocation: another one may have its id by now."""


class Attach(Question, frozen=True, tag="attach"):
    invocation_id: InvocationId


class GetOutput(Question, frozen=True, tag="output"):
    """Answered at once: with the outcome, or with ``Success(None)`` if there is none yet."""

    invocation_id: InvocationId


class Control(Question, frozen=True, tag="control"):
    """What a handler does to another invocation as a person might; answered with the id of a restarted one."""

    varying = frozenset({"new_id"})
    verb: Verb
    invocation_id: InvocationId
    from_entry: int
    new_id: InvocationId


class Completed(msgspec.Struct, frozen=True, array_like=True, tag="done", gc=False):
    """The command with this completion id was answered."""

    completion: int
    outcome: Outcome


class Signalled(msgspec.Struct, frozen=True, array_like=True, tag="signalled", gc=False):
    """A signal arrived: CANCEL, an awakeable's completion, or a named one."""

    signal: int | str
    outcome: Outcome


Notification = Completed | Signalled
AnyCommand = (
    Run
    | Sleep
    | Call
    | Send
    | GetState
    | GetStateKeys
    | Now
    | SetState
    | ClearState
    | ClearAllState
    | GetPromise
    | PeekPromise
    | CompletePromise
    | SendSignal
    | CompleteAwakeable
    | Attach
    | GetOutput
    | Control
)
Entry = AnyCommand | Notification

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Entry])


def encode_entries(entries: list[Entry]) -> bytes:
    return _encoder.encode(entries)


def decode_entries(raw: bytes) -> list[Entry]:
    return _decoder.decode(raw)
