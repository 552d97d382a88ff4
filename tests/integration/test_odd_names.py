"""Names that SQL wants in quotes, or that are longer than PostgreSQL keeps: they work, or are refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from own_shop import own_pair, write_route
from shopferry.errors import MappingError
from shopferry.route.identifiers import shorten_name
from shopferry.settings import PROJECT
from shopferry.stores import fence

LONG = "newsletter_subscription_double_opt_in_confirmation_by_"  # 54 letters
LEGACY = f"""
CREATE TABLE "user" (id bigint PRIMARY KEY, name text, "Größe" integer, "a b" text);
CREATE TABLE vote (id bigint PRIMARY KEY, "user" bigint, "order" integer, "group" integer);
CREATE TABLE {LONG}email_a (id bigint PRIMARY KEY, customer bigint, granted boolean);
CREATE TABLE {LONG}email_b (id bigint PRIMARY KEY, customer bigint, number text);
INSERT INTO "user" SELECT i, 'n' || i, i, 'b' FROM generate_series(1, 20) i;
INSERT INTO vote SELECT i, i % 7, i, i % 5 FROM generate_series(1, 40) i;
INSERT INTO {LONG}email_a SELECT i, i % 7, true FROM generate_series(1, 20) i;
INSERT INTO {LONG}email_b SELECT i, i % 7, 'n' FROM generate_series(1, 20) i;
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop."user" (id bigint PRIMARY KEY, name text, size integer, blank text, votes integer);
CREATE TABLE shop."order" (id bigint PRIMARY KEY, votes integer);
CREATE TABLE shop.consent_a (id bigint PRIMARY KEY, customer bigint, granted boolean);
CREATE TABLE shop.consent_b (id bigint PRIMARY KEY, customer bigint, number text);
"""


def consent(which: str, column: str) -> str:
    """The mapping of one of the two long tables."""
    table = f"{LONG}email_{which}"
    return f"""-- entity: shop.consent_{which}
-- key: id
-- scope: id
-- source: legacy.{table}(id)
-- counts: legacy.{table}(id) as id
-- index: legacy.{table}(customer)
SELECT t.id, t.customer, t.{column}, '{{}}'::text[] AS problems FROM affected a JOIN legacy.{table} t ON t.id = a.key
"""


MAPPINGS = {
    "all/user.sql": """-- entity: shop.user
-- key: id
-- scope: id
-- source: legacy.user(id), legacy.vote(user)
-- counts: legacy.user(id) as id
SELECT u.id, u.name, u."Größe" AS size, u."a b" AS blank,
       (SELECT count(v."order") FROM legacy.vote v WHERE v."user" = u.id) AS votes,
       '{}'::text[] AS problems
FROM affected a JOIN legacy.user u ON u.id = a.key
""",
    "all/order.sql": """-- entity: shop.order
-- key: id
-- scope: id
-- source: legacy.vote(order)
-- after: all/user
SELECT v."order" AS id, v."group" AS votes, '{}'::text[] AS problems FROM affected a JOIN legacy.vote v ON v."order" = a.key
""",
    f"all/{LONG}for_a.sql": consent("a", "granted"),
    f"all/{LONG}for_b.sql": consent("b", "number"),
}


def test_reserved_words_and_long_names_go_all_the_way(make_db: Callable[..., str], tmp_path: Path) -> None:
    with own_pair(make_db, tmp_path, LEGACY, SHOP, MAPPINGS) as pair:
        indexed = {r[0] for r in pair.ask("SELECT indexdef FROM pg_indexes WHERE schemaname = 'mirror'")}
        assert len([i for i in indexed if i.endswith("(customer)")]) == 2  # neither has taken the other's name
        assert len([i for i in indexed if "_lsn" in i]) == 4
        pair.pass_phases()
        assert pair.verify("all").clean
        pair.write(
            'UPDATE vote SET "user" = 1 WHERE id < 9',
            'UPDATE "user" SET "Größe" = 7, "a b" = NULL WHERE id = 1',
            f"UPDATE {LONG}email_a SET granted = false",
            f"DELETE FROM {LONG}email_b WHERE id > 10",
        )
        pair.sync()
        assert pair.verify("all").clean
        assert pair.ask('SELECT size, blank, votes FROM shop."user" WHERE id = 1') == [(7, None, 12)]
        assert pair.ask("SELECT count(*) FROM shop.consent_a WHERE granted") == [(0,)]
        assert pair.ask("SELECT count(*) FROM shop.consent_b") == [(10,)]


def test_an_application_goes_on_with_a_view_of_the_old_name(make_db: Callable[..., str], tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "howto" / "own-stores.md").read_text()
    moved = page.partition("```sql\nBEGIN;\n")[2].partition("GRANT ")[0]
    legacy = f"""CREATE SCHEMA sales; CREATE TABLE sales."Customer" ("Id" bigint PRIMARY KEY, "Name" text);
                 INSERT INTO sales."Customer" VALUES (1, 'Ala'), (2, 'Ola'); {moved}"""
    mapping = """-- entity: shop.customer
