"""What the values of a type are once they are bytes, or that they cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

from msgspec import inspect as shapes

_READ = (dict, list, str, int, float, bool, type(None))
"""What JSON is read as where a type does not say more."""


def is_raw(type: Any) -> bool:
    """Whether values of ``type`` are bytes as they are, and not JSON."""
    members = _members(type)
    if not any(isinstance(member, shapes.BytesType) for member in members):
        return False
    if not all(isinstance(member, shapes.BytesType | shapes.NoneType) for member in members):
        raise TypeError(f"{type} can be bytes or something else, which its bytes do not tell; use a Struct")
    return True


def accepts_none(type: Any) -> bool:
    """Whether nothing at all is a value of ``type``."""
    return any(isinstance(member, shapes.NoneType) for member in _members(type))


def check_readable(type: Any) -> None:
    """:class:`TypeError` if no JSON is a value of ``type``, or of a type within it. msgspec lets those pass."""
    waiting, seen = [shapes.type_info(type)], set[int]()
    while waiting:
        info = waiting.pop()
        if isinstance(info, shapes.CustomType) and not _is_read(info.cls):
            raise TypeError(f"no JSON is read as {info.cls.__qualname__}; use a dataclass, a Struct or a plain type")
        if id(info) not in seen:
            seen.add(id(info))
            waiting += _inner(info)


def _is_read(cls: Any) -> bool:
    try:
        return any(issubclass(each, cls) for each in _READ)
    except TypeError:  # a Protocol, say
        return False


def _inner(info: shapes.Type) -> Iterator[shapes.Type]:
    for part in (part for name in info.__struct_fields__ for part in _each(getattr(info, name))):
        inner = part.type if isinstance(part, shapes.Field) else part
        # Beside others a type may be one that only Python knows: it is never read.
        beside = isinstance(info, shapes.UnionType) and isinstance(inner, shapes.CustomType)
        if isinstance(inner, shapes.Type) and not beside:
            yield inner


def _each(value: object) -> tuple[object, ...]:
    return value if _is_tuple(value) else (value,)


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def _members(type: Any) -> tuple[shapes.Type, ...]:
    info = shapes.type_info(type)
    if isinstance(info, shapes.Metadata):
        info = info.type
    return info.types if isinstance(info, shapes.UnionType) else (info,)
