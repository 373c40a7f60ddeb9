"""What authors write: services, virtual objects and workflows, their handlers, state and promises.

A class is read once, when it is defined, and refused there if it makes no sense.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from datetime import timedelta
from inspect import Parameter
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeGuard, TypeVar, overload

import msgspec

from durable.context import Context, ObjectContext, ObjectSharedContext, WorkflowContext, WorkflowSharedContext
from durable.core.entries import Target
from durable.core.invocation import Kind
from durable.errors import PayloadError
from durable.machine import Machine, Outgoing
from durable.retry import RetryPolicy
from durable.serde import check_text, decoder, encode, is_raw
from durable.signature import HandlerSignature
from durable.state import Promise, State

SS = TypeVar("SS", bound="Service")
SO = TypeVar("SO", bound="VirtualObject")
SW = TypeVar("SW", bound="Workflow")
CO = TypeVar("CO", bound=ObjectSharedContext)
CW = TypeVar("CW", bound=WorkflowSharedContext)
C = TypeVar("C")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
In = ParamSpec("In")
Args = ParamSpec("Args")

_DAY = timedelta(days=1)
_SERVICE_NAME = re.compile(r"(?!restate$)[a-zA-Z_][a-zA-Z0-9_.-]*")
_HANDLER_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class AnyService:
    """What services, virtual objects and workflows have in common: a name on the wire, and handlers."""

    def __init_subclass__(cls, *, name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if AnyService not in cls.__bases__:
            _define(cls, _wire_name(name or cls.__name__, _SERVICE_NAME))


class Service(AnyService):
    """Base of stateless services. The class's name, or ``class Foo(Service, name="Bar")``, is its name on the wire."""


class VirtualObject(AnyService):
    """Base of keyed objects: per key, one exclusive handler at a time."""


class Workflow(AnyService):
    """Base of workflows: per key, the handler that is given a :class:`WorkflowContext` runs once."""