-- key: id
-- scope: id
-- source: legacy.customers(id)
SELECT c.id, c."Name" AS name, '{}'::text[] AS problems FROM affected a JOIN legacy.customers c ON c.id = a.key
"""
    shop = "CREATE SCHEMA shop; CREATE TABLE shop.customer (id bigint PRIMARY KEY, name text)"
    with own_pair(make_db, tmp_path, legacy, shop, {"all/customer.sql": mapping}) as pair:
        pair.pass_phases()
        pair.write(
            """INSERT INTO sales."Customer" VALUES (1, 'Ewa'), (3, 'Iga')
               ON CONFLICT ("Id") DO UPDATE SET "Name" = excluded."Name" """,
            """DELETE FROM sales."Customer" WHERE "Id" = 2""",
        )
        pair.sync()
        assert pair.ask("SELECT id, name FROM shop.customer ORDER BY id") == [(1, "Ewa"), (3, "Iga")]
        assert pair.verify("all").clean
        fence.raise_fence(pair.legacy, ["public.customers"], "own", ("shop", 1))
        with pytest.raises(psycopg.DatabaseError, match="moved: "):
            pair.write("""UPDATE sales."Customer" SET "Name" = 'x'""")


@pytest.mark.parametrize("source", ["ownerId", '"ownerId"'])
def test_a_source_may_be_a_column_with_capitals(make_db: Callable[..., str], tmp_path: Path, source: str) -> None:
    legacy = (
        'CREATE TABLE thing (id bigint PRIMARY KEY, "ownerId" integer); INSERT INTO thing VALUES (1, 7), (2, 7), (3, 8)'
    )
    mapping = f"""-- entity: shop.owner
-- key: id
-- scope: id
-- source: legacy.thing({source})
SELECT a.key AS id, count(t.id) AS things, '{{}}'::text[] AS problems
FROM affected a JOIN legacy.thing t ON t."ownerId" = a.key GROUP BY a.key
"""
    shop = "CREATE SCHEMA shop; CREATE TABLE shop.owner (id integer PRIMARY KEY, things bigint)"
    with own_pair(make_db, tmp_path, legacy, shop, {"all/owner.sql": mapping}) as pair:
        pair.pass_phases()
        pair.write('UPDATE thing SET "ownerId" = 8 WHERE id = 2')
        pair.sync()
        assert pair.ask("SELECT id, things FROM shop.owner ORDER BY id") == [(7, 1), (8, 2)]
        assert pair.verify("all").clean


@pytest.mark.parametrize(
    "header",
    [
        '-- source: legacy."Customer"("Id")',
        "-- source: legacy.Customer(Id)",
        "-- source: legacy.größen(id)",
        '-- source: legacy.orders(id)\n-- counts: legacy."Orders"(id) as id',
        '-- source: legacy.orders(id)\n-- index: legacy."Orders"(id)',
        '-- source: legacy.orders(id)\n-- standardize: phone legacy."Orders" (phone)',
    ],
)
def test_a_name_that_cannot_stand_in_a_header_is_refused_there(tmp_path: Path, header: str) -> None:
    text = f"-- entity: shop.o\n-- key: id\n-- scope: id\n{header}\nSELECT 1 AS id"
    with pytest.raises(MappingError, match=r"own/all/o\.sql:[45]: .* holds a name with capitals, signs or letters"):
        write_route(tmp_path, {"all/o.sql": text})


@pytest.mark.parametrize("source", ["sales.orders(id)", "legacy.sales.orders(id)"])
def test_a_schema_in_a_header_is_refused_there(tmp_path: Path, source: str) -> None:
    text = f"-- entity: shop.o\n-- key: id\n-- scope: id\n-- source: {source}\nSELECT 1 AS id"
    with pytest.raises(MappingError, match=r"own/all/o\.sql:4: "):
        write_route(tmp_path, {"all/o.sql": text})


def test_a_long_name_is_cut_to_one_of_its_own() -> None:
    names = ["ż" * 40 + end for end in ("a", "b")]
    short = [shorten_name(name) for name in names]
    assert len(set(short)) == 2 and all(len(s.encode()) <= 63 for s in short)
    assert shorten_name("x" * 63) == "x" * 63
