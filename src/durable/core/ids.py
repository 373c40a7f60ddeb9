"""Invocation and awakeable ids: make, write, read. Randomness and time come from the caller.

The textual forms are Restate's (a resource prefix, a version digit, base62 or base64url), so that its clients accept
them. Restate's partition key is always zero here: there is one partition.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from typing import NamedTuple, NewType

from durable.errors import BadIdError
from durable.sizes import check_text

InvocationId = NewType("InvocationId", bytes)
"""16 bytes; a plain one begins with its creation time, so that a database index grows at its end."""

CANCEL = 1
"""The built-in signal that cancels. 2 to 16 are reserved, as in Restate's protocol."""
FIRST_AWAKEABLE = 17

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_DIGIT = {character: value for value, character in enumerate(_ALPHABET)}
_INVOCATION = "inv_1"
_PARTITION = "0" * 11
_UUID_DIGITS = 22
_AWAKEABLE = "sign_1"
_SHOWN = 1024
"""Characters of a bad id in an error: more than any id has."""


def plain(now_ms: int, entropy: bytes) -> InvocationId:
    """A new id from the time and 10 random bytes (a ULID)."""
    return InvocationId(now_ms.to_bytes(6, "big") + entropy[:10])


def derived(kind: str, *parts: str) -> InvocationId:
    """The id that these names always have. Parts are length-prefixed: no separator inside one can make two collide."""
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return InvocationId(digest.digest()[:16])


def write_invocation(id: InvocationId, /) -> str:
    number, pairs = int.from_bytes(id, "little"), list[str]()
    for _ in range(_UUID_DIGITS // 2):
        number, pair = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[pair])
    return _INVOCATION + _PARTITION + "".join(reversed(pairs))


def read_invocation(text: str) -> InvocationId:
    """The id that ``text`` writes; :class:`BadIdError` if it is none."""
    text = check_text(text, "an invocation id")
    why = _why_no_invocation(text)
    if why is not None:
        raise _bad("invocation", text, why)
    return InvocationId(_base62(text[-_UUID_DIGITS:]).to_bytes(16, "little"))


def _why_no_invocation(text: str) -> str | None:
    prefix, _, rest = text.partition("_")
    if not rest or prefix not in ("inv", "sign", "dp"):
        return "bad format"
    if prefix != "inv":
        return "id doesn't match the expected type"
    if rest[0] != "1":
        return "unrecognized codec version"
    if len(text) != len(_INVOCATION) + len(_PARTITION) + _UUID_DIGITS:
        return "bad length"
    if not _DIGIT.keys() >= set(rest) or _base62(text[-_UUID_DIGITS:]) >= 1 << 128:
        return "base62 decode error"
    return None


class AwakeableId(NamedTuple):
    """Whose signal this is, and which."""

    invocation: InvocationId
    signal: int
    created_ms: int
    """When the invocation was accepted: after a purge another one may have its id."""


def write_awakeable(secret: bytes, id: AwakeableId) -> str:
    """The capability to complete that signal: it ends in 128 bits that only ``secret`` can make."""
    return _AWAKEABLE + _base64(_place(id) + _proof(secret, id))


def read_awakeable(secret: bytes, text: str) -> AwakeableId:
    """What :func:`write_awakeable` wrote; :class:`BadIdError` for every id that ``secret`` did not make."""
    text = check_text(text, "an awakeable id")
    if not text.startswith(_AWAKEABLE):
        raise _bad("awakeable", text, "bad format")
    encoded = text[len(_AWAKEABLE) :]
    try:
        raw = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (BadBase64, ValueError) as error:
        raise _bad("awakeable", text, "bad format") from error
    if len(raw) != 44 or _base64(raw) != encoded:
        raise _bad("awakeable", text, "bad length")
    created_ms, signal = int.from_bytes(raw[:8], "big"), int.from_bytes(raw[24:28], "big")
    id = AwakeableId(InvocationId(raw[8:24]), signal, created_ms)
    if not hmac.compare_digest(raw, _place(id) + _proof(secret, id)):
        raise _bad("awakeable", text, "unknown awakeable")
    return id


def _bad(noun: str, text: str, why: str) -> BadIdError:
    return BadIdError(f"bad {noun} id '{text[:_SHOWN]}': {why}", why=why)


def _place(id: AwakeableId) -> bytes:
    # Restate has its partition key where the moment is: both are bytes that say nothing to a client.
    return id.created_ms.to_bytes(8, "big") + id.invocation + id.signal.to_bytes(4, "big")


def _proof(secret: bytes, id: AwakeableId) -> bytes:
    return hmac.digest(secret, _place(id), "sha256")[:16]


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _base62(text: str) -> int:
    number = 0
    for character in text:
        number = number * 62 + _DIGIT[character]
    return number
