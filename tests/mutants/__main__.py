"""Does a test notice? ``python -m tests.mutants [words of a name]`` plants each defect and runs what should.

Each goes into a copy of the package; the tests are those of this tree. They must pass with nothing planted, and a
defect with which they take much longer than without has hung them.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.mutants.planted import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "durable"
LEAST_S, TIMES = 30, 3
"""Tests have hung after so long, and so many times as long as they take with nothing planted."""
LONGEST_S = 600


class Noticed(NamedTuple):
    by: str
    hung: bool = False


def plant(mutant: Mutant, package: Path) -> str:
    """The text of its file with the defect; an error unless there is exactly one place for it."""
    text = (package / mutant.file).read_text()
    places = text.count(mutant.sound)
    if places != 1:
        raise ValueError(f"{mutant.name}: {mutant.file} has {places} places for it, and there must be one")
    return text.replace(mutant.sound, mutant.broken)


@cache
def sound_s(tests: str) -> float:
    """How long they take with nothing planted; an error unless they pass."""
    began = time.monotonic()
    noticed = _run(tests, os.fspath(PACKAGE.parent), LONGEST_S)
    if noticed is not None:
        raise RuntimeError(f"{tests} does not pass with nothing planted: {noticed}")
    return time.monotonic() - began


def killer(mutant: Mutant, sound_s: Callable[[str], float] = sound_s) -> Noticed | None:
    """The first that noticed, or ``None``: it survived."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "durable"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / mutant.file).write_text(plant(mutant, package))
        for tests in mutant.tests:
            patience_s = max(LEAST_S, TIMES * sound_s(tests))
            if (noticed := _run(tests, directory, patience_s)) is not None:
                return noticed
    return None


def _run(tests: str, source: str, patience_s: float) -> Noticed | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        [*command, f"tests/{tests}", "--hypothesis-seed=0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as pytest:
        try:
            said, _ = pytest.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            return Noticed(f"tests/{tests} for {patience_s:.0f} s", hung=True)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pytest.pid, signal.SIGKILL)  # with all that the tests started
    if pytest.returncode == 0:
        return None
    noticed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    if pytest.returncode != 1 or noticed is None:
        raise RuntimeError(f"{tests} did not run: {said}")
    return Noticed(noticed[1])


def chosen(words: list[str]) -> Iterator[Mutant]:
    return (mutant for mutant in MUTANTS if all(word in mutant.name for word in words))


def main() -> None:
    began, fates = time.monotonic(), Counter[str]()
    for mutant in chosen(sys.argv[1:]):
        noticed = killer(mutant)
        fate = "SURVIVED" if noticed is None else "hung" if noticed.hung else "killed"
        fates[fate] += 1
        print(f"{fate:9} {mutant.name:37} {mutant.breaks if noticed is None else noticed.by}", flush=True)
    print(
        f"{fates['killed'] + fates['hung']} of {fates.total()} killed, {fates['hung']} of them by hanging a test; "
        f"{time.monotonic() - began:.0f} s"
    )
    sys.exit(bool(fates["SURVIVED"]))


if __name__ == "__main__":
    main()
