"""Which code of a module is held to the rules."""

from __future__ import annotations

import pytest

from durable.lint import check

HANDLER = """
import time
import durable
from durable import Service, handler

class Greeter(Service):
    @handler
    async def greet(self, ctx, name):
        {body}
"""


def lines(text: str) -> list[int]:
    return [diagnostic.line for diagnostic in check("greeter.py", text)]


@pytest.mark.parametrize(
    "decorator",
    ["handler", "handler(name='Greet')", "durable.handler", "durable.service.handler", "noted\n    @handler"],
)
def test_a_handler_is_known_by_its_decorator(decorator: str) -> None:
    text = HANDLER.format(body="time.time()").replace("@handler", f"@{decorator}")

    assert len(lines(text)) == 1


def test_another_handler_decorator_makes_no_handler() -> None:
    text = HANDLER.format(body="time.time()").replace("from durable import", "from signals import")

    assert lines(text) == []


def test_code_that_is_no_handler_may_do_as_it_likes() -> None:
    text = HANDLER.format(body="...") + "    def __init__(self):\n        self.began = time.time()\n"

    assert lines(text) == []


@pytest.mark.parametrize(
    "annotation", ["durable.Context", "'durable.ObjectContext'", "WorkflowSharedContext", "'Mine'", "not_durable.Mine"]
)
def test_a_function_is_known_by_the_annotation_of_its_context(annotation: str) -> None:
    text = (
        "import time, durable, not_durable\nfrom durable import WorkflowSharedContext, Context as Mine\n"
        f"def helper(name: str, ctx: {annotation}) -> None:\n    time.time()\n"
    )

    assert lines(text) == ([] if annotation == "not_durable.Mine" else [4])


@pytest.mark.parametrize(
    ("call", "helper"),
    [
        ("await helper(ctx)", "async def helper(given):"),
        ("helper(name, given=ctx)", "def helper(name, *, given):"),
        ("undo(lambda: helper(ctx))", "def helper(given):"),
    ],
)
def test_a_function_that_is_handed_the_context_is_a_handlers_code(call: str, helper: str) -> None:
    text = HANDLER.format(body=call) + f"\n{helper}\n    further(given)\n\ndef further(x):\n    time.time()\n"

    assert lines(text) == [text.count("\n")]


def test_a_method_that_is_handed_the_context_is_a_handlers_code() -> None:
    text = HANDLER.format(body="await self.wait(ctx)") + "    async def wait(self, it):\n        time.sleep(1)\n"

    assert lines(text) == [text.count("\n")]


def test_a_method_of_a_base_of_the_module_is_found() -> None:
    base = "import time\nclass Base:\n    async def wait(self, it):\n        time.sleep(1)\n"
    text = base + HANDLER.format(body="await self.wait(ctx)").replace("(Service)", "(Base, Service)")

    assert lines(text) == [4]


def test_a_function_that_is_not_handed_the_context_is_none() -> None:
    text = HANDLER.format(body="helper(name)") + "\ndef helper(ctx):\n    time.time()\n"

    assert lines(text) == []


def test_a_function_inside_a_handler_is_read_once() -> None:
    text = HANDLER.format(body="def inner(it): time.time()\n        inner(ctx)")

    assert len(lines(text)) == 1
