"""The checker of histories, checked."""

from __future__ import annotations

import pytest

from tests.simulation.linear import Done, is_linearizable

ADD = ("add", 1)
GET = ("get",)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([Done(1, 2, ADD, 1), Done(3, 4, GET, 1)], id="one after the other"),
        pytest.param([Done(1, 4, ADD, 1), Done(2, 3, GET, 0)], id="a read before a write that had begun"),
        pytest.param([Done(1, 4, ADD, 1), Done(2, 3, GET, 1)], id="a read after a write that had not returned"),
        pytest.param([Done(1, None, ADD), Done(2, 3, GET, 0), Done(4, 5, GET, 1)], id="what was unknown came late"),
        pytest.param([Done(1, None, ADD), Done(2, 3, GET, 0)], id="what was unknown never came"),
        pytest.param([Done(1, 6, ("cas", 0, 5), True), Done(2, 5, ("cas", 5, 7), True)], id="one enables the other"),
    ],
)
def test_what_one_register_could_have_done_is_accepted(history: list[Done]) -> None:
    assert is_linearizable(history)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([Done(1, 2, ADD, 1), Done(3, 4, GET, 0)], id="a stale read"),
        pytest.param([Done(1, 3, ADD, 1), Done(2, 4, ADD, 1)], id="a lost update"),
        pytest.param([Done(1, 2, ADD, 1), Done(3, 4, GET, 2)], id="an update done twice"),
        pytest.param([Done(1, None, ADD), Done(2, 3, GET, 1), Done(4, 5, GET, 0)], id="time that runs backwards"),
        pytest.param([Done(1, 4, ("cas", 0, 5), True), Done(2, 3, ("cas", 0, 6), True)], id="two winners"),
    ],
)
def test_what_no_register_could_have_done_is_refused(history: list[Done]) -> None:
    assert not is_linearizable(history)
