"""Types under copy and comparison: what one server thinks equal, orders or writes in its own way, and the other does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alike import ALIKE
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal
from shopferry import db, installation
from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.engine import backfill, mirror
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError
from shopferry.keys import key_parts, key_text
from shopferry.route.route import Route
from shopferry.verify import checksums

FILES = Path(__file__).parents[1] / "stream" / "routes"
ROUTE = Route.load("values", FILES)


@pytest.fixture
def dsns(make_db: Callable[..., str]) -> tuple[str, str]:
    """Legacy's database and the shop's, empty."""
    return make_db("legacy"), make_db("shop")


@pytest.fixture
def latin2(make_db: Callable[..., str], dsns: tuple[str, str]) -> None:
    """Legacy's database as it was made in 2003."""
    with db.connect(make_db("other"), "test") as conn:
        name = Identifier(conninfo_to_dict(dsns[0])["dbname"])
        conn.execute(SQL("DROP DATABASE {}").format(name))
        how = "TEMPLATE template0 ENCODING 'LATIN2' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
        conn.execute(SQL("CREATE DATABASE {} " + how).format(name))


@pytest.fixture
def stores(dsns: tuple[str, str]) -> Iterator[Stores]:
    """A store with a column of every type and its mirror, still empty, on servers that are set up differently."""
    for dsn, values in zip(
        dsns, (("German", "escape", "Asia/Tokyo", "0"), ("SQL, DMY", "hex", "UTC", "3")), strict=True
    ):
        with db.connect(dsn, "test") as conn:
            for name, value in zip(
                ("DateStyle", "bytea_output", "TimeZone", "extra_float_digits"), values, strict=True
            ):
                of = Identifier(conn.info.dbname)
                conn.execute(SQL("ALTER DATABASE {} SET {} = {}").format(of, Identifier(name), Literal(value)))
    with closing(db.connect(dsns[0], "test")) as legacy, closing(db.connect(dsns[1], "test")) as shop:
        legacy.execute((FILES / "values" / "legacy.sql").read_bytes())
        shop.execute((FILES / "values" / "shop.sql").read_bytes())
        # N2 before N10, which the mirror's text puts the other way round; collations differ alike, but not every build has two.
        codes = ", ".join(f"'N{n}'" for n in range(1, 501))
        legacy.execute(f"CREATE TYPE counted AS ENUM ({codes})".encode())
        legacy.execute("ALTER TABLE keyed ALTER code TYPE counted USING code::counted")
        installation.install(legacy, shop, ROUTE)
        shop.execute("ALTER TABLE ferry.phase DROP CONSTRAINT phase_chunk_size_is_sane")
        yield Stores(legacy, shop, ROUTE)


def copy(stores: Stores, chunk_size: int = 1_000) -> None:
    """Copy all of legacy into the mirror."""
    with stores.target.transaction():
        phases.configure(stores.target, "values", "all", chunk_size=chunk_size, rows_per_second=None, sample=None)
        phases.move(stores.target, "values", "all", State.COPYING)
    backfill.plan_copy(stores, "all")
    while backfill.copy_next(stores, "all", "test"):
        pass


def found(stores: Stores, table: str) -> list[tuple[str, str, str]]:
    """What layer 1 finds in a table: key, kind, column."""
    mirrored = mirror.load(stores.target)[table]
    parts = checksums.compare(stores.source, stores.target, mirrored, lambda: None)
    return [(d.key, d.kind, d.column) for part in parts for d in part.found]


def test_values_that_only_look_alike_are_told_apart_and_others_are_not(stores: Stores) -> None:
    for table, columns in ALIKE.items():
        cases = [(column, *pair) for column, pairs in columns.items() for pair in pairs]
        for number, (column, theirs, _) in enumerate(cases, 1):
            stores.source.execute(
                SQL("INSERT INTO {} (id, {}) VALUES (%s, %s)").format(Identifier(table), Identifier(column)),
                (number, theirs),
            )
    copy(stores)
    for table, columns in ALIKE.items():
        assert found(stores, table) == []
        cases = [(column, *pair) for column, pairs in columns.items() for pair in pairs]
        for number, (column, _, ours) in enumerate(cases, 1):
            stores.target.execute(
                SQL("UPDATE mirror.{} SET {} = %s WHERE id = %s").format(Identifier(table), Identifier(column)),
                (ours, number),
            )
        wanted = [(str(number), "differs", column) for number, (column, _, _) in enumerate(cases, 1)]
        assert sorted(found(stores, table)) == sorted(wanted)


