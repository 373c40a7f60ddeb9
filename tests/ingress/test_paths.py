from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durable.core.entries import Target
from durable.ingress import paths
from durable.ingress.refusal import Refusal
from tests.ingress.checks import attempt

keys = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=0x20), min_size=1, max_size=200)


def keyed(service: str) -> bool:
    if service not in ("Greeter", "Counter"):
        raise Refusal(404, "no such service")
    return service == "Counter"


def parse(path: str) -> paths.Route:
    return paths.parse(paths.split(path.encode()), keyed)


@settings(max_examples=2000)
@given(keys)
@example("a/b")
@example("..")
@example("+")
@example("%41")
def test_a_key_comes_out_as_it_went_in(key):
    assert parse(f"/Counter/{quote(key, safe='')}/Add") == paths.Call(Target("Counter", "Add", key))


@settings(max_examples=2000)
@given(st.binary(max_size=60) | st.text("%0aAfF/.ü\0", max_size=12).map(str.encode))
def test_any_bytes_are_refused_or_are_that_exact_key(segment):
    match attempt(lambda: paths.decode(segment, "key")):
        case Refusal(status=status):
            assert 400 <= status < 500
        case key:
            assert key.encode() == unquote_to_bytes(segment)


parts = st.sampled_from(
    ["/", "//", "restate", "scope", "call", "send", "attach", "a", "Greeter", "Counter", "%2F", "k", "h", "%zz"]
)


@settings(max_examples=2000)
@given(st.lists(parts, max_size=9))
def test_any_path_is_a_route_or_a_4xx(parts):
    match attempt(lambda: parse("/" + "/".join(parts))):
        case Refusal(status=status):
            assert 400 <= status < 500
        case route:
            assert route.methods


def test_two_spellings_of_a_slash_are_two_keys():
    composed, decomposed = parse("/Counter/caf%C3%A9/Add"), parse("/Counter/cafe%CC%81/Add")

    assert composed != decomposed
    assert parse("/Counter/a%2Fb/Add") == paths.Call(Target("Counter", "Add", "a/b"))
    assert parse("/Counter/a%252Fb/Add") == paths.Call(Target("Counter", "Add", "a%2Fb"))


@pytest.mark.parametrize(
    ("segment", "why"),
    [
        ("%", "a '%' must be followed by two hexadecimal digits"),
        ("%4", "a '%' must be followed by two hexadecimal digits"),
        ("%zz", "a '%' must be followed by two hexadecimal digits"),
        ("%ff", "it is not UTF-8"),
        ("%ed%a0%80", "it is not UTF-8"),
        ("%00", "it must not contain control characters"),
        ("a%0Ab", "it must not contain control characters"),
        ("", "it must not be empty"),
        ("x" * 1025, "it is longer than 1024 bytes"),
        ("%C3%A9" * 513, "it is longer than 1024 bytes"),
    ],
)
def test_a_bad_key_is_refused(segment, why):
    with pytest.raises(Refusal, match=f"^bad key: {why}$") as caught:
        parse(f"/Counter/{segment}/Add")

    assert caught.value.status == 400


def test_names_of_services_and_handlers_are_not_decoded():
    assert parse("/Greeter/Gr%65et") == paths.Call(Target("Greeter", "Gr%65et"))


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/Greeter/Greet", paths.Call(Target("Greeter", "Greet"))),
        ("//Greeter/Greet/", paths.Call(Target("Greeter", "Greet"))),
        ("/Greeter/send", paths.Call(Target("Greeter", "send"))),
        ("/Greeter/Greet/send", paths.Send(Target("Greeter", "Greet"))),
        ("/Counter/k/send", paths.Call(Target("Counter", "send", "k"))),
        ("/Counter/k/Add/send", paths.Send(Target("Counter", "Add", "k"))),
        ("/restate/call/Greeter/Greet", paths.Call(Target("Greeter", "Greet"))),
        ("/restate/send/Counter/k/send", paths.Send(Target("Counter", "send", "k"))),
        ("/restate/attach/inv_1x", paths.Attach(paths.ById("inv_1x"))),
        ("/restate/output/inv_1x", paths.Output(paths.ById("inv_1x"))),
        ("/restate/attach", paths.AttachPosted()),
        ("/restate/output", paths.OutputPosted()),
        ("/restate/lookup", paths.Lookup()),
        ("/restate/invocation/inv_1x/attach", paths.Attach(paths.ById("inv_1x"))),
        (
            "/restate/invocation/Greeter/Greet/i%201/output",
            paths.Output(paths.ByIdempotencyKey(Target("Greeter", "Greet"), "i 1")),
        ),
        (
            "/restate/invocation/Counter/a%2Fb/Add/i1/attach",
            paths.Attach(paths.ByIdempotencyKey(Target("Counter", "Add", "a/b"), "i1")),
        ),
        ("/restate/workflow/Flow/k%20/attach", paths.Attach(paths.ByWorkflow("Flow", "k "))),
        ("/restate/workflow/Flow/k/output", paths.Output(paths.ByWorkflow("Flow", "k"))),
        ("/restate/awakeables/sign_1x/resolve", paths.Resolve("sign_1x")),
        ("/restate/a/sign_1x/reject", paths.Reject("sign_1x")),
        ("/restate/health", paths.Health()),
    ],
)
def test_a_path_means(path, route):
    assert parse(path) == route
