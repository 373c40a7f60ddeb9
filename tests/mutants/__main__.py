"""Does a test notice? ``python -m tests.mutants [words of a name]`` plants each defect and runs what should.

Each goes into a copy of the package; the tests are those of this tree.
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
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.mutants.planted import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "durable"
PATIENCE_S = 30


def plant(mutant: Mutant, package: Path) -> str:
    """The text of its file with the defect; an error unless there is exactly one place for it."""
    text = (package / mutant.file).read_text()
    places = text.count(mutant.sound)
    if places != 1:
        raise ValueError(f"{mutant.name}: {mutant.file} has {places} places for it, and there must be one")
    return text.replace(mutant.sound, mutant.broken)


def killer(mutant: Mutant) -> str | None:
    """The test that noticed, or ``None``: it survived."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "durable"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / mutant.file).write_text(plant(mutant, package))
        for tests in mutant.tests:
            if (found := _failed(f"tests/{tests}", directory)) is not None:
                return found
    return None


def _failed(tests: str, source: str) -> str | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", tests]
    with subprocess.Popen(
        [*command, "--hypothesis-seed=0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": source},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as pytest:
        try:
            said, _ = pytest.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            return f"{tests}: it hung"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(pytest.pid, signal.SIGKILL)  # with all that the tests started
    if pytest.returncode == 0:
        return None
    noticed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    if pytest.returncode != 1 or noticed is None:
        raise RuntimeError(f"{tests} did not run: {said}")
    return noticed[1]


def chosen(words: list[str]) -> Iterator[Mutant]:
    return (mutant for mutant in MUTANTS if all(word in mutant.name for word in words))


def main() -> None:
    began, survivors, count = time.monotonic(), list[str](), 0
    for mutant in chosen(sys.argv[1:]):
        count += 1
        noticed = killer(mutant)
        if noticed is None:
            survivors.append(mutant.name)
        fate = "SURVIVED" if noticed is None else "killed"
        print(f"{fate:9} {mutant.name:37} {noticed or mutant.breaks}", flush=True)
    print(f"{count - len(survivors)} of {count} killed; {time.monotonic() - began:.0f} s")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
