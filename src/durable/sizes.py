"""How long a name and how large a payload may be: what is larger must not get as far as the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from durable.errors import PayloadError

LARGEST = 32 * 1024 * 1024
"""Bytes of a payload: Restate's limit of a message."""
LARGEST_HEADERS = 64 * 1024
"""Bytes of all headers of a request, names and values. HTTP servers take about as much."""
LONGEST_KEY = 1024
"""Bytes of a key, an idempotency key or an identity. Keys sit in every index entry of their object."""
LONGEST_NAME = 512
"""Bytes of the name of a step, a signal, or a version of the code."""

LONGEST_TEXT = 65_536
"""Bytes of a text for people."""
LONGEST_TIME = timedelta(days=3653)
"""Ten years: more is a mistake in the unit."""


def check_size(raw: bytes, what: object, largest: int | None = None) -> None:
    """Refuse a payload that is too large to be kept."""
    most = LARGEST if largest is None else largest
    if len(raw) > most:
        raise PayloadError(
            f"{what} has {len(raw):,} bytes; at most {most:,} are kept: store it elsewhere, pass its name"
        )


def check_text(value: object, what: str, longest: int | None = None) -> str:
    """A name as the journal can hold it: refused if it is no str, has half a surrogate pair, or too many bytes."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, got {value!r}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise PayloadError(f"{what} is not valid Unicode: {value!r}", status=400) from error
    if longest is not None and size > longest:
        raise PayloadError(f"{what} has {size:,} bytes, and can have {longest:,}: {value[:30]!r}...", status=400)
    return str.__str__(value)  # not a subclass (markup, say), which msgspec would refuse when it is too late


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as the journal can hold them."""
    _check_mapping(headers)
    checked = {
        check_text(name, "the name of a header"): check_text(value, f"header {name!r}")
        for name, value in headers.items()
    }
    size = headers_size(checked)
    if size > LARGEST_HEADERS:
        raise PayloadError(f"the headers have {size:,} bytes, and can have {LARGEST_HEADERS:,}", status=400)
    return checked


def _check_mapping(headers: object) -> None:
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers are a mapping of names to values, got {headers!r}")


def headers_size(headers: Mapping[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in headers.items())


def check_flag(flag: object, what: str) -> None:
    """``None`` is nothing said."""
    if flag is not None and not isinstance(flag, bool):
        raise TypeError(f"{what} is True or False, got {flag!r}")
