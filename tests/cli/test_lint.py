"""The command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from durable.cli import main

WRONG = """\
import time
from durable import Context

def now(ctx: Context) -> float:
    return time.time()
"""


def test_findings_are_printed_and_exit_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text(WRONG)

    assert main(["lint", str(tmp_path)]) == 1

    says = "DUR001 time.time() is another time on every attempt; write `await ctx.now()`"
    assert capsys.readouterr().out == f"{tmp_path}/a.py:5:12: {says}\n"


HANDLER = """\
import time
{imports}

class Shop(Service):
    @handler
    async def buy(self, ctx: Context) -> float:
        return time.time()
"""


@pytest.mark.parametrize(
    ("imports", "line"),
    [
        ("from durable import *", 7),
        ("from . import Context, Service, handler", 7),
        ("from .base import *", 7),
        ("from shop.base import Context, Service\nfrom shop.base import step as handler", 8),
        ("from .elsewhere import *", None),
        ("from .missing import Context, Service, handler", None),
        ("from durable import *\ndef handler(function): return function\nContext = dict", None),
    ],
)
def test_names_are_followed_through_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], imports: str, line: int | None
) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("from shop.base import Context, Service, handler\n")
    (package / "base.py").write_text("from . import x\nfrom durable import *\nfrom durable import handler as step\n")
    (package / "elsewhere.py").write_text("from signals import Context, Service, handler\nfrom .elsewhere import *\n")
    (package / "orders.py").write_text(HANDLER.format(imports=imports))

    assert main(["lint", str(package / "orders.py")]) == (0 if line is None else 1)

    assert (f"orders.py:{line}:16: DUR001" in capsys.readouterr().out) is (line is not None)


def test_no_findings_are_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.py").write_text("import time\ntime.time()\n")

    assert main(["lint", str(tmp_path)]) == 0

    assert capsys.readouterr().out == ""


def test_a_file_is_read_whatever_its_name_is(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(WRONG)

    assert (main(["lint", str(tmp_path)]), main(["lint", str(tmp_path / "script")])) == (0, 1)


def test_a_form_feed_ends_no_line(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("\f\n" + WRONG.replace("time.time()", "time.time()  # noqa: DUR001"))

    assert main(["lint", str(tmp_path)]) == 0


@pytest.mark.parametrize("place", [".venv", "node_modules", "src/.cache"])
def test_what_is_not_the_authors_is_left_alone(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "a.py").write_text(WRONG)

    assert main(["lint", str(tmp_path)]) == 0


@pytest.mark.parametrize("raw", [b"def:\n", b"\xff\xfe", b"x = 1\0"])
def test_a_file_that_is_no_python_is_2_and_the_others_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: bytes
) -> None:
    (tmp_path / "a.py").write_bytes(raw)
    (tmp_path / "b.py").write_text(WRONG)

    assert main(["lint", str(tmp_path)]) == 2

    printed = capsys.readouterr()
    assert f"{tmp_path}/a.py: cannot be read: " in printed.err
    assert "b.py:5:12: DUR001" in printed.out


def test_a_path_that_is_not_there_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(tmp_path / "gone.py")]) == 2

    assert capsys.readouterr().err == f"{tmp_path}/gone.py: there is no such file\n"


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(WRONG)

    done = subprocess.run(
        [sys.executable, "-m", "durable", "lint", "a.py"], cwd=tmp_path, capture_output=True, text=True
    )

    assert (done.returncode, done.stdout[:17]) == (1, "a.py:5:12: DUR001")
