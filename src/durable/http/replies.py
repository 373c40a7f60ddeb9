"""Replies, read: the outcome of an invocation, or the error that says why there is none. Pure."""

from __future__ import annotations

from typing import TypeVar

import httpx
import msgspec

from durable.core.outcome import Failure, Outcome, Success
from durable.core.waits import Why
from durable.errors import BadIdError, InvocationNotFoundError, InvocationStateError, TerminalError
from durable.http.wire import from_invocation

R = TypeVar("R")


class _Error(msgspec.Struct):
    """The ingress's; the admin API's has no code."""

    message: str
    code: int | None = None
    metadata: dict[str, str] = {}


class _Sent(msgspec.Struct, rename="camel"):
    invocation_id: str


class _Status(msgspec.Struct):
    status: str


class _Restarted(msgspec.Struct):
    new_invocation_id: str


def outcome(response: httpx.Response) -> Outcome:
    """How an invocation ended, if the reply tells that; otherwise it raises why not."""
    if from_invocation(response):
        return _failure(response)
    if response.is_success:
        return Success(response.content)
    raise _failure(response).error()


def message(response: httpx.Response) -> str:
    """Of an error."""
    return _failure(response).message


def invocation_id(response: httpx.Response) -> str:
    """Of what was sent."""
    if not response.is_success:
        raise _failure(response).error()
    return _decode(response, _Sent).invocation_id


def check_id_known(response: httpx.Response) -> None:
    """Of a route that takes the id of an invocation or an awakeable."""
    if response.is_success or from_invocation(response):
        return
    failure = _failure(response)
    if response.status_code == 400:
        raise BadIdError(failure.message)
    if response.status_code == 404:
        raise InvocationNotFoundError(failure.message)
    raise failure.error()


def check_done(response: httpx.Response) -> None:
    """Of a verb of the admin API."""
    if response.is_success:
        return
    failure = _failure(response)
    if response.status_code == 404:
        raise InvocationNotFoundError(failure.message)
    if response.status_code in (409, 410, 422, 425):
        raise InvocationStateError(failure.message, status=failure.status)
    raise failure.error()


def status(response: httpx.Response) -> str:
    check_done(response)
    return _decode(response, _Status).status


def why(response: httpx.Response) -> Why:
    check_done(response)
    return _decode(response, Why)


def restarted_id(response: httpx.Response) -> str:
    check_done(response)
    return _decode(response, _Restarted).new_invocation_id


def _failure(response: httpx.Response) -> Failure:
    try:
        error = msgspec.json.decode(response.content, type=_Error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not from an ingress: a proxy, or another server altogether.
        return Failure(response.status_code, f"{response.url} answered {response.status_code}: {response.text[:200]}")
    return Failure(response.status_code if error.code is None else error.code, error.message, error.metadata)


def _decode(response: httpx.Response, type: type[R]) -> R:
    try:
        return msgspec.json.decode(response.content, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        said = f"{response.url} answered {response.status_code} with what is no answer of an ingress: {error}"
        raise TerminalError(said, status=502) from error
