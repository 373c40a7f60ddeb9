"""The page of results is what its data says, and nobody wrote into it by hand."""

import msgspec

from benchmarks.page import CHARTS, FOLDER, page
from benchmarks.results import Results


def test_the_page_says_what_was_measured() -> None:
    found = msgspec.json.decode((FOLDER / "results.json").read_bytes(), type=Results)

    assert (FOLDER / "README.md").read_text() == page(found)


def test_every_chart_of_the_page_is_drawn() -> None:
    assert [name for name in CHARTS if not (FOLDER / f"{name}.svg").exists()] == []
