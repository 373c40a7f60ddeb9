"""What authors write: services, virtual objects and workflows, their handlers, state and promises.

A class is read once, when it is defined, and refused there if it makes no sense.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeGuard, TypeVar, Unpack, overload

import msgspec

from durable.batch import Batch, check_batch
from durable.batched import BatchHandler, BatchSignature
from durable.context import Context, ObjectContext, ObjectSharedContext, WorkflowContext, WorkflowSharedContext
from durable.core.invocation import Kind
from durable.errors import TerminalError
from durable.flaw import refused
from durable.handlers import Handler, KeyedHandler, ServiceHandler
from durable.options import Options
from durable.settings import (
    HANDLER_NAME,
    SERVICE_NAME,
    Declaration,
    HandlerKeywords,
    ServiceKeywords,
    Settings,
    check_class_keywords,
    documentation,
    wire_name,
)
from durable.signature import HandlerSignature
from durable.state import Declared, Promise, State

SS = TypeVar("SS", bound="Service")
SO = TypeVar("SO", bound="VirtualObject")
SW = TypeVar("SW", bound="Workflow")
CO = TypeVar("CO", bound=ObjectSharedContext)
CW = TypeVar("CW", bound=WorkflowSharedContext)
R = TypeVar("R")
In = ParamSpec("In")
Each = TypeVar("Each")


class AnyService:
    """What services, virtual objects and workflows have in common: a name on the wire, settings, and handlers.

    ``class Foo(Service, name="Bar", retry=..., private=True)``: the name is the class's unless it says so, and is not
    inherited. The other keywords, and those of its bases, are for the handlers that do not say otherwise.
    """

    __keywords__: ClassVar[Declaration] = Declaration()

    def __init_subclass__(cls, *, name: str | None = None, **keywords: Unpack[ServiceKeywords]) -> None:
        super().__init_subclass__()
        check_class_keywords(keywords, cls.__name__)
        cls.__keywords__ = Declaration(name=wire_name(name or cls.__name__, SERVICE_NAME), **keywords)
        if AnyService not in cls.__bases__:
            _define(cls)


class Service(AnyService):
    """Base of stateless services."""


class VirtualObject(AnyService):
    """Base of keyed objects: per key, one exclusive handler at a time."""


class Workflow(AnyService):
    """Base of workflows: per key, the handler that is given a :class:`WorkflowContext` runs once."""


_CONTEXTS: Mapping[type[AnyService], tuple[type[Context], ...]] = {
    Service: (Context,),
    VirtualObject: (ObjectContext, ObjectSharedContext),
    Workflow: (WorkflowContext, WorkflowSharedContext),
}


class Decorator(Protocol):
    @overload
    def __call__(
        self, fn: Callable[Concatenate[SS, Context, In], Awaitable[R]], /
    ) -> ServiceHandler[Context, In, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[SO, CO, In], Awaitable[R]], /) -> KeyedHandler[CO, In, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[SW, CW, In], Awaitable[R]], /) -> KeyedHandler[CW, In, R]: ...


class BatchDecorator(Protocol):
    @overload
    def __call__(
        self, fn: Callable[[SS, Context, list[Each]], Awaitable[None]], /
    ) -> BatchHandler[[Each], None, Context, Each, None]: ...
    @overload
    def __call__(
        self, fn: Callable[[SS, Context, list[Each]], Awaitable[Sequence[R | TerminalError]]], /
    ) -> BatchHandler[[Each], R, Context, Each, Sequence[R | TerminalError]]: ...
    @overload
    def __call__(
        self, fn: Callable[[SO, CO, list[Each]], Awaitable[None]], /
    ) -> BatchHandler[[str, Each], None, CO, Each, None]: ...
    @overload
    def __call__(
        self, fn: Callable[[SO, CO, list[Each]], Awaitable[Sequence[R | TerminalError]]], /
    ) -> BatchHandler[[str, Each], R, CO, Each, Sequence[R | TerminalError]]: ...


@overload
def handler(fn: Callable[Concatenate[SS, Context, In], Awaitable[R]], /) -> ServiceHandler[Context, In, R]: ...
@overload
def handler(fn: Callable[Concatenate[SO, CO, In], Awaitable[R]], /) -> KeyedHandler[CO, In, R]: ...
@overload
def handler(fn: Callable[Concatenate[SW, CW, In], Awaitable[R]], /) -> KeyedHandler[CW, In, R]: ...
@overload
def handler(*, batch: Batch, **keywords: Unpack[HandlerKeywords]) -> BatchDecorator: ...
@overload
def handler(**keywords: Unpack[HandlerKeywords]) -> Decorator: ...
def handler(fn: Callable[..., Awaitable[Any]] | None = None, /, *, batch: Batch | None = None, **keywords: Any) -> Any:
    """Make a method a handler; the context that it is given decides what kind.

    ``name`` is its name on the wire, else the method's. ``retry`` says how long a failing attempt is repeated,
    ``retention`` how long the outcome is kept, ``idempotency_retention`` how long that of a call with an idempotency
    key, if not as long, ``journal_retention`` how long the journal, if shorter. A ``private`` handler can be called by
    handlers only. Without ``strict_idempotency`` another input under the same idempotency key is not refused.
    ``metadata`` is for people and tools. What is not said here holds as the class says. With a ``batch`` the method
    takes a list of inputs and returns one result per input, in order, or a TerminalError in its place; callers pass
    one input, and get its result.
    """
    check_batch(batch)
    declared = Declaration(**keywords)
    if declared.name is not None:
        wire_name(declared.name, HANDLER_NAME)

    def wrap(fn: Callable[..., Awaitable[Any]]) -> Handler[..., Any]:
        if batch is not None:
            return BatchHandler[..., Any, Any, Any, Any](BatchSignature(fn), declared, batch)
        signature = HandlerSignature(fn)
        if signature.keyed:
            return KeyedHandler[Any, ..., Any](signature, declared)
        return ServiceHandler[Any, ..., Any](signature, declared)

    return wrap if fn is None else wrap(fn)


def handlers_of(cls: type[AnyService], /) -> dict[str, Handler[..., Any]]:
    """What ``cls`` offers, by name on the wire; :class:`TypeError` if that cannot be served."""
    handlers = {value.name: value for value in vars(cls).values() if _is_handler(value)}
    if not handlers:
        raise TypeError(f"{cls.__qualname__} has no handler; decorate its methods with @handler")
    if issubclass(cls, Workflow) and all(handler.kind is not Kind.WORKFLOW for handler in handlers.values()):
        raise TypeError(f"{cls.__qualname__} has no run; give one of its handlers a WorkflowContext")
    for handler in handlers.values():
        handler.check()
    for attribute in _attributes(cls).values():
        if isinstance(attribute, Declared):
            attribute.check_type()
    return handlers


def check_service(given: object) -> None:
    """Of what an engine is given: it serves instances."""
    if isinstance(given, type):
        raise TypeError(f"{given.__qualname__} is a class; give the engine an instance: {given.__name__}(...)")
    if isinstance(given, Options):
        raise TypeError("an Options is among the services of the engine; write Engine(..., options=Options(...))")
    if not isinstance(given, AnyService):
        raise TypeError(
            f"{refused(given)} is no Service, VirtualObject or Workflow; write Engine(database, service, service)"
        )


class Described(msgspec.Struct, frozen=True):
    """A service, as people and tools see it."""

    name: str
    """On the wire."""
    sort: str
    """``Service``, ``VirtualObject`` or ``Workflow``."""
    documentation: str | None
    """The class's own docstring."""
    settings: Settings


