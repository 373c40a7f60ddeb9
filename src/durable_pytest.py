"""The pytest plugin: ``durable_engine``, and ``--durable-replay``.

It is outside of the package, so that a project that uses neither imports nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from durable.options import Options
    from durable.service import AnyService
    from durable.testing import Recording, TestEngine

SERVICES = "durable_services"
REPLAY = "--durable-replay"
MAKER = "from_parent"  # by name: pytest leaves its keywords untyped, which a strict checker refuses


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("durable")
    group.addoption(
        REPLAY,
        action="append",
        default=[],
        metavar="DATABASE",
        help="instead of the tests, replay each invocation of a copy of this database against today's code",
    )
    parser.addini(SERVICES, f"for {REPLAY}: module:function, which returns the services that the engine is given")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """No test is wanted, so none is imported."""
    return True if config.getoption(REPLAY) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before ``-k`` selects."""
    databases: list[str] = config.getoption(REPLAY) or []
    if databases:
        services = _services(config)
        items[:] = [item for path in databases for item in _replays(session, path, services)]


class Replay(pytest.Item):
    """One recorded invocation."""

    recording: Recording
    make_services: Callable[[], list[AnyService]]

    def runtest(self) -> None:
        from durable.testing import replay_check

        if self.recording.missing:
            pytest.skip(f"there is nothing to replay: {self.recording.missing}")
        asyncio.run(replay_check(self.recording, *self.make_services()))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """The comparison alone: where it was found in this package helps nobody."""
        return str(excinfo.value) if isinstance(excinfo.value, AssertionError) else str(excinfo.getrepr())

    def reportinfo(self) -> tuple[str, int | None, str]:
        return str(self.path), None, self.name


def _replays(session: pytest.Session, path: str, services: Callable[[], list[AnyService]]) -> Iterator[Replay]:
    from durable.errors import DurableError
    from durable.testing.replay import invocations

    try:
        found = invocations(path)
    except DurableError as error:
        raise pytest.UsageError(f"{REPLAY}: {error}") from error
    if all(recording.missing for recording in found):
        raise pytest.UsageError(f"{REPLAY}: {path} holds no invocation with a journal")
    make: Callable[..., Replay] = getattr(Replay, MAKER)
    for recording in found:
        item = make(session, name=f"{path}::{recording}")
        item.recording, item.make_services = recording, services
        yield item


def _services(config: pytest.Config) -> Callable[[], list[AnyService]]:
    name = str(config.getini(SERVICES))
    module, _, function = name.partition(":")
    if not function:
        raise pytest.UsageError(
            f"{REPLAY} has to know your services; write {SERVICES} = module:function into pytest's configuration, "
            f"a function without arguments that returns a list of them{f', not {name!r}' if name else ''}"
        )
    try:
        make = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"{SERVICES} = {name}: {error}") from error
    return lambda: list(make())


@pytest.fixture
def durable_engine() -> Iterator[Callable[..., TestEngine]]:
    """Makes a ``TestEngine``, to be opened with ``async with``; at the end of the test its disk is audited."""
    from durable.testing import TestEngine
    from durable.testing.audit import audit_disk

    made: list[TestEngine] = []

    def make(
        *services: AnyService,
        after: TestEngine | None = None,
        options: Options | None = None,
        crash_at: int | None = None,
        written: bool = False,
    ) -> TestEngine:
        made.append(TestEngine(*services, after=after, options=options, crash_at=crash_at, written=written))
        return made[-1]

    yield make
    for engine in made:
        findings = audit_disk(engine.disk).findings
        assert findings == (), f"the disk of a test engine is not as it must be: {findings}"