@pytest.mark.parametrize(
    ("column", "theirs", "ours"),
    [
        ("padded", "ab", "ab   "),
        ("at_tz", "2020-01-02 03:04:05+02", "2020-01-02 01:04:05+00"),
        ("exact", "1.10", "01.10"),
        ("host", "10.0.0.1", "10.0.0.1/32"),
        ("day", "2020-01-02", "20200102"),
        ("dbl", "1e2", "100"),
        ("raw", "\\x61", "a"),
    ],
)
def test_the_same_value_written_otherwise_is_no_difference(stores: Stores, column: str, theirs: str, ours: str) -> None:
    insert = SQL("INSERT INTO carried (id, {}) VALUES (1, %s)").format(Identifier(column))
    stores.source.execute(insert, (theirs,))
    copy(stores)
    stores.target.execute(SQL("UPDATE mirror.carried SET {} = %s").format(Identifier(column)), (ours,))
    assert found(stores, "carried") == []


def test_keys_that_the_stores_order_differently_are_copied_compared_and_copied_again(stores: Stores) -> None:
    add = "INSERT INTO keyed SELECT ('N' || n)::counted, '2020-01-01', n, NULL, true FROM generate_series(1, 120) n"
    stores.source.execute(add)
    copy(stores, chunk_size=7)
    assert found(stores, "keyed") == []
    stores.target.execute("UPDATE mirror.keyed SET note = 'x' WHERE code = 'N100'")
    stores.target.execute("INSERT INTO mirror.keyed (code, day, _lsn) VALUES ('N500', '2020-01-01', '0/2')")
    keyed = [mirror.load(stores.target)["keyed"]]
    assert checksums.compare_hot(stores.source, stores.target, keyed, "0/1") == {"keyed": {"N500/2020-01-01"}}
    suspects = {"keyed": {"N3/2020-01-01", "N100/2020-01-01"}}
    assert checksums.compare_hot(stores.source, stores.target, keyed, "0/2", suspects) == {"keyed": {"N100/2020-01-01"}}
    assert sorted(found(stores, "keyed")) == [("N100/2020-01-01", "differs", "note"), ("N500/2020-01-01", "extra", "")]
    stores.source.execute("DELETE FROM keyed WHERE code IN ('N3', 'N30', 'N119')")
    backfill.resync(stores, "test")
    assert found(stores, "keyed") == []
    assert stores.target.execute("SELECT count(*) FROM legacy.keyed WHERE _seen").fetchall() == [(117,)]


@pytest.mark.usefixtures("latin2")
def test_texts_of_another_encoding_are_converted_and_compared(stores: Stores) -> None:
    # By numbers: what the client sends must not depend on the client.
    words = "'za' || chr(191) || chr(243) || chr(179) || chr(230)"  # zażółć in LATIN2
    stores.source.execute(f"INSERT INTO carried (id, words, docb) VALUES (1, {words}, to_jsonb({words}))".encode())
    copy(stores)
    assert stores.target.execute("SELECT words, docb FROM legacy.carried WHERE id = 1").fetchall() == [
        ("zażółć", "zażółć")
    ]
    assert found(stores, "carried") == []
    mirrored = [mirror.load(stores.target)["carried"]]
    stores.target.execute("UPDATE mirror.carried SET _lsn = '0/1'")
    assert checksums.compare_hot(stores.source, stores.target, mirrored, "0/0") == {}
    stores.target.execute("UPDATE mirror.carried SET words = 'zażółc' WHERE id = 1")
    assert found(stores, "carried") == [("1", "differs", "words")]
    assert checksums.compare_hot(stores.source, stores.target, mirrored, "0/0") == {"carried": {"1"}}


def test_keys_whose_parts_hold_the_separator_are_told_apart(stores: Stores) -> None:
    rows = SQL("(VALUES ('a/b', 'c'), ('a', 'b/c'), ('a~1b', 'c'), ('1', '2')) v (x, y)")
    texts = [
        t for (t,) in stores.target.execute(SQL("SELECT {} FROM {}").format(key_text(("x", "y")), rows)).fetchall()
    ]
    assert len(set(texts)) == 4
    assert texts[3] == "1/2"
    assert [key_parts(("x", "y"), t) for t in texts] == [["a/b", "c"], ["a", "b/c"], ["a~1b", "c"], ["1", "2"]]


def test_a_column_whose_name_the_mirror_needs_is_named(dsns: tuple[str, str]) -> None:
    with db.connect(dsns[0], "test") as legacy, db.connect(dsns[1], "test") as shop:
        legacy.execute((FILES / "values" / "legacy.sql").read_bytes())
        shop.execute((FILES / "values" / "shop.sql").read_bytes())
        tables = mirror.reflect(legacy, ["keyed"])
        column = replace(tables["keyed"].columns[2], name="_gone")
        wrong = {"keyed": replace(tables["keyed"], columns=(*tables["keyed"].columns, column))}
        with pytest.raises(
            ConfigError, match="legacy table keyed: a mapping reads column _gone, whose name the mirror needs"
        ):
            mirror.create(shop, ROUTE, wrong)
