"""What a handler's function says about itself: its kind, its input, the types of its payloads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from inspect import Parameter, Signature, isasyncgenfunction, iscoroutinefunction, signature
from typing import Any

from durable.context import Context, ObjectContext, ObjectSharedContext, WorkflowContext, WorkflowSharedContext
from durable.core.invocation import Kind
from durable.misuse import check_method
from durable.serde import declared

# From the special to the general: the first that fits counts.
KINDS: Mapping[type[Context], Kind] = {
    ObjectContext: Kind.EXCLUSIVE,
    ObjectSharedContext: Kind.SHARED,
    WorkflowContext: Kind.WORKFLOW,
    WorkflowSharedContext: Kind.SHARED,
    Context: Kind.SERVICE,
}
_BY_NAME = {context.__name__: context for context in KINDS}
_PLAIN = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class HandlerSignature:
    """Read when the class is defined, except for the types of input and output, which may be defined later."""

    def __init__(self, function: Callable[..., Awaitable[Any]]) -> None:
        check_method(function)
        self.function = function
        self.title = function.__qualname__
        if isasyncgenfunction(function):
            raise TypeError(f"{self.title} yields; a handler returns its result, once")
        if not iscoroutinefunction(function):
            raise TypeError(f"{self.title} is not async; write `async def {function.__name__}(...)`")
        context, *inputs = self._parameters()
        self.input = inputs[0] if inputs else None
        self.context = self._context_type(context)
        self.family = next(known for known in KINDS if issubclass(self.context, known))
        self._callers = Signature([*self._key(), *inputs])

    @property
    def kind(self) -> Kind:
        return KINDS[self.family]

    @property
    def keyed(self) -> bool:
        return self.kind is not Kind.SERVICE

    @cached_property
    def input_type(self) -> Any:
        return self._type_of(self.input.name) if self.input else None

    @cached_property
    def output_type(self) -> Any:
        return self._type_of("return")

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str | None, Any]:
        """The key and the input that a caller passes; :class:`TypeError` as from a call of the function."""
        if kwargs or len(args) != len(self._callers.parameters):
            bound = self._callers.bind(*args, **kwargs)
            bound.apply_defaults()
            args = tuple(bound.arguments.values())
        key, *inputs = args if self.keyed else (None, *args)
        return key, inputs[0] if inputs else None

    def _parameters(self) -> list[Parameter]:
        """The context's, and the input's if there is one."""
        parameters = list(signature(self.function).parameters.values())[1:]
        if not parameters:
            raise TypeError(
                f"{self.title} takes no context; write `async def {self.function.__name__}(self, ctx: ...)`"
            )
        if len(parameters) > 2:
            raise TypeError(
                f"{self.title} takes {len(parameters) - 1} inputs; a handler takes none or one "
                "(put several in a msgspec.Struct)"
            )
        for parameter in parameters:
            if parameter.kind not in _PLAIN:
                raise TypeError(f"{self.title} takes `{parameter}`; a handler's context and input are plain parameters")
        return parameters

    def _context_type(self, parameter: Parameter) -> type[Context]:
        try:
            context = declared(self.function, parameter.name)
        except NameError:
            # Imported under TYPE_CHECKING, most likely: the contexts have no namesakes.
            context = _BY_NAME.get(str(parameter.annotation).rpartition(".")[2])
        if isinstance(context, type) and issubclass(context, Context):
            return context
        raise TypeError(
            f"{self.title} does not say which context it is given; write `{parameter.name}: Context` in a Service, "
            "ObjectContext or ObjectSharedContext in a VirtualObject, WorkflowContext or WorkflowSharedContext "
            "in a Workflow"
        )

    def _key(self) -> list[Parameter]:
        if not self.keyed:
            return []
        name = "key_" if self.input and self.input.name == "key" else "key"
        return [Parameter(name, Parameter.POSITIONAL_ONLY)]

    def _type_of(self, name: str) -> Any:
        try:
            return declared(self.function, name)
        except NameError as error:
            raise TypeError(
                f"{self.title}: the type of {name!r} is not known at run time ({error}); "
                "define or import it at module level, not in a function or under TYPE_CHECKING"
            ) from error
