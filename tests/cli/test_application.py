"""What ``durable serve`` takes for an application."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette

from durable.cli import main
from durable.cli.application import NoApplicationError, application


async def plain(scope: object, receive: object, send: object) -> None: ...


def make() -> Starlette:
    return STARLETTE


class Instance:
    async def __call__(self, scope: object, receive: object, send: object) -> None: ...


class Opaque:
    """Its signature cannot be known."""

    __signature__ = "none"

    def __call__(self) -> None: ...


STARLETTE, INSTANCE, OPAQUE = Starlette(), Instance(), Opaque()


@pytest.mark.parametrize(
    ("given", "served"),
    [(plain, plain), (STARLETTE, STARLETTE), (INSTANCE, INSTANCE), (make, STARLETTE), (OPAQUE, OPAQUE)],
)
def test_an_application_is_taken_and_a_function_asked_for_it(given: object, served: object) -> None:
    assert application("app:app", given) is served


def services(outside: object = None) -> list[object]:
    return []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((1, 2), r"^app:it is \(1, 2\), and is no ASGI application; name what takes \(scope, receive, send\), such as"),
        (services, r"^app:it\(\) is \[\], and is no ASGI application"),
        (lambda engine: engine, r"^app:it takes \(engine\), and is no ASGI application"),
        (lambda: lambda scope: None, r"^app:it\(\) takes \(scope\), and is no ASGI application"),
    ],
)
def test_anything_else_is_refused_with_what_it_is(given: tuple[int] | Callable[..., object], says: str) -> None:
    with pytest.raises(NoApplicationError, match=says):
        application("app:it", given)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing_there:LIMITS", "durable serve: nothing_there:LIMITS is (1, 2), and is no ASGI application"),
        ("nothing_there:app", 'Attribute "app" not found in module "nothing_there"'),
    ],
)
def test_serving_it_is_exit_code_1(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing_there.py").write_text("LIMITS = (1, 2)\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SystemExit) as ended:
        main(["serve", name, "--port", "0"])

    assert ended.value.code == 1
    assert says in capfd.readouterr().err
