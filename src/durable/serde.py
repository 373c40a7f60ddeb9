"""Values to bytes and back: JSON, by msgspec. It knows types and bytes, and nothing of handlers.

Two values have a form of their own at the top level: ``bytes`` are themselves, and ``None`` is nothing at all (``null``
is read as well). Equal values have equal bytes, whatever order a set or a dict is in, because a replay compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from inspect import unwrap
from math import isfinite
from types import SimpleNamespace
from typing import Any, TypeAlias, TypeVar, get_type_hints

import msgspec
from msgspec import inspect as shapes

from durable.errors import PayloadError

T = TypeVar("T")
Json: TypeAlias = "bool | int | float | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"

LARGEST = 32 * 1024 * 1024
"""Bytes of a payload: Restate's limit of a message."""

_encoder = msgspec.json.Encoder(order="deterministic")

# AttributeError: a field that was deleted or never set. RecursionError: a value that contains itself, or 1000 levels.
_UNENCODABLE = (TypeError, ValueError, OverflowError, AttributeError, RecursionError)
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(value: object, what: str) -> bytes:
    """The bytes of ``value``; :class:`PayloadError` with status 500 names ``what`` if there are none."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        check_size(value, what)
        return bytes(value)
    try:
        raw = _json(value)
        # msgspec writes NaN and the infinities as null. Most values have no null, and are not searched.
        where = _not_finite(_plain(value)) if b"null" in raw else None
    except _UNENCODABLE as error:
        raise PayloadError(f"{what} cannot be encoded: {_reason(error)}") from error
    if where is not None:
        raise PayloadError(f"{what} cannot be encoded: NaN and Infinity are not JSON - at `${where}`")
    check_size(raw, what)
    return raw


def check_size(raw: bytes, what: str) -> None:
    """Refuse a payload that is too large to be kept."""
    if len(raw) > LARGEST:
        raise PayloadError(
            f"{what} has {len(raw):,} bytes; at most {LARGEST:,} are kept: store it elsewhere, pass its name"
        )


def decoder(type: type[T], what: str, *, status: int = 500) -> Callable[[bytes], T]:
    """What reads a ``type`` from bytes, and raises :class:`PayloadError` with ``status`` if they are none.

    A ``type`` that msgspec cannot read is a :class:`TypeError`, now.
    """
    form: object = type
    try:
        read = _reader(form)
    except (TypeError, NameError) as error:
        raise TypeError(f"{what} has a type that cannot be decoded: {error}") from error

    def decode(raw: bytes) -> T:
        try:
            value: T = read(raw)
        except _UNDECODABLE as error:
            raise PayloadError(f"{what} does not decode: {error}", status=status) from error
        return value

    return decode


def plain(what: str, *, status: int = 500) -> Callable[[bytes], object]:
    """A :func:`decoder` for values of no declared type: what JSON itself knows."""
    return decoder(object, what, status=status)


def check_text(value: object, what: str) -> str:
    """A name as the journal can hold it: refused if it is no str, or has half a surrogate pair."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, got {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PayloadError(f"{what} is not valid Unicode: {value!r}", status=400) from error
    return str.__str__(value)  # not a subclass (markup, say), which msgspec would refuse when it is too late


def is_raw(type: Any) -> bool:
    """Whether values of ``type`` are bytes as they are, and not JSON."""
    members = _members(type)
    if not any(isinstance(member, shapes.BytesType) for member in members):
        return False
    if not all(isinstance(member, shapes.BytesType | shapes.NoneType) for member in members):
        raise TypeError(f"{type} can be bytes or something else, which its bytes do not tell; use a Struct")
    return True


def declared(function: Callable[..., object], name: str) -> Any:
    """The type of the parameter ``name``, or of the ``"return"``; ``object`` if ``function`` declares none.

    Only this annotation is evaluated: :class:`NameError` if it names what the function's module does not know.
    """
    function = unwrap(function)
    annotations = getattr(function, "__annotations__", {})
    if name not in annotations:
        return object
    only = SimpleNamespace(__annotations__={name: annotations[name]})
    hint = get_type_hints(only, getattr(function, "__globals__", {}), include_extras=True)[name]
    return object if hint is Any else hint


@lru_cache(maxsize=1024)
def _reader(type: Any) -> Callable[[bytes], Any]:
    if type is object:
        return _read_json(msgspec.json.Decoder())
    if not is_raw(type):
        return _read_json(msgspec.json.Decoder(type))
    nothing = None if accepts_none(type) else b""
    # convert() checks the constraints that an Annotated type may carry.
    return lambda raw: msgspec.convert(raw or nothing, type)


def _read_json(decoder: msgspec.json.Decoder[Any]) -> Callable[[bytes], Any]:
    return lambda raw: decoder.decode(raw or b"null")


def accepts_none(type: Any) -> bool:
    """Whether nothing at all is a value of ``type``."""
    return any(isinstance(member, shapes.NoneType) for member in _members(type))


def _members(type: Any) -> tuple[shapes.Type, ...]:
    info = shapes.type_info(type)
    if isinstance(info, shapes.Metadata):
        info = info.type
    return info.types if isinstance(info, shapes.UnionType) else (info,)


def _json(value: object) -> bytes:
    try:
        return _encoder.encode(value)
    except TypeError:
        # Only dicts with str keys have a deterministic order in msgspec: make the others' keys str first.
        return _encoder.encode(_plain(value))


def _plain(value: object) -> Json:
    plain: Json = msgspec.to_builtins(value, str_keys=True, order="deterministic")
    return plain


def _not_finite(value: Json) -> str | None:
    """The path to the first float in ``value`` that JSON has no number for."""
    if isinstance(value, float):
        return None if isfinite(value) else ""
    if isinstance(value, dict):
        parts = ((f".{name}", part) for name, part in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        return None
    return next((step + rest for step, part in parts if (rest := _not_finite(part)) is not None), None)


def _reason(error: Exception) -> str:
    if "'<' not supported" in str(error):
        return f"the items of a set must have an order, use a list or a StrEnum ({error})"
    return str(error)
