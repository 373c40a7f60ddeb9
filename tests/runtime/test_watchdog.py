"""A handler that blocks the event loop is named, with its line; and the loop's health knows it for a while."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import httpx
import pytest

from durable import Context, Engine, Service, handler
from durable.ingress import ingress
from durable.runtime import watchdog

TOLD = threading.Event()
LINE = Path(__file__).read_text().splitlines().index("        return TOLD.wait(60)  # the line that is named") + 1


class Telling(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.ERROR:
            TOLD.set()


class Blocking(Service):
    @handler
    async def block(self, ctx: Context) -> bool:
        return TOLD.wait(60)  # the line that is named


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "BEAT_S", 0.02)


@pytest.mark.usefixtures("impatient")
async def test_a_blocked_loop_is_told_with_the_handler_and_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    TOLD.clear()
    watchdog.log.addHandler(telling := Telling())
    try:
        async with Engine(tmp_path / "db", Blocking()) as engine:
            assert await engine.call(Blocking.block)

            assert engine.door.blocked is not None
            assert "Blocking.block (inv_" in engine.door.blocked
            assert f"{__file__}:{LINE}: nothing else runs meanwhile" in engine.door.blocked
            transport = httpx.ASGITransport(ingress(engine))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                health = await client.get("/restate/health")
            assert (health.status_code, health.json()["message"]) == (200, engine.door.blocked)
    finally:
        watchdog.log.removeHandler(telling)
    assert "return TOLD.wait(60)" in caplog.text  # the stack


async def test_a_loop_that_turns_is_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    TOLD.set()
    async with Engine(tmp_path / "db", Blocking()) as engine:
        await engine.call(Blocking.block)

        assert engine.door.blocked is None
    assert caplog.records == []
