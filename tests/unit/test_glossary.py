"""The glossary names code and tables that exist."""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec

import pytest
from shopferry.control.schema import SQL
from shopferry.settings import PROJECT

PAGE = (PROJECT / "docs" / "glossary.md").read_text()
SCHEMA = "".join((SQL / file).read_text() for file in ("schema.sql", "looked.sql"))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| word")]
CELLS = [row.rsplit("|", 2)[1] for row in ROWS]
NAMES = sorted({name for cell in CELLS for name in re.findall(r"`([a-z_]+(?:\.\w+)*|[A-Z]\w+(?:\.\w+)+)`", cell)})
SCHEMAS = {"ferry", "mirror", "shop"}  # of the target's database


def require_python_name(name: str) -> None:
    """Fail unless `name` is a module below shopferry, or a name within one: `Settings.load` is in `settings`."""
    parts = name.split(".") if not name[0].isupper() else ["settings", *name.split(".")]
    module = importlib.import_module("shopferry")
    while parts and hasattr(module, "__path__") and find_spec(f"{module.__name__}.{parts[0]}"):
        module = importlib.import_module(f"{module.__name__}.{parts.pop(0)}")
    assert module.__name__ != "shopferry", f"there is no module of {name}"
    found: object = module
    for part in parts:
        # A field without a default is no attribute of its class.
        if part in getattr(found, "__dataclass_fields__", {}):
            return
        assert hasattr(found, part), f"{module.__name__} has no {name}"
        found = getattr(found, part)


@pytest.mark.parametrize("name", NAMES)
def test_every_code_name_exists(name: str) -> None:
    if name in SCHEMAS:
        return
    if name.startswith("ferry."):
        assert f"CREATE TABLE IF NOT EXISTS {name} (" in SCHEMA
    elif name.startswith("shopferry."):
        assert name in "".join(file.read_text() for file in SQL.glob("*.sql"))
    else:
        require_python_name(name)


def test_every_word_says_where_it_is() -> None:
    assert len(CELLS) > 50
    assert [cell for cell in CELLS if "`" not in cell] == []
