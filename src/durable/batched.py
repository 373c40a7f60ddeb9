"""References to batch handlers: called with one input each, and given many at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Generic, ParamSpec, Self, TypeGuard, TypeVar, Union, get_args, get_origin, overload

from durable.batch import Batch, Member
from durable.context import WorkflowSharedContext
from durable.core.awaits import First
from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.core.outcome import Failure, Outcome, Success
from durable.errors import PayloadError, TerminalError
from durable.flow import Limit
from durable.handlers import Handler
from durable.machine import Machine, Outgoing
from durable.serde import encode_as
from durable.settings import Declaration
from durable.signature import KINDS, HandlerSignature

C = TypeVar("C")
Each = TypeVar("Each")
R_co = TypeVar("R_co", covariant=True)
Results_co = TypeVar("Results_co", covariant=True)
Args = ParamSpec("Args")

RESULT = "result"
"""The signal that a call waits for."""
JOIN = "join"
"""The handler that takes in the members of a key, one after the other."""
CLOSE = "close"
"""The handler that ends this for a batch."""


class BatchSignature(HandlerSignature):
    """What a function from many inputs to as many results says of one of them."""

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        super().__init__(function)
        if issubclass(self.context, WorkflowSharedContext):
            raise TypeError(f"{self.title} is a workflow's handler; only services and virtual objects have batches")
        if self.input is None or self.input.default is not Parameter.empty:
            raise TypeError(f"{self.title} is given a batch; write `inputs: list[...]` after its context, no default")

    @property
    def kind(self) -> Kind:
        """A call waits for its batch, and holds no key meanwhile."""
        return Kind.SHARED if self.run_kind is not Kind.SERVICE else Kind.SERVICE

    @property
    def run_kind(self) -> Kind:
        """Of the batch itself."""
        return KINDS[self.family]

    @cached_property
    def input_type(self) -> Any:
        each = _each(super().input_type)
        if each is None:
            raise TypeError(f"{self.title} is given a batch; declare its input as list[...]")
        return each

    @cached_property
    def output_type(self) -> Any:
        declared = super().output_type
        if declared is NoneType or declared is None:
            return NoneType
        each = _each(declared)
        if each is None:
            raise TypeError(f"{self.title} is given a batch; declare that it returns list[...], one per input, or None")
        return _without_error(each)


class BatchHandler(Handler[Args, R_co], Generic[Args, R_co, C, Each, Results_co]):
    """What callers call with one input. The method takes a list of them."""

    _signature: BatchSignature

    def __init__(self, signature: BatchSignature, declared: Declaration, batch: Batch) -> None:
        super().__init__(signature, declared)
        _check_alone(signature.title, declared)
        self.batch = batch

    @property
    def run_kind(self) -> Kind:
        return self._signature.run_kind

    @property
    def run_name(self) -> str:
        """Of the handler that runs a batch: not one that an author can give."""
        return f"{self.name}.batch"

    def bounds(self) -> Limit | None:
        """Of batches: a call that waits for its own takes no slot."""
        return self._declared.bounds(f"handler/{self.service}/{self.run_name}")

    @property
    def queue(self) -> str:
        """The service, not one that an author can name, which collects its calls."""
        return f"{self.service}:{self.name}"

    def beside(self, name: str, machine: Machine) -> Target:
        """What collects the calls of this machine's key; those of a service have the empty one."""
        return Target(self.queue, name, machine.key)

    async def invoke(self, service: object, machine: Machine, payload: bytes, /) -> bytes:
        """One call: it joins a batch, and waits for its own result, or the end of the batch without one."""
        self._decode_input(payload)
        member = Member(machine.invocation_id, payload)
        _, joined = machine.call(Outgoing(self.beside(JOIN, machine), member.encode()))
        await machine.wait(joined)
        batch = value_of(machine.outcome(joined.slot))
        result, ended = machine.signal(RESULT), machine.attach(batch.decode())
        either = First((result, ended))
        await machine.wait(either)
        if either.settled(machine) == result.settled(machine):
            return value_of(machine.outcome(result.slot))
        machine.send(Outgoing(self.beside(CLOSE, machine), batch), None)  # killed, say: nobody is to join it any more
        value_of(machine.outcome(ended.slot))
        raise TerminalError(f"the batch of {self} ended without a result for this input")

    async def invoke_batch(self, service: object, machine: Machine, payloads: Sequence[bytes], /) -> list[Outcome]:
        """Run the method of the instance ``service`` on all of them."""
        inputs = [value for payload in payloads for value in self._decode_input(payload)]
        results = await self._signature.function(service, self._signature.context(machine), inputs)
        if self.output_type is NoneType and results is None:
            return [Success(b"")] * len(inputs)
        if not _is_list(results) or len(results) != len(inputs):
            got = f"{len(results)} results" if _is_list(results) else f"{results!r:.100}"
            raise TerminalError(
                f"{self} was given {len(inputs)} inputs and returned {got}; return one result per input, in a list"
            )
        return [self._outcome(result) for result in results]

    def _outcome(self, result: object) -> Outcome:
        """Of one input: a failure, if there is a TerminalError in the place of its result."""
        if isinstance(result, TerminalError):
            return Failure.of(result)
        try:
            return Success(encode_as(self.output_type, result, f"a result of {self}"))
        except PayloadError as error:
            return Failure.of(error)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Callable[[C, list[Each]], Awaitable[Results_co]]: ...
    def __get__(self, instance: object, owner: type[Any]) -> Any:
        return self if instance is None else self._signature.function.__get__(instance, owner)


def _check_alone(title: str, declared: Declaration) -> None:
    if declared.singleton is not None or declared.debounce is not None:
        raise TypeError(
            f"{title} is given a batch: its calls do not stand in a line, they wait together; singleton and debounce "
            "are for handlers without batch="
        )
    if declared.queue is not None:
        raise TypeError(
            f"{title} is given a batch: concurrency and rate count its batches, and the engine's own calls of those "
            "are never refused; bound the calls that wait with a Limit('handler/SERVICE/HANDLER', concurrency=, "
            "queue=, hold=True) in Options.limits"
        )


def value_of(outcome: Outcome) -> bytes:
    """Its value, or its failure raised."""
    if isinstance(outcome, Failure):
        raise outcome.error()
    return outcome.value or b""


def _is_list(results: object) -> TypeGuard[Sequence[object]]:
    return isinstance(results, Sequence) and not isinstance(results, str | bytes)


def _each(declared: Any) -> Any:
    """The type of what a list holds; ``None`` if this is no list."""
    if declared is object or declared in (list, Sequence):
        return object
    if get_origin(declared) not in (list, Sequence):
        return None
    (each,) = get_args(declared)
    return object if each is Any else each


def _without_error(each: Any) -> Any:
    """What a result is if it is no failure."""
    if get_origin(each) not in (Union, UnionType):
        return each
    union, *others = [part for part in get_args(each) if not _is_error(part)]
    for part in others:
        union = union | part
    return union


def _is_error(part: object) -> bool:
    return isinstance(part, type) and issubclass(part, TerminalError)
