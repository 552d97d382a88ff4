"""Rules for our own code that neither ruff nor mypy knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from shopferry.settings import PROJECT


def find_doubted_rows(tree: ast.AST) -> Iterator[int]:
    """The lines in which what `fetchone` returns is asked whether it is true."""
    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.If | ast.While | ast.IfExp):
            asked = [node.test]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            asked = [node.operand]
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
            asked = node.values
        for test in asked:
            if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and test.func.attr == "fetchone":
                yield test.lineno


@pytest.mark.parametrize("line", ["if c.execute(q).fetchone(): pass", "x = not c.fetchone()", "x = a and c.fetchone()"])
def test_a_doubted_row_is_found(line: str) -> None:
    assert list(find_doubted_rows(ast.parse(line))) == [1]


def test_whether_there_is_a_row_is_not_asked_of_the_row() -> None:
    """A SELECT without columns yields (), which is false: `fetchall()` is asked, or `is None`."""
    found = [
        f"{file.relative_to(PROJECT)}:{line}"
        for folder in ("include", "dags", "plugins", "benchmarks")
        for file in (PROJECT / folder).rglob("*.py")
        for line in find_doubted_rows(ast.parse(file.read_text()))
    ]
    assert not found
