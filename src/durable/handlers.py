"""References to handlers: what ``call`` and ``send`` take, and what an engine invokes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from datetime import timedelta
from inspect import Parameter, unwrap
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, Self, TypeVar, Unpack, overload

from durable.calling import CHECKS, CallOptions
from durable.context import Context
from durable.core.entries import Target, line_of
from durable.core.invocation import Kind
from durable.errors import PayloadError
from durable.flaw import refused
from durable.flow import Limit, no_named_limit
from durable.machine import Machine, Outgoing
from durable.misuse import not_a_handler
from durable.retry import RetryPolicy
from durable.serde import decode, decoder, encode, encode_as
from durable.settings import HANDLER_NAME, Declaration, Settings, documentation, wire_name
from durable.shape import accepts_none, is_raw
from durable.signature import HandlerSignature
from durable.sizes import LONGEST_KEY, check_text
from durable.timetable import Timetable

C = TypeVar("C")
R_co = TypeVar("R_co", covariant=True)
In = ParamSpec("In")
Args = ParamSpec("Args")


class DeclaredSchedule(NamedTuple):
    """What ``@schedule`` says of a handler."""

    timetable: Timetable
    name: str | None
    key: str | None


class _Part(NamedTuple):
    noun: str
    handler: Handler[..., Any]

    def __str__(self) -> str:
        return f"the {self.noun} of {self.handler}"


class Handler(Generic[Args, R_co]):
    """A reference to a handler: what ``call`` and ``send`` take.

    ``Args`` is what a caller passes: the key, if there is one, then the input.
    """

    identity: str | None = None
    headers: Mapping[str, str] = {}
    idempotency_key: str | None = None
    attach: bool = False
    limit_key: str | None = None
    priority: int = 0
    singleton_key: str = ""
    media_type: str | None = None
    """Of its input over HTTP, if that does not follow from its type."""
    schedules: tuple[DeclaredSchedule, ...] = ()

    def __init__(self, signature: HandlerSignature, declared: Declaration) -> None:
        self._signature = signature
        self._declared = declared
        self._service: str | None = None
        self.settings = Settings.of(declared)
        """With those of the service, where the handler says nothing."""
        self.name = declared.name or signature.function.__name__
        """On the wire, as ``service``."""
        self.__doc__ = signature.function.__doc__

    def options(self, **options: Unpack[CallOptions]) -> Self:
        """The same handler, to be called with these options; ``None`` leaves one as it is."""
        bound = copy(self)
        for name, value in options.items():
            if name not in CHECKS:
                raise TypeError(f"{self} has no option {name!r}; there are {', '.join(CHECKS)}")
            if value is not None:
                self._check_option(name, value)
                setattr(bound, name, CHECKS[name](value))
        return bound

    def _check_option(self, name: str, value: object) -> None:
        """Whether it makes sense for this handler."""
        if name == "attach" and value and self.kind is not Kind.WORKFLOW:
            raise ValueError(f"{self} is not the run of a workflow; to attach to a call, repeat its idempotency key")
        if name == "limit_key" and self.settings.limit is None:
            raise ValueError(no_named_limit(self))
        if name == "singleton_key" and not self.settings.lines:
            raise ValueError(f"{self} is no singleton, and not debounced; a singleton_key would change nothing")

    @property
    def source(self) -> str:
        """The file and line where its code begins."""
        code = unwrap(self._signature.function).__code__
        return f"{code.co_filename}:{code.co_firstlineno}"

    @property
    def kind(self) -> Kind:
        return self._signature.kind

    @property
    def keyed(self) -> bool:
        return self._signature.keyed

    @property
    def context(self) -> type[Context]:
        """The one of the five contexts that it is given."""
        return self._signature.family

    @property
    def documentation(self) -> str | None:
        """The method's docstring."""
        return documentation(self._signature.function.__doc__)

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.settings.metadata

    @property
    def retry(self) -> RetryPolicy | None:
        return self.settings.retry

    @property
    def retention(self) -> timedelta:
        return self.settings.retention

    @property
    def idempotency_retention(self) -> timedelta:
        return self.settings.idempotency_retention

    @property
    def journal_retention(self) -> timedelta:
        return self.settings.journal_retention

    @property
    def private(self) -> bool:
        return self.settings.private

    @property
    def strict_idempotency(self) -> bool:
        return self.settings.strict_idempotency

    def bounds(self) -> Limit | None:
        """What its own keywords allow it."""
        return self._declared.bounds(f"handler/{self.service}/{self.name}")

    @property
    def input_type(self) -> object:
        """``None`` if it takes none."""
        return self._signature.input_type

    @property
    def output_type(self) -> object:
        return self._signature.output_type

    @property
    def takes_input(self) -> bool:
        return self._signature.input is not None

    @property
    def needs_input(self) -> bool:
        """Whether an empty input is refused: there is no default, and the type has no ``None``."""
        parameter = self._signature.input
        return parameter is not None and parameter.default is Parameter.empty and not accepts_none(self.input_type)

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

    def of(self, service: str, attribute: str, general: Declaration) -> Self:
        """The same handler, offered by ``service`` under the attribute's name, unless it has one of its own."""
        offered = copy(self)
        offered._service = service
        offered.name = self._declared.name or wire_name(attribute, HANDLER_NAME)
        offered.settings = Settings.of(self._declared.over(general))
        return offered

    def check(self) -> None:
        if self.settings.lines and self.kind is not Kind.SERVICE:
            raise TypeError(
                f"{self} has a key: its calls stand in the line of that key already; singleton and debounce are for "
                "handlers of a Service"
            )
        """Resolve the types of input and output: :class:`TypeError` if one cannot be, or has no JSON."""
        decoder(self._signature.input_type, _Part("input", self))
        decoder(self._signature.output_type, _Part("output", self))

    def outgoing(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Outgoing:
        """A call with these arguments; :class:`TypeError` if they are not what the handler takes."""
        try:
            key, value = self._signature.bind(args, kwargs)
        except TypeError as error:
            after = "; its key comes first, then what it is given" if self.keyed else ""
            raise TypeError(f"{self}() {error}{after}") from error
        payload = encode(value, _Part("input", self))
        return Outgoing(
            target=self.target(key),
            payload=payload,
            headers=self.headers,
            idempotency_key=self.idempotency_key,
            attach=self.attach,
            limit_key=self.limit_key,
            priority=self.priority,
        )

    def target(self, key: str | None, /) -> Target:
        """Where a call goes; :class:`TypeError` if it has a key too much or too little."""
        if self._signature.keyed != (key is not None):
            raise TypeError(f"{self} {'needs a key' if key is None else f'has no keys, got {key!r}'}")
        if self.settings.lines:
            return line_of(self.service, self.name, self.singleton_key)
        return Target(self.service, self.name, self._checked_key(key))

    def _checked_key(self, key: str | None) -> str | None:
        return None if key is None else check_text(key, f"the key of {self}", LONGEST_KEY)

    def named_target(self, key: str | None, /) -> Target:
        """Where a call went whose id follows from names: a workflow's run, or one with an idempotency key."""
        if self.kind is not Kind.WORKFLOW and self.idempotency_key is None:
            raise ValueError(
                f"every call of {self} has an id of its own; name the one that is meant by its idempotency key, "
                "with options(idempotency_key=...), or use invocation(id)"
            )
        return self.target(key)

    def decode_output(self, raw: bytes, /) -> R_co:
        value: R_co = decode(self._signature.output_type, raw, _Part("output", self))
        return value

    async def invoke(self, service: object, machine: Machine, payload: bytes, /) -> bytes:
        """Run the method of the instance ``service``: from its encoded input to its encoded output."""
        inputs = self._decode_input(payload)
        output = await self._signature.function(service, self._signature.context(machine), *inputs)
        return encode_as(self._signature.output_type, output, _Part("output", self))

    def check_input(self, payload: bytes, /) -> None:
        """:class:`PayloadError` with status 400 if it is none."""
        self._decode_input(payload)

    def _decode_input(self, payload: bytes) -> tuple[Any, ...]:
        parameter = self._signature.input
        if parameter is None:
            if payload not in (b"", b"null"):
                raise PayloadError(f"{self} takes no input, but was sent {len(payload)} bytes", status=400)
            return ()
        try:
            return (decode(self._signature.input_type, payload, _Part("input", self), status=400),)
        except PayloadError:
            if payload or parameter.default is Parameter.empty:
                raise
            return (parameter.default,)

    if not TYPE_CHECKING:  # to a type checker a reference is neither

        def __call__(self, *args, **kwargs):
            for given in args:
                refused(given)
            raise TypeError(
                f"{self} is a reference, and is not called itself; "
                f"write ctx.call({self}, ...) in a handler, engine.call({self}, ...) outside"
            )

        def __await__(self):
            raise TypeError(f"{self} was not called; write await ctx.call({self}, ...)")

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


def check_handler(handler: object) -> None:
    if not isinstance(handler, Handler):
        raise not_a_handler(handler)
