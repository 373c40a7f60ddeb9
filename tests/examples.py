"""How many examples Hypothesis draws: ``EXAMPLES=50 python -m pytest tests/properties`` draws fifty times as many."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("EXAMPLES", "1"))


def examples(count: int) -> int:
    return TIMES * count
