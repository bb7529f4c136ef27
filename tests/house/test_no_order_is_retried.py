"""No retry around an order call, anywhere: what Kite did not answer is looked up, never sent blindly again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHERS = ("exchange", "testing", "conformance")  # the other side of the wire, and those who play it
SOURCES = [path for path in sorted((ROOT / "btkite").rglob("*.py")) if path.parts[len(ROOT.parts) + 1] not in OTHERS]
CALLS = {"place", "modify", "cancel"}
ROUTES = {"order.place", "order.modify", "order.cancel"}
AGAIN = (ast.For, ast.While, ast.AsyncFor, ast.comprehension)


def parents(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def above(node: ast.AST, tree_of: dict[ast.AST, ast.AST]) -> Iterator[ast.AST]:
    """What encloses a node, up to its function."""
    while not isinstance(node, ast.FunctionDef) and node in tree_of:
        node = tree_of[node]
        yield node


def order_calls(tree: ast.AST) -> list[ast.Call]:
    """``client.place(…)`` and its kin, and the routes behind them."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = ast.unparse(node.func.value)
        by_name = node.func.attr in CALLS and receiver.split(".")[-1].strip("_") in ("client", "kite")
        by_route = any(isinstance(argument, ast.Constant) and argument.value in ROUTES for argument in node.args)
        if by_name or by_route:
            found.append(node)
    return found


def repeated(path: Path) -> list[str]:
    """Order calls of a file that stand in a loop, or in a ``try`` whose handler calls again."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree_of = parents(tree)
    wrong = []
    for call in order_calls(tree):
        for around in above(call, tree_of):
            handlers = around.handlers if isinstance(around, ast.Try) else []
            if isinstance(around, AGAIN) or any(order_calls(handler) for handler in handlers):
                wrong.append(f"{path.name}:{call.lineno}")
    return wrong


def test_order_calls_are_made_by_the_desk_alone() -> None:
    made = {
        path.relative_to(ROOT / "btkite").as_posix()
        for path in SOURCES
        if order_calls(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert made == {"kite/client.py", "kite/desk.py"}


def test_no_order_call_stands_in_a_loop() -> None:
    assert [line for path in SOURCES for line in repeated(path)] == []


@pytest.mark.parametrize(
    "code",
    [
        "def f(client):\n    for _ in range(3):\n        client.place(1)\n",
        "def f(self):\n    while True:\n        self.client.cancel(1)\n",
        "def f(self):\n    try:\n        self._client.place(1)\n    except OSError:\n        self._client.place(1)\n",
    ],
)
def test_a_retry_would_be_found(code: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(code)
    assert repeated(path)


def test_only_reads_are_tried_again() -> None:
    """One file knows of retries, and asks for the method first; no HTTP adapter repeats a request by itself."""
    text = {path.relative_to(ROOT / "btkite").as_posix(): path.read_text(encoding="utf-8") for path in SOURCES}
    assert [name for name, source in text.items() if "import stamina" in source] == ["kite/door.py"]
    assert [name for name, source in text.items() if "max_retries" in source or "urllib3.util.retry" in source] == []
    tree = ast.parse(text["kite/door.py"])
    tree_of = parents(tree)
    reads = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_read"
    ]
    assert reads
    for call in reads:
        tests = [ast.unparse(around.test) for around in above(call, tree_of) if isinstance(around, ast.If)]
        assert any("method == 'GET'" in test for test in tests)
