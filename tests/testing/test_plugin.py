"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from durable import Context, Engine, Service, handler

ROOT = Path(__file__).parents[2]
SERVICES = """
from durable import Context, Service, handler

class Shop(Service):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("{step}", print, order)
        return order

def services():
    return [Shop()]
"""
CONFIG = "[pytest]\ndurable_services = shop:services\npythonpath = .\n"


class Shop(Service):
    @handler
    async def buy(self, ctx: Context, order: str) -> str:
        await ctx.run("charge", str, order)
        return order


def run_pytest(where: Path, *arguments: str, plugin: Sequence[str] = ("-p", "durable_pytest")) -> tuple[int, str]:
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if name != "CI"}  # pytest says more there
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *arguments],
        cwd=where,
        env={**environment, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
async def project(tmp_path: Path) -> Path:
    async with Engine(tmp_path / "prod.db", Shop()) as engine:
        await engine.call(Shop.buy, "o-1")
        await engine.call(Shop.buy, "o-2")
    (tmp_path / "pytest.ini").write_text(CONFIG)
    (tmp_path / "test_other.py").write_text("raise RuntimeError('imported')\n")
    return tmp_path


async def test_each_invocation_of_a_database_is_a_test(project: Path):
    (project / "shop.py").write_text(SERVICES.format(step="charge"))

    code, said = run_pytest(project, "--durable-replay=prod.db")

    assert code == 0, said
    assert "2 passed" in said


async def test_an_invocation_without_journal_entries_is_skipped_and_says_so(project: Path):
    (project / "shop.py").write_text(SERVICES.format(step="charge"))
    async with Engine(project / "prod.db", Shop()) as engine:
        await engine.send_later(timedelta(days=1), Shop.buy, "o-3")
        bought = await engine.send(Shop.buy, "o-4")
        await bought.result()
        await bought.purge_journal()

    code, said = run_pytest(project, "--durable-replay=prod.db", "-rs")

    assert code == 0, said
    assert "2 passed, 2 skipped" in said
    assert "there is nothing to replay: its journal has no entry" in said
    assert "there is nothing to replay: its journal is no longer kept" in said


async def test_a_database_without_any_journal_entry_is_refused(project: Path):
    (project / "shop.py").write_text(SERVICES.format(step="charge"))
    async with Engine(project / "young.db", Shop()) as engine:
        await engine.send_later(timedelta(days=1), Shop.buy, "o-1")

    code, said = run_pytest(project, "--durable-replay=young.db")

    assert code == 4, said
    assert "young.db holds no invocation with a journal" in said


async def test_changed_code_fails_with_both_sides(project: Path):
    (project / "shop.py").write_text(SERVICES.format(step="pay"))

    code, said = run_pytest(project, "--durable-replay=prod.db")

    assert code == 1, said
    (row, _) = [line for line in said.splitlines() if line.startswith("  !")]
    assert "name='charge'" in row
    assert "name='pay'" in row
    assert row.endswith("shop.py:7")


async def test_without_services_it_says_what_to_configure(project: Path):
    (project / "pytest.ini").write_text("[pytest]\n")

    code, said = run_pytest(project, "--durable-replay=prod.db")

    assert code == 4, said
    assert "write durable_services = module:function" in said


def test_a_project_that_does_not_use_it_imports_nothing(tmp_path: Path):
    (tmp_path / "test_it.py").write_text("import sys\ndef test_it(): assert 'durable' not in sys.modules\n")

    code, said = run_pytest(tmp_path)

    assert code == 0, said


TESTS = """
import asyncio, threading
from shop import Shop

def there():
    return set(threading.enumerate()), asyncio.all_tasks()

async def test_it(durable_engine):
    before = there()
    async with durable_engine(Shop()) as engine:
        assert await engine.call(Shop.buy, "o-1") == "o-1"
    assert there() == before
"""


def run_under_anyio(where: Path, tests: str) -> tuple[int, str]:
    (where / "shop.py").write_text(SERVICES.format(step="charge"))
    (where / "test_it.py").write_text(tests)
    (where / "conftest.py").write_text("import pytest\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n")
    (where / "pytest.ini").write_text("[pytest]\nanyio_mode = auto\npythonpath = .\n")
    return run_pytest(where, "-p", "anyio.pytest_plugin")


def test_an_engine_is_made_for_a_test_under_anyio(tmp_path: Path):
    code, said = run_under_anyio(tmp_path, TESTS)

    assert code == 0, said
    assert "1 passed" in said


OPTIONS = """
import pytest
from durable import EngineStoppedError, Limit, Options
from shop import Shop

async def test_it(durable_engine):
    options = Options(limits=(Limit("engine", concurrency=50),))
    async with durable_engine(Shop(), options=options, crash_at=1, written=True) as engine:
        assert engine.limits.all() == list(options.limits)
        with pytest.raises(EngineStoppedError):
            await engine.call(Shop.buy, "o-1")
"""


def test_an_engine_is_made_with_what_a_test_engine_takes(tmp_path: Path):
    code, said = run_under_anyio(tmp_path, OPTIONS)

    assert code == 0, said


DAMAGING = """
from shop import Shop

async def test_it(durable_engine):
    async with durable_engine(Shop()) as engine:
        await engine.call(Shop.buy, "o-1")
        engine.disk.journals.clear()
"""


def test_a_test_that_leaves_a_damaged_disk_fails(tmp_path: Path):
    code, said = run_under_anyio(tmp_path, DAMAGING)

    assert code == 1, said
    assert "1 passed, 1 error" in said
    assert "the disk of a test engine is not as it must be: (Finding(" in said


def test_an_engine_is_made_for_a_test_under_pytest_asyncio(tmp_path: Path):
    pytest.importorskip("pytest_asyncio")
    (tmp_path / "shop.py").write_text(SERVICES.format(step="charge"))
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\npythonpath = .\n"
    )

    code, said = run_pytest(tmp_path, "-p", "pytest_asyncio.plugin", "-W", "error")

    assert code == 0, said
    assert "1 passed" in said
