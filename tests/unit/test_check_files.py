"""The files of business checks: what is wrong with one is named with file and line; the reference page is their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopferry.errors import MappingError
from shopferry.route.route import Route
from shopferry.settings import PROJECT, SQL_ROOT
from shopferry.verify import checks

GOOD = """-- check:    no thing without a name
-- severity: warning
-- phase:    orders
-- target:   shop.thing
-- remedy:   name it
-- Prose, which may say: anything.
SELECT id::text AS key, 'nameless' AS found
FROM shop.thing WHERE name = '';
"""


def load(root: Path, text: str) -> tuple[checks.Check, ...]:
    """The checks of a route that has this one file of them."""
    file = root / "sql" / "demo" / "checks" / "names.sql"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return checks.load(Route.load("demo"), root / "sql")


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (check,) = load(tmp_path, GOOD)
    assert (check.name, check.meaning, check.severity) == ("names", "no thing without a name", "warning")
    assert (check.phase, check.target, check.remedy, check.line) == ("orders", "shop.thing", "name it", 7)
    assert check.body == "SELECT id::text AS key, 'nameless' AS found\nFROM shop.thing WHERE name = ''"


@pytest.mark.parametrize(
    ("was", "becomes", "line", "what"),
    [
        ("-- remedy:   name it\n", "", 1, "`-- remedy:` is missing"),
        ("-- remedy:   name it", "-- remedy:", 5, "says nothing"),
        ("-- remedy:", "-- cure:", 5, "'cure' is none of"),
        ("-- remedy:", "-- target:", 5, "twice"),
        ("warning", "fatal", 2, "'fatal' is neither error nor warning"),
        ("orders", "payments", 3, "no phase 'payments': contacts, orders, loyalty"),
        (GOOD[GOOD.index("SELECT") :], "", 1, "no SELECT"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, was: str, becomes: str, line: int, what: str) -> None:
    with pytest.raises(MappingError, match=rf"sql/demo/checks/names\.sql:{line}: .*{what}"):
        load(tmp_path, GOOD.replace(was, becomes))


def test_a_route_may_have_none(tmp_path: Path) -> None:
    assert checks.load(Route.load("demo"), tmp_path) == ()


def test_each_of_the_demos_checks_is_about_a_table_that_there_is() -> None:
    tables = (SQL_ROOT / "demo" / "shop.sql").read_text() + (SQL_ROOT / "demo" / "legacy.sql").read_text()
    for check in checks.load(Route.load("demo")):
        assert check.name.startswith(f"{check.phase}_")
        assert f"CREATE TABLE {check.target.removeprefix('legacy.')} (" in tables, check.file


def test_the_reference_page_is_what_the_headers_say() -> None:
    page = PROJECT / "docs" / "reference" / "checks.md"
    made = checks.render(Route.load("demo"))
    assert page.read_text() == made, "run: python -m shopferry.verify.checks > docs/reference/checks.md"
