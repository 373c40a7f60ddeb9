"""In a process of its own: what one measurement leaves in memory does not weigh on the next."""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def apart(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function of a module in a new interpreter, and return what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=collect_less) as process:
        return process.submit(function, *args, **kwargs).result()


def collect_less() -> None:
    """What docs/performance.md advises, for everybody: what lives through a load is not looked at again and again."""
    gc.set_threshold(10_000, 50, 50)
