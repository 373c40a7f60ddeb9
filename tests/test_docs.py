"""Every ``python`` block of the README and of docs/ runs.

The blocks of a page run in order, in one namespace, as one script, in an empty working directory.
A block marked ``python no-run`` is only compiled.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import get_type_hints

import pytest

from durable.settings import HandlerKeywords

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^(?P<indent> *)```python(?P<flags>.*)\n(?P<code>(?:.*\n)*?)(?P=indent)```$", re.MULTILINE)
PAGES = [
    page for page in sorted([*ROOT.glob("README.md"), *ROOT.glob("docs/**/*.md")]) if BLOCK.search(page.read_text())
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, page],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # for examples.shop
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", ["configuration.md", "concepts/service.md"])
def test_the_tables_of_options_are_complete(page: str) -> None:
    rows = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("| `")]
    said = {word for row in rows for word in re.findall(r"`(\w+)=?`", row.split("|")[1])}

    assert {*get_type_hints(HandlerKeywords), "batch"} - said == set()


def run(page: Path) -> None:
    """Be the script that the page is: its names are ``__main__``'s, its line numbers the page's own."""
    script = sys.modules["__main__"] = ModuleType("__main__")
    sys.path[0] = os.getcwd()
    for flags, code in blocks(page):
        if flags != "no-run":
            exec(code, script.__dict__)


def blocks(page: Path) -> Iterator[tuple[str, CodeType]]:
    text = page.read_text()
    for block in BLOCK.finditer(text):
        flags = block["flags"].strip()
        if flags not in {"", "no-run"}:
            raise ValueError(f"{page} has a block marked 'python {flags}': it may say 'python' or 'python no-run'")
        above = text.count("\n", 0, block.start("code"))
        code = re.sub(f"^{block['indent']}", "", block["code"], flags=re.MULTILINE)
        yield flags, compile("\n" * above + code, page, "exec", dont_inherit=True)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
