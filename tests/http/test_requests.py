"""What cannot be asked over HTTP is refused before anything is sent."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from durable import TerminalError
from durable.http import HttpClient
from tests.http.services import Greeter
from tests.http.transports import Script


@pytest.fixture
def script() -> Script:
    return Script(httpx.Response(200, json="hello"))


@pytest.fixture
def client(script: Script) -> HttpClient:
    return HttpClient("http://shop", transport=script)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"identity": "ada"}, "cannot be called as 'ada' over HTTP"),
        ({"idempotency_key": "käse"}, "visible ASCII"),
        ({"idempotency_key": "x" * 256}, "1 to 255"),
        ({"headers": {"x": "a\r\nhost: evil"}}, "header 'x' cannot be sent"),
        ({"headers": {"x": " padded"}}, "header 'x' cannot be sent"),
        ({"headers": {"x y": "1"}}, "cannot be the name of a header"),
        ({"headers": {"Idempotency-Key": "1"}}, "the client's own"),
        ({"headers": {"Content-Length": "1"}}, "the client's own"),
    ],
)
async def test_an_option_that_http_has_no_room_for_is_refused(client, script, options, message):
    with pytest.raises(ValueError, match=message):
        await client.call(Greeter.greet.options(**options), "Ada")

    assert script.requests == []


async def test_what_is_no_handler_is_refused(client):
    with pytest.raises(TypeError, match="is not a handler"):
        await client.call(print, "Ada")


async def test_a_negative_delay_is_refused(client):
    with pytest.raises(ValueError, match="between zero and ten years"):
        await client.send_later(timedelta(seconds=-1), Greeter.greet, "Ada")


async def test_a_delay_is_rounded_up(client, script):
    script.lines = [httpx.Response(202, json={"invocationId": "inv_1x", "status": "Accepted"})]

    await client.send_later(timedelta(microseconds=1500), Greeter.greet, "Ada")

    assert script.requests[0].url.params["delay"] == "2ms"


@pytest.mark.parametrize("url", ["shop:8080", "ftp://shop", "http://", "/api", "http://shop?x=1"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match="address of a server"):
        HttpClient(url)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1), timedelta(days=10_000)])
def test_a_timeout_that_cannot_be_is_refused(timeout):
    with pytest.raises(ValueError, match="timeout of a client"):
        HttpClient("http://shop", timeout=timeout)


async def test_a_page_of_another_server_is_quoted(client, script):
    script.lines = [httpx.Response(403, text="<h1>go away</h1>")]

    with pytest.raises(TerminalError, match=r"http://shop/.* answered 403: <h1>go away</h1>") as refused:
        await client.call(Greeter.greet, "Ada")

    assert refused.value.status == 403
