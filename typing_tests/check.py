"""Hold each type checker to the ``# E`` marks of a file: an error on every marked line, and on no other."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# line number -> what the checker says about it
Errors = dict[int, str]


def main(name: str) -> int:
    lines = Path(name).read_text().splitlines()
    marked = {number for number, line in enumerate(lines, start=1) if "# E " in line}

    complaints = [
        f"{name}:{complaint}" for checker in (mypy, pyright) for complaint in compare(checker, checker(name), marked)
    ]
    print(*complaints, sep="\n", end="\n" if complaints else "")
    print(f"{name}: {len(marked)} mistakes, {len(complaints)} disagreements")
    return 1 if complaints else 0


def compare(checker: Callable[[str], Errors], errors: Errors, marked: set[int]) -> Iterator[str]:
    for line in sorted(marked - errors.keys()):
        yield f"{line}: {checker.__name__} accepts this mistake"
    for line in sorted(errors.keys() - marked):
        yield f"{line}: {checker.__name__} refuses an unmarked line: {errors[line]}"


def mypy(name: str) -> Errors:
    reports = map(json.loads, run("mypy", "--output", "json", name).splitlines())
    return {
        report["line"]: report["message"]
        for report in reports
        if report["severity"] == "error" and report["file"] == name
    }


def pyright(name: str) -> Errors:
    reports = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable, name))["generalDiagnostics"]
    return {
        report["range"]["start"]["line"] + 1: report["message"]
        for report in reports
        if report["severity"] == "error" and report["file"].endswith(name)
    }


def run(tool: str, *arguments: str) -> str:
    """What a tool prints. It exits with 1 when it finds something, which is not a failure here."""
    done = subprocess.run([sys.executable, "-m", tool, *arguments], capture_output=True, text=True)
    if done.returncode > 1 or (done.stderr and not done.stdout):
        sys.exit(f"{tool} could not check: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
