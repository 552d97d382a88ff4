"""What of legacy no mapping carries: other schemas, large objects, names in capitals; found, and settled by a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_shop import own_pair
from pair import Pair
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier
from shopferry import db
from shopferry.assess import coverage, encodings, sign_offs
from shopferry.assess.findings import Finding
from shopferry.engine import mirror
from shopferry.route import signed_off

LEGACY = """
CREATE SCHEMA sales;
CREATE SCHEMA "Old Shop";
CREATE TABLE invoices (id bigint PRIMARY KEY, pdf oid, "lastIp" text, number oid);
CREATE TABLE sales.orders (id bigint PRIMARY KEY);
CREATE TABLE sales.empty (id bigint PRIMARY KEY);
CREATE TABLE "Old Shop"."Order" (id bigint PRIMARY KEY);
CREATE TABLE "Logs" (id bigint PRIMARY KEY);
INSERT INTO invoices SELECT i, lo_from_bytea(0, 'pdf'), '10.0.0.1', 7 FROM generate_series(1, 5) i;
INSERT INTO sales.orders SELECT generate_series(1, 6);
INSERT INTO "Old Shop"."Order" SELECT generate_series(1, 7);
INSERT INTO "Logs" SELECT generate_series(1, 8);
"""
SHOP = "CREATE SCHEMA shop; CREATE TABLE shop.invoice (id bigint PRIMARY KEY, pdf oid, number oid);"
MAPPING = """-- entity: shop.invoice
-- key: id
-- scope: id
-- source: legacy.invoices(id)
SELECT t.id, t.pdf, t.number, '{}'::text[] AS problems FROM legacy.invoices t JOIN affected a ON a.key = t.id
"""


@pytest.fixture
def pair(make_db: Callable[..., str], tmp_path: Path) -> Iterator[Pair]:
    with own_pair(make_db, tmp_path, LEGACY, SHOP, {"all/invoice.sql": MAPPING}) as pair:
        yield pair


def found(pair: Pair, folder: Path, lines: str = "") -> list[Finding]:
    """What the assessment finds, with this text in signed_off.txt."""
    (folder / "own" / signed_off.FILE).write_text(lines)
    settled = signed_off.load(pair.route, folder)
    full, kept = mirror.reflect(pair.legacy, pair.route.tables), mirror.load(pair.shop)
    return [
        *coverage.find_unmapped(pair.legacy, full, kept, settled),
        *sign_offs.find_outdated(full, kept, settled),
        *sign_offs.find_unmatched(pair.legacy, settled),
    ]


def test_all_that_stays_behind_is_named_and_each_remedy_settles_its_finding(pair: Pair, tmp_path: Path) -> None:
    open_ = found(pair, tmp_path)
    assert [(f.subject, f.count) for f in open_] == [
        ("legacy invoices.lastIp", 5),
        ("legacy table Logs", 8),
        ("legacy table Old Shop.Order", 7),
        ("legacy table sales.orders", 6),
        ("legacy invoices.pdf", 5),
    ]
    assert all(f.blocking for f in open_)
    remedies = [f.remedy.split("`")[1].replace("reason", "nobody reads it") for f in open_]
    assert remedies == [
        'invoices."lastIp" -- nobody reads it',
        '"Logs" -- nobody reads it',
        '"Old Shop"."Order".* -- nobody reads it',
        "sales.orders.* -- nobody reads it",
        "invoices.pdf -- nobody reads it",
    ]
    assert found(pair, tmp_path, "\n".join(remedies)) == []


def test_a_line_of_one_schema_settles_nothing_of_another(pair: Pair, tmp_path: Path) -> None:
    subjects = {f.subject for f in found(pair, tmp_path, "orders -- not that one\nsales.?rders.* -- this one\n")}
    assert "legacy table sales.orders" not in subjects
    subjects = {f.subject for f in found(pair, tmp_path, "orders -- not that one\n")}
    assert "legacy table sales.orders" in subjects


def test_large_objects_that_nothing_names_are_warned_of(pair: Pair, tmp_path: Path) -> None:
    pair.write("UPDATE invoices SET pdf = NULL")
    [warning] = [f for f in found(pair, tmp_path) if "large objects" in f.text]
    assert (warning.blocking, warning.count) == (False, 5)


def test_bytes_of_another_encoding_are_found_by_their_rows(make_db: Callable[..., str], tmp_path: Path) -> None:
    dsn = make_db("legacy")
    with db.connect(make_db("other"), "test") as conn:
        name = Identifier(conninfo_to_dict(dsn)["dbname"])
        conn.execute(SQL("DROP DATABASE {}").format(name))
        how = "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
        conn.execute(SQL("CREATE DATABASE {} " + how).format(name))
    shop = "CREATE SCHEMA shop; CREATE TABLE shop.customer (id bigint PRIMARY KEY, name text)"
    mapping = MAPPING.replace("invoice", "customer").replace("t.pdf, t.number", "t.name")
    legacy = """
        CREATE TABLE customers (id bigint PRIMARY KEY, name text);
        INSERT INTO customers SELECT i, 'Person ' || i FROM generate_series(1, 300) i;
        UPDATE customers SET name = E'M\\xc3\\xbcller' WHERE id = 6;
    """
    stores = {"legacy": make_conninfo(dsn, client_encoding="UTF8"), "shop": make_db("shop")}  # as our sessions set it
    with own_pair(stores.__getitem__, tmp_path, legacy, shop, {"all/c.sql": mapping}) as pair:
        tables = mirror.load(pair.shop)
        [warning] = encodings.check_encoding(pair.legacy, tables)
        assert (warning.blocking, warning.text[:26]) == (False, "the encoding is SQL_ASCII:")
        pair.pass_phases()
        assert pair.ask("SELECT name FROM shop.customer WHERE id = 6") == [("Müller",)]
        assert pair.verify("all").clean
        pair.write("UPDATE customers SET name = E'M\\xfcller' WHERE id IN (5, 7)")
        _, blocking = encodings.check_encoding(pair.legacy, tables)
        assert (blocking.subject, blocking.count, blocking.blocking) == ("legacy customers.name", 2, True)
        assert [e.key for e in blocking.examples] == ["5", "7"]


def test_a_line_that_names_nothing_is_named_with_what_may_be_meant(pair: Pair, tmp_path: Path) -> None:
    lines = ['invoices."lastIP" -- a slip', "sales.orders.* -- there", "invoice -- a slip", "nothing.at.all -- gone"]
    settled = "\n".join([*lines, "inv*.pd? -- there", '"Old Shop"."Order".id -- there'])
    warned = [f for f in found(pair, tmp_path, settled) if f.subject.startswith(signed_off.FILE)]
    assert [(f.subject, f.severity.value) for f in warned] == [
        (f"{signed_off.FILE}:1", "warning"),
        (f"{signed_off.FILE}:3", "warning"),
        (f"{signed_off.FILE}:4", "warning"),
    ]
    assert [f.remedy for f in warned] == [
        'write invoices."lastIp", if that is meant, or take the line out',
        "write invoices, if that is meant, or take the line out",
        "correct the name, or take the line out",
    ]
