"""Follows a walk by curl: runs the commands of a README, and compares what it shows with what the shop says."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import httpx
import msgspec

STAND_IN = r"\b(ORDER-|sign_)\d{3}\b"


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
                case "-d":
                    curl.body = next(words)
                    curl.headers["Content-Type"] = "application/x-www-form-urlencoded"
                case _:
                    curl.url = word
        return curl

    async def run(self, http: httpx.AsyncClient, base: str) -> tuple[int, str]:
        """The status and the body."""
        url = re.sub(r"^http://localhost:\d+", base, self.url)
        answer = await http.request(self.method, url, headers=self.headers, content=self.body, timeout=30)
        return answer.status_code, answer.text


class Walk:
    """Goes step by step; an id that the README made up stands for the one that the shop answered with."""

    def __init__(self, http: httpx.AsyncClient, base: str) -> None:
        self.http = http
        self.base = base
        self.known: dict[str, str] = {}
        self.patience = 500

    async def take(self, step: Step) -> None:
        """Run the command; again if it looks, or pays, too early: the reader of a README is not that fast."""
        curl, pattern = Curl.parse(self.fill_in(step.command)), self.pattern(step.answer)
        status, seen = await curl.run(self.http, self.base)
        while not (met := re.fullmatch(pattern, seen)) and (curl.method == "GET" or may_be_early(curl, status)):
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


def may_be_early(curl: Curl, status: int) -> bool:
    """The simulated gateway may not have been asked yet. All else has to be there when it was promised."""
    return status == 404 and "/simulated/" in curl.url


def stand_in(group: str) -> str:
    return group.replace("__", "-")


def steps(readme: Path) -> list[Step]:
    """Every command of a README, with the block below it if that is its answer."""
    blocks = re.findall(r"^```(\w+)\n(.*?)\n```$", readme.read_text(), re.MULTILINE | re.DOTALL)
    answers = [text if language == "json" else "" for language, text in blocks[1:]]
    commands = zip(blocks, [*answers, ""], strict=True)
    return [Step(text, answer) for (language, text), answer in commands if language == "sh" and text.startswith("curl")]
