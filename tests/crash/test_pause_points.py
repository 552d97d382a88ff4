"""Every pause point names a function that exists, where its callers look it up: a rename would silently miss it."""

from __future__ import annotations

import ast
import importlib
import inspect
import re

import pytest
from cells import CHUNK, CONSUMER, CUTOVER, ERASURE, ROLLBACK
from pausing import find
from shopferry.settings import PROJECT

WRITTEN = r'"(shopferry[.\w]*:[.\w]+#\w+)"'  # in tests that pause a process at a point of their own
OF_TESTS = {at for file in (PROJECT / "tests").rglob("test_*.py") for at in re.findall(WRITTEN, file.read_text())}
POINTS = sorted(
    {*CONSUMER.values(), *CHUNK.values(), *CUTOVER.values(), *ERASURE.values(), *ROLLBACK.values(), *OF_TESTS}
)
SOURCES = {file: file.read_text() for file in (PROJECT / "include" / "shopferry").rglob("*.py")}


@pytest.mark.parametrize("at", POINTS)
def test_the_function_exists(at: str) -> None:
    owner, name, when = find(at)
    assert inspect.isroutine(getattr(owner, name))
    assert when in {"before", "after"}


@pytest.mark.parametrize("at", [at for at in POINTS if "." not in at.partition(":")[2]])
def test_somebody_calls_the_function_through_that_module(at: str) -> None:
    """A caller that imported the function by name elsewhere would not meet the wrapped one."""
    module, _, rest = at.partition(":")
    name = rest.partition("#")[0]
    own = ast.parse(inspect.getsource(importlib.import_module(module)))
    by_name = any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(own))
    by_module = rf"\b{module.rpartition('.')[2]}\.{name}\b"
    assert by_name or any(re.search(by_module, source) for source in SOURCES.values())