_CONTEXTS: Mapping[type[AnyService], tuple[type[Context], ...]] = {
    Service: (Context,),
    VirtualObject: (ObjectContext, ObjectSharedContext),
    Workflow: (WorkflowContext, WorkflowSharedContext),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`handler` was given."""

    name: str | None = None
    retry: RetryPolicy | None = None
    retention: timedelta = _DAY
    private: bool = False

    def __post_init__(self) -> None:
        if self.name is not None:
            _wire_name(self.name, _HANDLER_NAME)
        if self.retention < timedelta(0):
            raise ValueError(f"retention cannot be negative, got {self.retention}")


class Handler(Generic[Args, R_co]):
    """A reference to a handler: what ``call`` and ``send`` take.

    ``Args`` is what a caller passes: the key, if there is one, then the input.
    """

    identity: str | None = None
    headers: Mapping[str, str] = {}
    idempotency_key: str | None = None

    def __init__(self, signature: HandlerSignature, settings: Settings) -> None:
        self._signature = signature
        self._service: str | None = None
        self.settings = settings
        self.name = settings.name or signature.function.__name__
        """On the wire, as ``service``."""
        self.__doc__ = signature.function.__doc__

    def options(
        self,
        *,
        idempotency_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        identity: str | None = None,
    ) -> Self:
        """The same handler, to be called with these options; ``None`` leaves one as it is.

        Calls with the same ``idempotency_key`` are one call, and have one result. ``identity`` is for a client that has
        authenticated somebody; inside a handler the identity of its own caller travels by itself.
        """
        if idempotency_key is not None:
            check_text(idempotency_key, "an idempotency key")
        if idempotency_key == "":
            raise ValueError("an idempotency key cannot be empty")
        for name, value in (headers or {}).items():
            check_text(name, "the name of a header")
            check_text(value, f"header {name!r}")
        bound = copy(self)
        bound.idempotency_key = self.idempotency_key if idempotency_key is None else idempotency_key
        bound.headers = self.headers if headers is None else dict(headers)
        bound.identity = self.identity if identity is None else identity
        return bound

    @property
    def kind(self) -> Kind:
        return self._signature.kind

    @property
    def context(self) -> type[Context]:
        """The one of the five contexts that it is given."""
        return self._signature.family

    @property
    def takes_input(self) -> bool:
        return self._signature.input is not None

    @property
    def raw_input(self) -> bool:
        """Whether the input is bytes as they are, and not JSON."""
        return is_raw(self._signature.input_type)

    @property
    def raw_output(self) -> bool:
        return is_raw(self._signature.output_type)

    @property
    def service(self) -> str:
        if self._service is None:
            raise TypeError(f"{self._signature.title} is in a class that is no Service, VirtualObject or Workflow")
        return self._service

    def of(self, service: str, attribute: str) -> Self:
        """The same handler, offered by ``service`` under the attribute's name, unless it has one of its own."""
        offered = copy(self)
        offered._service = service
        offered.name = self.settings.name or _wire_name(attribute, _HANDLER_NAME)
        return offered

    def check(self) -> None:
        """Resolve the types of input and output: :class:`TypeError` if one cannot be, or has no JSON."""
        decoder(self._signature.input_type, f"the input of {self}")
        decoder(self._signature.output_type, f"the output of {self}")

    def outgoing(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outgoing:
        """A call with these arguments; :class:`TypeError` if they are not what the handler takes."""
        try:
            key, value = self._signature.bind(args, kwargs)
        except TypeError as error:
            raise TypeError(f"{self}() {error}") from error
        if self._signature.keyed:
            check_text(key, f"the key of {self}")
        payload = encode(value, f"the input of {self}")
        return Outgoing(Target(self.service, self.name, key), payload, self.headers, self.idempotency_key)

    def decode_output(self, raw: bytes, /) -> R_co:
        decode: Callable[[bytes], R_co] = decoder(self._signature.output_type, f"the output of {self}")
        return decode(raw)

    async def invoke(self, service: object, machine: Machine, payload: bytes, /) -> bytes:
        """Run the method of the instance ``service``: from its encoded input to its encoded output."""
        inputs = self._decode_input(payload)
        output = await self._signature.function(service, self._signature.context(machine), *inputs)
        return encode(output, f"the output of {self}")

    def _decode_input(self, payload: bytes) -> tuple[Any, ...]:
        parameter = self._signature.input
        if parameter is None:
            if payload not in (b"", b"null"):
                raise PayloadError(f"{self} takes no input, but was sent {len(payload)} bytes", status=400)
            return ()
        try:
            return (decoder(self._signature.input_type, f"the input of {self}", status=400)(payload),)
        except PayloadError:
            if payload or parameter.default is Parameter.empty:
                raise
            return (parameter.default,)

    def __str__(self) -> str:
        return f"{self._service}.{self.name}" if self._service else self._signature.title

    def __repr__(self) -> str:
        return f"<handler {self}>"


class ServiceHandler(Handler[In, R_co], Generic[C, In, R_co]):
    """Called without a key."""

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Callable[Concatenate[C, In], Awaitable[R_co]]: ...
    def __get__(self, instance: object, owner: type[Any]) -> Any:
        return self if instance is None else self._signature.function.__get__(instance, owner)


class KeyedHandler(Handler[Concatenate[str, In], R_co], Generic[C, In, R_co]):
    """Called with a key first."""

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Callable[Concatenate[C, In], Awaitable[R_co]]: ...
    def __get__(self, instance: object, owner: type[Any]) -> Any:
        return self if instance is None else self._signature.function.__get__(instance, owner)


class Decorator(Protocol):
    @overload
    def __call__(
        self, fn: Callable[Concatenate[SS, Context, In], Awaitable[R]], /
    ) -> ServiceHandler[Context, In, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[SO, CO, In], Awaitable[R]], /) -> KeyedHandler[CO, In, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[SW, CW, In], Awaitable[R]], /) -> KeyedHandler[CW, In, R]: ...


@overload
def handler(fn: Callable[Concatenate[SS, Context, In], Awaitable[R]], /) -> ServiceHandler[Context, In, R]: ...
@overload
def handler(fn: Callable[Concatenate[SO, CO, In], Awaitable[R]], /) -> KeyedHandler[CO, In, R]: ...
@overload
def handler(fn: Callable[Concatenate[SW, CW, In], Awaitable[R]], /) -> KeyedHandler[CW, In, R]: ...
@overload
def handler(
    *, name: str = ..., retry: RetryPolicy = ..., retention: timedelta = ..., private: bool = ...
) -> Decorator: ...
def handler(fn: Callable[..., Awaitable[Any]] | None = None, /, **options: Any) -> Any:
    """Make a method a handler; the context that it is given decides what kind.

    ``name`` is its name on the wire, else the method's. ``retry`` says how long a failing attempt is repeated,
    ``retention`` how long the outcome is kept. A ``private`` handler can be called by handlers only.
    """
    settings = Settings(**options)

    def wrap(fn: Callable[..., Awaitable[Any]]) -> Handler[..., Any]:
        signature = HandlerSignature(fn)
        if signature.keyed:
            return KeyedHandler[Any, ..., Any](signature, settings)
        return ServiceHandler[Any, ..., Any](signature, settings)

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
    return handlers


def _define(cls: type[AnyService], service: str) -> None:
    """Give ``cls`` handlers of its own, also for those that it inherits, or refuse it."""
    sort, offered = _sort(cls), dict[str, str]()
    for attribute, value in _attributes(cls).items():
        _check_place(sort, f"{cls.__qualname__}.{attribute}", value)
        if not _is_handler(value):
            continue
        own = value.of(service, attribute)
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


def _wire_name(name: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(name):
        raise TypeError(f"{name!r} cannot be a name on the wire ({pattern.pattern}); give another with name=")
    return name
