"""The house rules that a test can hold: imports point left, core/ is pure, files and functions are small.

These tests read the source, and never import it.
"""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "durable"

# Left to right: a module may import from its own ring and from those before it.
RINGS = (
    "errors flaw sizes flow singleton retry serde shape outcome options timetable",
    "core",
    "action threads calling service handlers settings signature state misuse futures combinators machine context saga "
    "client openapi generic replacement verbs window tally mapper fanout polling batch batched collector schedules",
    "store runtime audit backup",
    "engine limiting serving",
    "ingress http testing cli lint __main__",
)
RING = {room: number for number, rooms in enumerate(RINGS) for room in rooms.split()}

# What would let the clock, the disk, chance or the event loop into core/.
IMPURE = {"asyncio", "anyio", "sqlite3", "aiosqlite", "time", "random", "uuid", "os", "threading", "socket"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Runtime(ast.NodeTransformer):
    """Leaves out what only a type checker sees."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"} else node


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES: dict[str, ast.Module] = {
    dotted(path): Runtime().visit(ast.parse(path.read_text())) for path in sorted(PACKAGE.rglob("*.py"))
}
CORE = {name: tree for name, tree in MODULES.items() if f"{name}.".startswith("durable.core.")}


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that a module imports when it runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES and node.module != "durable" else node.module for name in inner)


def functions() -> Iterator[tuple[str, Function]]:
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{module}.{node.name} (line {node.lineno})", node


def test_every_room_has_a_place_in_the_rings() -> None:
    assert {name.split(".")[1] for name in MODULES if name != "durable"} <= RING.keys()


def test_imports_point_left() -> None:
    def ring(module: str) -> int:
        return RING[module.split(".")[1]]

    wrong = [
        f"{name} imports {target}"
        for name, tree in MODULES.items()
        for target in imports(tree)
        if name != "durable" and target.startswith("durable.") and ring(target) > ring(name)
    ]

    assert wrong == []


def test_nobody_imports_the_package_itself() -> None:
    assert [name for name, tree in MODULES.items() if "durable" in imports(tree)] == []


def test_imports_make_no_cycle() -> None:
    graph = {name: set(imports(tree)) & MODULES.keys() - {name} for name, tree in MODULES.items()}

    TopologicalSorter(graph).prepare()  # raises CycleError, with the cycle


def test_no_import_inside_a_function() -> None:
    assert [name for name, function in functions() if any(imports(function))] == []


def test_core_imports_no_clock_disk_or_chance() -> None:
    outside = {name: {target.split(".")[0] for target in imports(tree)} & IMPURE for name, tree in CORE.items()}

    assert {name: roots for name, roots in outside.items() if roots} == {}


def test_core_awaits_nothing() -> None:
    waiting = (ast.AsyncFunctionDef, ast.Await)

    assert [name for name, tree in CORE.items() if any(isinstance(node, waiting) for node in ast.walk(tree))] == []


def test_files_stay_below_400_lines() -> None:
    sizes = {
        path.relative_to(PACKAGE): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*")
        if path.suffix in {".py", ".sql"}
    }

    assert {path: size for path, size in sizes.items() if size > 400} == {}


def test_functions_stay_below_50_lines() -> None:
    sizes = {name: (function.end_lineno or 0) - function.lineno + 1 for name, function in functions()}

    assert {name: size for name, size in sizes.items() if size > 50} == {}


def test_functions_take_at_most_6_parameters() -> None:
    def parameters(function: Function) -> list[str]:
        every = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        return [parameter.arg for parameter in every if parameter.arg not in {"self", "cls"}]

    assert {name: parameters(function) for name, function in functions() if len(parameters(function)) > 6} == {}
