"""The walk of the shop's README, command by command, with a kill -9 after each."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.shop.processes import ROOT, running, shop

README = ROOT / "examples" / "shop" / "README.md"
STAND_IN = r"\b(ORDER-|sign_|inv_)\d{3}\b"


class Step(msgspec.Struct, frozen=True):
    """A command, and the answer that the README shows."""

    command: str
    answer: str


class Curl(msgspec.Struct):
    """What a curl command line asks for."""

    method: str = "GET"
    url: str = ""
    headers: dict[str, str] = {}
    body: str | None = None
    shows_headers: bool = False

    @classmethod
    def parse(cls, command: str) -> Curl:
        curl = cls()
        words = iter(shlex.split(command.replace("\\\n", " "))[1:])
        for word in words:
            match word:
                case "-X":
                    curl.method = next(words)
                case "-H":
                    name, _, value = next(words).partition(":")
                    curl.headers[name] = value.strip()
                case "-i":
                    curl.shows_headers = True
                case "-d":
                    curl.body = next(words)
                    curl.headers["Content-Type"] = "application/x-www-form-urlencoded"
                case _:
                    curl.url = word
        return curl

    async def run(self, http: httpx.AsyncClient, base: str) -> tuple[int, str]:
        """The status, and what would be seen; of the headers only those that the README shows."""
        url = self.url.replace("http://localhost:8000", base)
        answer = await http.request(self.method, url, headers=self.headers, content=self.body, timeout=30)
        head = (
            f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}\nx-restate-id: {answer.headers.get('x-restate-id')}"
        )
        return answer.status_code, f"{head}\n\n{answer.text}" if self.shows_headers else answer.text


class Walk:
    """Goes step by step; an id that the README made up stands for the one that the shop answered with."""

    def __init__(self, http: httpx.AsyncClient, base: str) -> None:
        self.http = http
        self.base = base
        self.known: dict[str, str] = {}
        self.patience = 500

    async def take(self, step: Step) -> None:
        """Run the command; again if it came too early, for the reader of a README is not that fast."""
        curl, pattern = Curl.parse(self.fill_in(step.command)), self.pattern(step.answer)
        status, seen = await curl.run(self.http, self.base)
        while not (met := re.fullmatch(pattern, seen)) and (curl.method == "GET" or status == 404):
            self.patience -= 1
            assert self.patience, f"{step.command}\nthe README shows {step.answer}\nthe shop said {seen}"
            await asyncio.sleep(0.02)
            status, seen = await curl.run(self.http, self.base)

        assert met, f"{step.command}\nthe README shows {step.answer}\nthe shop said {seen}"
        self.known |= {stand_in(group): id for group, id in met.groupdict().items()}

    def fill_in(self, text: str) -> str:
        return re.sub(STAND_IN, lambda met: self.known.get(met[0], met[0]), text)

    def pattern(self, answer: str) -> str:
        """An expression that the real answer matches, with a group for every id that is met for the first time."""
        escaped = re.escape(self.fill_in(answer)).replace(r"\-", "-")
        return re.sub(STAND_IN, lambda met: rf"(?P<{met[0].replace('-', '__')}>[\w-]+)", escaped)


def stand_in(group: str) -> str:
    return group.replace("__", "-")


def steps() -> list[Step]:
    """Every command of the README, with the block below it if that is its answer."""
    blocks = re.findall(r"^```(\w+)\n(.*?)\n```$", README.read_text(), re.MULTILINE | re.DOTALL)
    answers = [text if language in ("json", "http") else "" for language, text in blocks[1:]]
    commands = zip(blocks, [*answers, ""], strict=True)
    return [Step(text, answer) for (language, text), answer in commands if language == "sh" and text.startswith("curl")]


@pytest.mark.slow
async def test_the_readmes_walk_survives_a_kill_after_each_step(tmp_path: Path):
    server = shop(tmp_path, SHOP_DELIVERY_SECONDS="0.5")

    async with running(server), httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(120):
        walk = Walk(http, server.url)
        for step in steps():
            await walk.take(step)
            await server.restart()

    assert len(steps()) >= 15


@pytest.mark.slow
async def test_the_readmes_walk_needs_no_kill(tmp_path: Path):
    server = shop(tmp_path, SHOP_DELIVERY_SECONDS="0")

    async with running(server), httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(60):
        walk = Walk(http, server.url)
        for step in steps():
            await walk.take(step)