def describe(cls: type[AnyService], /) -> Described:
    declared = _declared(cls)
    own = documentation(vars(cls).get("__doc__"))
    return Described(declared.name or cls.__name__, _sort(cls).__name__, own, Settings.of(declared))


def _define(cls: type[AnyService]) -> None:
    """Give ``cls`` handlers of its own, also for those that it inherits, or refuse it."""
    sort, offered, stored = _sort(cls), dict[str, str](), dict[tuple[str, str], str]()
    declared = _declared(cls)
    for attribute, value in _attributes(cls).items():
        _check_bare(f"{cls.__qualname__}.{attribute}", value)
        _check_place(sort, f"{cls.__qualname__}.{attribute}", value)
        if isinstance(value, Declared):
            value.check_attribute(attribute)
            first = stored.setdefault((value.sort, value.name), attribute)
            if first != attribute:
                raise TypeError(f"{cls.__qualname__} has two {value.sort}s {value.name!r}: {first} and {attribute}")
        if not _is_handler(value):
            continue
        own = value.of(declared.name or cls.__name__, attribute, declared)
        if own.name in offered:
            raise TypeError(f"{cls.__qualname__} has two handlers {own.name!r}: {offered[own.name]} and {attribute}")
        offered[own.name] = attribute
        setattr(cls, attribute, own)
    runs = [name for name, attribute in offered.items() if vars(cls)[attribute].kind is Kind.WORKFLOW]
    if len(runs) > 1:
        raise TypeError(
            f"{cls.__qualname__} has {len(runs)} runs ({', '.join(runs)}); give a WorkflowContext to one of them, "
            "and a WorkflowSharedContext to the others"
        )


def _declared(cls: type[AnyService]) -> Declaration:
    """The class's keywords, and where they say nothing, those of its bases."""
    declared = cls.__keywords__
    for base in cls.__mro__[1:]:
        if issubclass(base, AnyService):
            declared = declared.over(base.__keywords__)
    return declared


def _sort(cls: type[AnyService]) -> type[AnyService]:
    sorts = [base for base in cls.__mro__ if AnyService in base.__bases__]
    if len(sorts) > 1:
        raise TypeError(f"{cls.__qualname__} is a {' and a '.join(sort.__name__ for sort in sorts)}; it can be one")
    return sorts[0]


def _attributes(cls: type[AnyService]) -> dict[str, Any]:
    """The attributes of ``cls``, its own and inherited, as Python finds them."""
    attributes: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            if isinstance(attributes.get(name), Handler) and not isinstance(value, Handler):
                raise TypeError(f"{base.__qualname__}.{name} hides the handler {attributes[name]}; decorate it too")
            attributes[name] = value
    return attributes


def _check_bare(where: str, value: object) -> None:
    """Nobody would look for a handler inside another decorator."""
    if _is_handler(getattr(value, "__func__", None)) or _is_handler(getattr(value, "fget", None)):
        raise TypeError(f"{where} is a handler inside a {type(value).__name__}; a handler is a plain method")


def _check_place(sort: type[AnyService], where: str, value: object) -> None:
    if isinstance(value, Handler) and value.context not in _CONTEXTS[sort]:
        fitting = " or ".join(context.__name__ for context in _CONTEXTS[sort])
        raise TypeError(f"{where} takes {value.context.__name__}; a handler of a {sort.__name__} takes {fitting}")
    if isinstance(value, State) and sort is Service:
        raise TypeError(f"{where} is a State, which a Service has not; make the class a VirtualObject or a Workflow")
    if isinstance(value, Promise) and sort is not Workflow:
        raise TypeError(f"{where} is a Promise, which only a Workflow has")


def _is_handler(value: object) -> TypeGuard[Handler[..., Any]]:
    return isinstance(value, Handler)
