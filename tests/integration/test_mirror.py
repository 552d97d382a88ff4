"""The mirror: only what is mapped is captured, tombstones never show, and a mapping that does not run is named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pair import ROUTE, Pair, connect
from shopferry import installation
from shopferry.control import schema
from shopferry.engine import mirror
from shopferry.errors import ConfigError, MappingError
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT
from test_backfill import order


@pytest.fixture
def bare(make_db: Callable[..., str]) -> tuple[str, str]:
    """Two databases with the demo's tables, in which nothing is installed."""
    stores = make_db("legacy"), make_db("shop")
    for dsn, file in zip(stores, ("legacy.sql", "shop.sql"), strict=True):
        with connect(dsn) as conn:
            conn.execute((SQL_ROOT / "demo" / file).read_bytes())
    return stores


def install(bare: tuple[str, str], route: Route = ROUTE) -> None:
    with connect(bare[0]) as legacy, connect(bare[1]) as shop:
        installation.install(legacy, shop, route)


def changed(tmp_path: Path, file: str, old: str, new: str) -> Route:
    """The demo route with one file changed."""
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "sql" / "demo")
    path = tmp_path / "sql" / "demo" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return Route.load("demo", tmp_path / "sql")


def untouched(bare: tuple[str, str]) -> bool:
    """Whether no schema of ours stands in either store."""
    schemas = "SELECT 1 FROM pg_namespace WHERE nspname IN ('ferry', 'mirror', 'legacy', 'shopferry')"
    with connect(bare[0]) as legacy, connect(bare[1]) as shop:
        return not legacy.execute(schemas).fetchall() and not shop.execute(schemas).fetchall()


def test_only_mapped_columns_are_captured(pair: Pair) -> None:
    tables = mirror.load(pair.shop)
    assert set(tables) == set(ROUTE.tables)
    assert {"id", "email", "full_name", "pass_hash"} <= set(tables["customers"].names)
    assert "last_ip" not in tables["customers"].names
    assert tables["customers"].key == ("id",)
    published = pair.legacy.execute(
        "SELECT tablename, attnames FROM pg_publication_tables WHERE pubname = 'shopferry_demo' AND schemaname = 'public'"
    ).fetchall()
    assert {name: set(columns) for name, columns in published} == {n: set(t.names) for n, t in tables.items()}


@pytest.mark.parametrize(
    ("file", "old", "new", "word"),
    [
        ("orders/customer_order.sql", "btrim(o.number)", "btrim(o.numero)", "numero"),
        ("orders/customer_order.sql", "SELECT o.id FROM changed", "SELECT o.idd FROM changed", "idd"),
        ("orders/order_line.sql", "legacy.order_items(order_id)", "legacy.order_items(ordr)", "ordr"),
        ("orders/order_line.sql", "legacy.order_items (name)", "legacy.order_items (nom)", "nom"),
        ("contacts/account.identity.sql", "LEFT JOIN legacy", "LEFT JION legacy", "JION"),
    ],
)
def test_a_mapping_that_does_not_run_is_named_with_file_and_line(
    bare: tuple[str, str], tmp_path: Path, file: str, old: str, new: str, word: str
) -> None:
    route = changed(tmp_path, file, old, new)
    text = (tmp_path / "sql" / "demo" / file).read_text()
    line = text[: text.index(new)].count("\n") + 1
    with pytest.raises(MappingError) as e:
        install(bare, route)
    named = re.search(rf"{re.escape(file)}:(\d+): ", str(e.value))
    assert named and int(named[1]) in (line, 1), (line, str(e.value))
    assert word in str(e.value)
    assert untouched(bare)


def test_a_table_that_is_missing_or_has_no_key_is_named_and_nothing_is_changed(bare: tuple[str, str]) -> None:
    with connect(bare[0]) as legacy:
        legacy.execute("ALTER TABLE consents DROP CONSTRAINT consents_pkey")
    with pytest.raises(ConfigError, match="legacy table consents has no primary key"):
        install(bare)
    with connect(bare[0]) as legacy:
        legacy.execute("DROP TABLE consents")
    with pytest.raises(ConfigError, match=r"no table public\.consents"):
        install(bare)
    assert untouched(bare)


@pytest.mark.fresh
def test_what_mappings_look_up_by_value_has_an_index_also_where_an_older_one_stood(pair: Pair) -> None:
    with pair.shop.transaction():
        pair.shop.execute("DROP INDEX ferry.standardized_person")
        pair.shop.execute("CREATE INDEX standardized_value ON ferry.standardized USING hash (value)")
        schema.install_control(pair.shop)
        schema.install_control(pair.shop)
    assert pair.one("SELECT to_regclass('ferry.standardized_value')") is None
    sql = "".join(f.read_text() for f in sorted((SQL_ROOT / "demo").rglob("*.sql")))
    kinds = {"email_mark", "phone_mark"} | {
        kind for _, kind in re.findall(r"(\w+)\.kind = '(\w+)' AND \1\.value =", sql)
    }
    assert kinds
    pair.shop.execute("SET enable_seqscan = off")
    for kind in kinds:
        plan = pair.ask(f"EXPLAIN SELECT raw FROM ferry.standardized s WHERE s.kind = '{kind}' AND s.value = 'x'")
        assert "standardized_person" in str(plan)


def test_a_tombstone_stands_but_never_shows(pair: Pair) -> None:
    pair.pass_phases()
    pair.write(order(1), order(2))
    pair.write("DELETE FROM orders WHERE id = 1")
    pair.sync()
    assert pair.ask("SELECT id FROM legacy.orders") == [(2,)]
    assert pair.ask("SELECT id, _gone FROM mirror.orders ORDER BY id") == [(1, True), (2, False)]


def test_a_column_mapped_later_is_asked_for_and_not_missed_silently(bare: tuple[str, str], tmp_path: Path) -> None:
    install(bare)
    route = changed(
        tmp_path, "contacts/customer.sql", "SELECT a.key, c.id, c.email,", "SELECT a.key, c.id, c.last_ip, c.email,"
    )
    with pytest.raises(ConfigError, match="mirror of customers lacks last_ip, mapped since"):
        install(bare, route)


@pytest.mark.parametrize(
    ("store", "name"), [(1, "mirror"), (1, "ferry"), (1, "legacy"), (1, "shopferry"), (0, "shopferry")]
)
def test_a_schema_of_somebody_else_is_left_alone(bare: tuple[str, str], store: int, name: str) -> None:
    """Ours are dropped with all that is in them when the migration ends: nobody else's may be taken for one."""
    with connect(bare[store]) as conn:
        conn.execute(f"CREATE SCHEMA {name}; CREATE TABLE {name}.accounts (id integer)".encode())
    with pytest.raises(ConfigError, match=f"has a schema {name} of its own"):
        install(bare)
    with connect(bare[store]) as conn:
        conn.execute(f"DROP SCHEMA {name} CASCADE".encode())
    assert untouched(bare)
    install(bare)
    install(bare)
