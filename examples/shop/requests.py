"""What a request says, decoded strictly: whatever is not as it should be is refused, not guessed."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from examples.shop.domain import PaymentReceipt

# Names and receipts are short; a megabyte is a mistake or an attack.
MAX_BODY = 64 * 1024

# The rules of the engine's own ingress for keys: a user is the key of a basket, and an item is named like one.
LONGEST_NAME = 1024
CONTROL = re.compile(r"[\x00-\x1f]")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")

RECEIPT_FIELDS = {"TransactionID": "transaction_id", "Success": "success"}
"""A gateway that is written in Go calls them so, unless it is told otherwise."""


def user_of(request: Request) -> str:
    """The user in the path, percent-decoded once."""
    segment: str = request.path_params["user"]
    try:
        if re.search("%(?![0-9a-fA-F]{2})", segment):
            raise ValueError("a percent sign must be followed by two hexadecimal digits")
        return checked_name(unquote_to_bytes(segment.encode("latin-1")).decode())
    except ValueError as error:
        raise HTTPException(400, f"bad user in the path: {error}") from error


def idempotency_key(request: Request) -> str | None:
    match request.headers.getlist("idempotency-key"):
        case []:
            return None
        case [key] if IDEMPOTENCY_KEY.fullmatch(key):
            return key
        case _:
            # Also when it is empty: that is a client whose variable was not set, and all its requests would be one.
            raise HTTPException(400, "the header Idempotency-Key must be 1 to 255 visible ASCII characters, given once")


async def read_item(request: Request) -> str:
    body = await read_body(request)
    try:
        return checked_name(msgspec.json.decode(body, type=str))
    except ValueError as error:  # msgspec's own errors, text that is not UTF-8, and what is no name
        raise HTTPException(400, f"the body must be a JSON string that names an item: {error}") from error


async def read_receipt(request: Request) -> PaymentReceipt:
    body = await read_body(request)
    try:
        given = msgspec.json.decode(body, type=dict[str, object])
        fields = {RECEIPT_FIELDS.get(name, name): value for name, value in given.items()}
        if len(fields) < len(given):
            raise ValueError("it says something twice, in both spellings")
        return msgspec.convert(fields, PaymentReceipt)
    except (ValueError, RecursionError) as error:
        raise HTTPException(
            400, f'the body must be a receipt, as in {{"transaction_id": "TXN-1", "success": true}}: {error}'
        ) from error


async def read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                raise HTTPException(413, f"the body is larger than {MAX_BODY} bytes")
    except ClientDisconnect as error:
        raise HTTPException(400, "the body ended before its time") from error
    return bytes(body)


def checked_name(text: str) -> str:
    if not text:
        raise ValueError("it must not be empty")
    if len(text.encode()) > LONGEST_NAME:
        raise ValueError(f"it is longer than {LONGEST_NAME} bytes")
    if CONTROL.search(text):
        raise ValueError("it must not contain control characters")
    return text
