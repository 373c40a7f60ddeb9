"""Values to bytes and back: JSON, by msgspec. It knows types and bytes, and nothing of handlers.

Two values have a form of their own at the top level: ``bytes`` are themselves, and ``None`` is nothing at all (``null``
is read as well). Equal values have equal bytes, whatever order a set or a dict is in, because a replay compares them.
``what`` is how messages call a value: a text, or something that becomes one when it is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from inspect import unwrap
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar, get_type_hints

import msgspec

from durable.errors import PayloadError
from durable.flaw import UNENCODABLE, find_flaw
from durable.shape import accepts_none, check_readable, is_raw
from durable.sizes import check_size

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="deterministic")
_packer = msgspec.msgpack.Encoder()
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
"""A float in msgpack whose exponent is all ones. No text contains these bytes: they are not UTF-8."""

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def encode(value: object, what: object) -> bytes:
    """The bytes of ``value``; :class:`PayloadError` with status 500 names ``what``, and the part that has none."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        check_size(value, what)
        return bytes(value)
    try:
        raw = _json(value)
    except UNENCODABLE as error:
        raise PayloadError(f"{what} cannot be encoded: {find_flaw(value, _json) or _of_depth(error)}") from error
    # msgspec writes NaN and the infinities as null. Most values have no null, and those that have one no such number.
    if b"null" in raw and _may_be_infinite(value) and (flaw := find_flaw(value, _json)):
        raise PayloadError(f"{what} cannot be encoded: {flaw}")
    check_size(raw, what)
    return raw


def encode_as(type: Any, value: object, what: object) -> bytes:
    """The bytes of a ``value`` that will be read as a ``type``; :class:`PayloadError` if that would fail."""
    raw = encode(value, what)
    if type is object and not isinstance(value, bytes):
        return raw
    try:
        _check_form(_form(type), value, raw)
    except _UNDECODABLE as error:
        raise PayloadError(
            f"{what} is not the {_name(type)} that was declared, but of type {value.__class__.__name__}: {error}"
        ) from error
    return raw


def decode(type: Any, raw: bytes, what: object, *, status: int = 500) -> Any:
    """A ``type`` from its bytes; :class:`PayloadError` with ``status`` if they are none."""
    try:
        return _form(type).read(raw)
    except _UNDECODABLE as error:
        raise PayloadError(f"{what} does not decode: {_no_json(type, raw) or error}", status=status) from error


def decoder(type: type[T], what: object, *, status: int = 500) -> Callable[[bytes], T]:
    """What decodes a ``type`` from bytes. One that msgspec cannot read is a :class:`TypeError`, now."""
    form: object = type
    try:
        _form(form)
    except (TypeError, NameError) as error:
        raise TypeError(f"{what} has a type that cannot be decoded: {error}") from error

    def read(raw: bytes) -> T:
        value: T = decode(form, raw, what, status=status)
        return value

    return read


def plain(what: object, *, status: int = 500) -> Callable[[bytes], object]:
    """A :func:`decoder` for values of no declared type: what JSON itself knows."""
    return decoder(object, what, status=status)


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


def _no_json(type: Any, raw: bytes) -> str | None:
    """Why it is none: msgspec may stumble over a type in it first, and tell of that."""
    if is_raw(type):
        return None
    try:
        msgspec.json.decode(raw or b"null")
    except _UNDECODABLE as error:
        return f"it is not JSON: {error}"
    return None


class _Form(NamedTuple):
    read: Callable[[bytes], Any]
    raw: bool
    """Bytes as they are, and not JSON."""


@lru_cache(maxsize=1024)
def _form(type: Any) -> _Form:
    if type is object:
        return _Form(_read_json(msgspec.json.Decoder()), raw=False)
    check_readable(type)
    if not is_raw(type):
        return _Form(_read_json(msgspec.json.Decoder(type)), raw=False)
    return _Form(_read_raw(type), raw=True)


def _read_raw(type: Any) -> Callable[[bytes], Any]:
    nothing = None if accepts_none(type) else b""
    # convert() checks the constraints that an Annotated type may carry.
    return lambda raw: msgspec.convert(raw or nothing, type)


def _check_form(form: _Form, value: object, raw: bytes) -> None:
    read = form.read(raw)
    if form.raw and not isinstance(value, bytes) and not (value is None and read is None):
        raise msgspec.ValidationError("Expected `bytes`")


def _read_json(decoder: msgspec.json.Decoder[Any]) -> Callable[[bytes], Any]:
    return lambda raw: decoder.decode(raw or b"null")


def _json(value: object) -> bytes:
    try:
        return _encoder.encode(value)
    except TypeError:
        # Only dicts with str keys have a deterministic order in msgspec: make the others' keys str first.
        return _encoder.encode(_plain(value))


def _plain(value: object) -> object:
    plain: object = msgspec.to_builtins(value, str_keys=True, order="deterministic")
    return plain


def _may_be_infinite(value: object) -> bool:
    """Whether a float in it may be none that JSON knows. Quick, and wrong only if it says yes."""
    try:
        return _NOT_FINITE.search(_packer.encode(value)) is not None
    except UNENCODABLE:
        return True  # an integer of more than 64 bits, say


def _of_depth(error: Exception) -> str:
    """Why a value has no JSON although each of its parts has."""
    return "it has too many levels" if isinstance(error, RecursionError) else str(error)


def _name(form: Any) -> str:
    return form.__name__ if isinstance(form, type) else str(form)
