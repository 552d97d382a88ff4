"""What the way back loses: every column that the new shop fills is read by it, or somebody has said what becomes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pair import ROUTE, Pair
from shopferry import installation
from shopferry.cutover import losses
from shopferry.errors import ConfigError
from shopferry.route.losses import FILE
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT
from test_gates import lacks, moved_template  # noqa: F401

BACK = Route.load("demo_reverse")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo route as one of somebody's own, whose files the test may change."""
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    return Path(shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo"))


@pytest.mark.fresh
def test_a_column_that_nobody_carries_back_is_found_before_the_cutover(moved: Pair) -> None:
    lacks(losses.judge_covered(moved.stores), "it is not installed")
    installation.install(moved.shop, moved.legacy, BACK)
    gate = losses.judge_covered(moved.stores)
    assert gate.met and gate.evidence.endswith("is read or decided"), gate.evidence
    moved.shop.execute(
        "ALTER TABLE shop.customer ADD COLUMN birthday date, ADD COLUMN name_length integer "
        "GENERATED ALWAYS AS (length(family_name)) STORED"
    )
    told = "1 columns are lost by a rollback, and nobody has said so: shop.customer.birthday"
    lacks(losses.judge_covered(moved.stores), told)


@pytest.mark.parametrize(
    "line",
    [
        "shop.customer.birthday",
        "* shop.customer.birthday -- cut: gone",
        "shop.*.birthday -- cut: gone",
        "shop.customer.birthday -- lost: gone",
        "shop.customer.* -- kept beyond 255: all of them",
    ],
)
def test_a_line_that_decides_nothing_is_named(line: str, own: Path) -> None:
    (own / "reverse" / FILE).write_text(f"# comment\n{line}\n")
    with pytest.raises(ConfigError, match=r"demo/reverse/losses\.txt:2: wants `shop\.table\.column -- cut: why`"):
        losses.judge_accepted(ROUTE, None)


@pytest.mark.fresh
def test_a_table_that_neither_direction_knows_is_named(moved: Pair) -> None:
    installation.install(moved.shop, moved.legacy, BACK)
    moved.shop.execute("CREATE TABLE shop.wish (id bigint PRIMARY KEY, customer_id bigint, sku text)")
    gate = losses.judge_covered(moved.stores)
    assert gate.met and gate.evidence.endswith("neither direction knows all stays in the new shop: shop.wish")


@pytest.mark.fresh
def test_what_is_signed_off_by_a_pattern_is_decided(moved: Pair, own: Path) -> None:
    installation.install(moved.shop, moved.legacy, BACK)
    moved.shop.execute("ALTER TABLE shop.customer ADD COLUMN birthday date, ADD COLUMN birthplace text")
    moved.shop.execute("CREATE TABLE shop.wish (id bigint PRIMARY KEY, customer_id bigint, sku text)")
    with (own / "reverse" / FILE).open("a") as file:
        file.write("shop.customer.birth* -- cut: legacy never knew\nshop.wish.* -- cut: wishes stay here\n")
    gate = losses.judge_covered(moved.stores)
    assert gate.met and gate.evidence.endswith("is read or decided"), gate.evidence


def test_what_only_one_direction_knows_is_closed_and_opened_too(own: Path) -> None:
    """A table that only the way back reads would else take writes after a rollback that nobody carries."""
    assert "shop.wish" not in ROUTE.shop_tables
    (own / "reverse" / "contacts" / "wishes.sql").write_text(
        "-- entity: public.wishes\n-- key: id\n-- scope: id\n-- source: shop.wish(id)\n"
        "SELECT w.id, w.sku, '{}'::text[] AS problems FROM affected a JOIN shop.wish w ON w.id = a.key;\n"
    )
    route = Route.load("demo")
    assert set(route.shop_tables) == {*route.entities, "shop.wish"}
    assert set(route.legacy_tables) == {*(f"public.{t}" for t in route.tables), "public.wishes"}
