"""Both stores, behind one bench."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from durable.store import Store
from durable.store.memory import MemoryDisk, MemoryStore
from durable.store.sqlite import SQLiteStore


class Bench:
    """One disk, and the stores that were opened on it."""

    def __init__(self, make: Callable[[], Store], steal: Callable[[], None]) -> None:
        self._make = make
        self._steal = steal
        self._opened: list[Store] = []

    async def open(self) -> Store:
        store = self._make()
        await store.open()
        self._opened.append(store)
        return store

    async def reopen(self) -> Store:
        await self.close()
        return await self.open()

    async def take_over(self) -> Store:
        """Open a second one while the first still runs, as if no lock had stopped it."""
        self._steal()
        return await self.open()

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


def memory_bench() -> Bench:
    disk = MemoryDisk()
    return Bench(lambda: MemoryStore(disk), lambda: None)


def sqlite_bench(directory: Path) -> Bench:
    return Bench(lambda: SQLiteStore(directory / "db"), (directory / "db.lock").unlink)


@pytest.fixture(params=["memory", "sqlite"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = memory_bench() if request.param == "memory" else sqlite_bench(tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
async def store(bench: Bench) -> Store:
    return await bench.open()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
async def sqlite(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path)
    await store.open()
    yield store
    await store.close()
