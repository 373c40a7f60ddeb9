"""The engine audits its own file, beside its work."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter

from durable import Context, Engine, EngineStoppedError, Options, Service, StoreError, handler
from durable.audit import Audit
from durable.ingress.admin import admin
from durable.store import Store
from durable.store.sqlite import SQLiteStore
from durable.testing import TestEngine
from tests.audit.planting import Planter
from tests.runtime.damage import HOUR, Approval, Cart, Half, Task

MINUTE = timedelta(minutes=1)
ORPHAN = "INSERT INTO waiter VALUES (zeroblob(16), zeroblob(16), 1)"


class Nap(Service):
    @handler
    async def take(self, ctx: Context, n: int) -> int:
        await ctx.sleep(timedelta(milliseconds=n % 7))
        return await ctx.run("wake", lambda: n)


class Filed(TestEngine):
    """The store of production, and the clock of a test."""

    def __init__(self, path: Path, options: Options | None = None) -> None:
        super().__init__(Cart(), Approval(), Task(), options=options)
        self._path = path

    def _open_store(self) -> Store:
        return SQLiteStore(self._path)

    async def audit(self) -> Audit:
        return await Engine.audit(self)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
async def damaged(path: Path) -> Path:
    async with Filed(path):
        pass
    Planter(path, {}).execute(ORPHAN)
    return path


async def test_a_finding_is_told_within_the_hour(damaged: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Filed(damaged) as engine:
        assert engine.last_audit is None

        await engine.skip(HOUR)

        assert engine.last_audit is not None
        assert [each.invariant for each in engine.last_audit.findings] == ["I14"]
        assert any(record.levelno == logging.CRITICAL for record in caplog.records)
        assert await engine.call(Task.step, "goes on") == "GOES ON"


async def test_an_administrator_can_ask_for_the_last_audit(damaged: Path) -> None:
    async with Filed(damaged) as engine:
        transport = httpx.ASGITransport(admin(engine))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            before = (await client.get("/audit")).json()
            await engine.skip(HOUR)
            after = (await client.get("/audit")).json()

    assert before == {"at": None, "findings": []}
    assert [finding["invariant"] for finding in after["findings"]] == ["I14"]


async def test_zero_audits_only_when_asked(damaged: Path) -> None:
    async with Filed(damaged, Options(audit=timedelta(0))) as engine:
        await engine.skip(48 * HOUR)
        assert engine.last_audit is None

        assert len((await engine.audit()).findings) == 1


async def test_an_engine_in_the_middle_of_everything_is_clean(path: Path) -> None:
    async with Filed(path) as engine:
        await Half(engine, "half").fill(engine.settle)

        assert (await engine.audit()).findings == ()


async def test_audits_beside_the_work_find_nothing(path: Path) -> None:
    async with Engine(path, Nap(), options=Options(inactivity=timedelta(0))) as engine:
        done: list[int] = []
        audited = asyncio.Event()

        async def work(n: int) -> None:
            while not audited.is_set():
                done.append(await engine.call(Nap.take, n))

        working = asyncio.gather(*(work(n) for n in range(50)))
        audits = [await engine.audit() for _ in range(3)]
        audited.set()
        await working

        assert len(done) >= 150
        assert [finding for each in audits for finding in each.findings] == []


async def test_an_engine_that_closes_ends_its_audit_first(path: Path) -> None:
    async with Engine(path, Nap()) as engine:
        await asyncio.gather(*(engine.call(Nap.take, n) for n in range(50)))
        audit = asyncio.ensure_future(engine.audit())
        await asyncio.sleep(0)

    with suppress(EngineStoppedError):
        assert (await audit).findings == ()
    assert not path.with_name("db-wal").exists()  # nobody was reading


async def test_steps_that_hang_hold_up_no_audit_and_no_close(path: Path) -> None:
    limiter = current_default_thread_limiter()
    hanging = [object() for _ in range(int(limiter.available_tokens))]
    for step in hanging:
        await limiter.acquire_on_behalf_of(step)
    try:
        async with asyncio.timeout(20), Engine(path) as engine:
            assert (await engine.audit()).findings == ()
            audit = asyncio.ensure_future(engine.audit())
            await asyncio.sleep(0)
    finally:
        for step in hanging:
            limiter.release_on_behalf_of(step)
    await asyncio.gather(audit, return_exceptions=True)


async def test_running_without_an_attempt_is_a_finding(path: Path) -> None:
    async with Filed(path) as engine:
        sent = await engine.send(Cart.check_out, "alice")
        await engine.settle()
        invoker = engine._open.invoker
        (lost,) = [id for id, attempt in invoker.attempts.items() if attempt.waiting]
        invoker._parking.leave(lost)
        attempt = invoker.attempts.pop(lost)

        await engine.skip(3 * HOUR)

        assert engine.last_audit is not None
        assert [(each.invariant, each.subject) for each in engine.last_audit.findings] == [("I9", sent.id)]
        invoker.attempts[lost] = attempt


@pytest.mark.parametrize(
    ("delay", "said"),
    [(timedelta(0), "a timer of it has not fired, and was due"), (MINUTE, "it is scheduled, and its time was")],
)
async def test_what_is_due_and_does_not_happen_is_a_finding(path: Path, delay: timedelta, said: str) -> None:
    async with Filed(path) as engine:
        sent = await engine.send_later(delay, Task.work, "alice")
        await engine.settle()
        assert engine._open.kernel.ledger.timers.next_ms is not None
        engine._open.timekeeper.errand.begin_at(None)  # its alarm is lost

        await engine.skip(3 * HOUR)

        assert engine.last_audit is not None
        (finding,) = engine.last_audit.findings
        assert (finding.invariant, finding.subject) == ("I9", sent.id)
        assert finding.explanation.startswith(said)


async def test_what_a_step_of_the_clock_makes_due_at_once_is_no_finding(path: Path) -> None:
    async with Filed(path) as engine:
        await engine.send(Task.work, "alice")
        await engine.skip(MINUTE)
        timekeeper = engine._open.timekeeper
        timekeeper.errand.begin_at(None)

        engine.clock.move_to(engine.clock.now_ms() + 8 * 3_600_000)  # and the audit comes before the timer
        await engine.settle()
        early = engine.last_audit
        timekeeper.errand.begin()
        await engine.skip(3 * HOUR)

        assert early is not None
        assert early.findings == ()
        assert engine.last_audit != early
        assert engine.last_audit is not None
        assert engine.last_audit.findings == ()


async def test_a_file_that_cannot_be_read_stops_no_engine(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Filed(path) as engine:
        engine._open.beside._path = path.with_name("elsewhere")

        await engine.skip(HOUR)

        assert any("could not be audited" in record.message for record in caplog.records)
        assert await engine.call(Task.step, "goes on") == "GOES ON"


async def test_without_a_file_there_is_nothing_to_audit() -> None:
    async with TestEngine(Nap()) as engine:
        with pytest.raises(StoreError, match="keeps nothing in a file"):
            await Engine.audit(engine)


async def test_a_disk_in_memory_is_audited_as_the_file_that_it_stands_for() -> None:
    async with TestEngine(Cart(), Approval(), Task()) as engine:
        await Half(engine, "half").fill(engine.settle)
        assert (await engine.audit()).findings == ()

    engine.disk.timers.clear()

    assert {finding.invariant for finding in (await engine.audit()).findings} == {"I9"}


async def test_an_audit_that_cannot_begin_stops_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(work: object, limiter: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("durable.runtime.beside.run_in_thread", refuse)
    async with Filed(path, Options(audit=HOUR)) as engine:
        await engine.skip(HOUR)

        await engine.send(Cart.add, "alice", 1)  # raises if the engine has stopped
    assert "can't start new thread" in caplog.text
