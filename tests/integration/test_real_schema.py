"""A target as real platforms have it: texts for keys, in schema public, JSON, immediate unique indexes, cascades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from own_shop import own_pair
from pair import Pair, connect
from psycopg.conninfo import make_conninfo
from shopferry import installation
from shopferry.control import target_shape
from shopferry.engine import changed_settings
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError, MappingError, PhaseError
from shopferry.route.route import Route

MakeDb = Callable[..., str]

LEGACY = """
CREATE TABLE person (id integer PRIMARY KEY, email text, name text);
CREATE TABLE place (id integer PRIMARY KEY, person_id integer, street text);
CREATE TABLE purchase (id integer PRIMARY KEY, person_id integer, place_id integer, total numeric(12, 2), note text,
    number integer);
CREATE TABLE phone (id integer PRIMARY KEY, person_id integer, preferred boolean);
CREATE TABLE line (id integer PRIMARY KEY, purchase_id integer, title text, quantity integer);
INSERT INTO person SELECT i, 'p' || i || '@example.com', 'Name ' || i FROM generate_series(1, 40) i;
INSERT INTO phone SELECT i, 1 + i % 40, i > 40 FROM generate_series(1, 80) i;
INSERT INTO place SELECT i, i, 'Street ' || i FROM generate_series(1, 40) i;
INSERT INTO purchase SELECT i, 1 + i % 40, 1 + i % 40, i, NULLIF(i % 3, 0)::text, i FROM generate_series(1, 90) i;
INSERT INTO line SELECT i, 1 + i % 90, 'Thing ' || i, 1 + i % 4 FROM generate_series(1, 200) i;
"""
SHOP = """
CREATE SEQUENCE customer_numbers START 1000;
CREATE TABLE customer (id text PRIMARY KEY, email text NOT NULL, first_name text, metadata jsonb, deleted_at timestamptz);
CREATE UNIQUE INDEX customer_email ON customer (email) WHERE deleted_at IS NULL;
CREATE TABLE order_address (id text PRIMARY KEY, street text);
CREATE TABLE "order" (id text PRIMARY KEY, display_id integer GENERATED ALWAYS AS IDENTITY, "user" text,
    customer_id text REFERENCES customer ON DELETE SET NULL, address_id text REFERENCES order_address ON DELETE SET NULL,
    currency_code text NOT NULL, total numeric NOT NULL, raw_total jsonb NOT NULL, metadata jsonb,
    doubled numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE order_line (id text PRIMARY KEY, order_id text NOT NULL REFERENCES "order" ON DELETE CASCADE, title text NOT NULL,
    quantity integer NOT NULL, metadata jsonb);
CREATE TABLE telephone (id text PRIMARY KEY, preferred boolean NOT NULL,
    customer_id text NOT NULL REFERENCES customer ON DELETE CASCADE);
CREATE UNIQUE INDEX telephone_preferred ON telephone (customer_id) WHERE preferred = true;
CREATE TABLE note (id text PRIMARY KEY, line_id text NOT NULL REFERENCES order_line ON DELETE CASCADE, text text);
"""
FUNCTIONS = """-- Texts of keys, as the target's application would make them.
CREATE OR REPLACE FUNCTION clean.make_id(prefix text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE
RETURN prefix || '_' || lpad(number::text, 10, '0')
    || upper(left(md5(prefix || number || (SELECT value FROM ferry.setting WHERE name = 'id_secret')),
                  16));
"""
FILES = {
    "route.toml": """owner = "a"
contact = "b"
shop_schema = "public"

[settings]
currency = "pln"
id_secret = { env = "ID_SECRET" }
""",
    "functions.sql": FUNCTIONS,
    "contacts/customer.identity.sql": """-- identity: customer
-- sequence: customer_numbers
-- text: clean.make_id('cus', shop_key)
-- source: legacy.person(id)
SELECT p.id AS legacy_key, lower(p.email) AS cluster FROM affected a JOIN legacy.person p ON p.id = a.key
""",
    "contacts/person.sql": """-- entity: clean.person
-- key: id
-- scope: id
-- source: legacy.person(id)
-- What other mappings read of a person, whichever store it comes from.
SELECT p.id, lower(p.email) AS email, NULLIF(btrim(p.name), '') AS name, '{}'::text[] AS problems
FROM affected a JOIN legacy.person p ON p.id = a.key
""",
    "contacts/customer.sql": """-- entity: public.customer
-- key: id
-- scope: id
-- source: identity.customer(shop_id), clean.person
-- counts: legacy.person(id) as (metadata->>'legacy_id')::integer
SELECT i.shop_id AS id, p.email, p.name AS first_name, jsonb_build_object('legacy_id', p.id) AS metadata,
       array_remove(ARRAY[CASE WHEN p.name IS NULL THEN 'name_missing' END], NULL) AS problems,
       CASE WHEN i.legacy_key > min(i.legacy_key) OVER (PARTITION BY i.shop_id) THEN 'merged' END AS left_out
FROM affected a
JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_id = a.key
JOIN clean.person p ON p.id = i.legacy_key

-- lineage: clean.person
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.id
""",
    "contacts/telephone.sql": """-- entity: public.telephone
-- key: id
-- scope: customer_id
-- source: identity.customer(shop_id), legacy.phone, public.customer(id)
-- index: legacy.phone(person_id)
SELECT clean.make_id('tel', p.id) AS id, c.id AS customer_id, p.preferred, '{}'::text[] AS problems
FROM affected a JOIN public.customer c ON c.id = a.key JOIN ferry.identity i ON i.entity = 'customer' AND i.shop_id = a.key
JOIN legacy.phone p ON p.person_id = i.legacy_key

-- lineage: legacy.phone
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'customer' AND i.legacy_key = c.person_id
""",
    "orders/order.identity.sql": """-- identity: order
-- text: clean.make_id('order', shop_key)
-- source: legacy.purchase(id)
SELECT p.id AS legacy_key, p.id::text AS cluster FROM affected a JOIN legacy.purchase p ON p.id = a.key
""",
    "orders/order_address.sql": """-- entity: public.order_address
-- key: id
-- scope: id
-- source: legacy.place
-- source: identity.place(shop_id)
SELECT i.shop_id AS id, p.street, '{}'::text[] AS problems
FROM affected a JOIN ferry.identity i ON i.entity = 'place' AND i.shop_id = a.key JOIN legacy.place p ON p.id = i.legacy_key
WHERE p.street <> ''

-- lineage: legacy.place
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'place' AND i.legacy_key = c.id
""",
    "orders/place.identity.sql": """-- identity: place
-- text: clean.make_id('addr', shop_key)
-- source: legacy.place(id)
SELECT p.id AS legacy_key, p.id::text AS cluster FROM affected a JOIN legacy.place p ON p.id = a.key
""",
    "orders/order.sql": """-- entity: public.order
-- key: id
-- scope: id
-- source: identity.order(shop_id), legacy.purchase, identity.customer, public.customer, ferry.setting
-- counts: legacy.purchase(id) as (metadata->>'legacy_id')::integer
-- index: legacy.purchase(person_id)
-- after: contacts/customer, orders/order_address
SELECT i.shop_id AS id, p.number AS display_id, 'legacy' AS "user", cu.id AS customer_id, ad.id AS address_id,
       (SELECT value FROM ferry.setting WHERE name = 'currency') AS currency_code, p.total,
       jsonb_build_object('value', p.total::text, 'precision', 20) AS raw_total,
       jsonb_build_object('legacy_id', p.id, 'note', p.note) AS metadata, '{}'::text[] AS problems
FROM affected a
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN legacy.purchase p ON p.id = i.legacy_key
LEFT JOIN ferry.identity c ON c.entity = 'customer' AND c.legacy_key = p.person_id
LEFT JOIN public.customer cu ON cu.id = c.shop_id
LEFT JOIN ferry.identity l ON l.entity = 'place' AND l.legacy_key = p.place_id
LEFT JOIN public.order_address ad ON ad.id = l.shop_id

-- lineage: legacy.purchase
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.id

-- lineage: identity.customer
SELECT i.shop_id FROM changed c JOIN legacy.purchase p ON p.person_id = c.legacy_key
JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = p.id

-- lineage: public.customer
SELECT i.shop_id FROM changed u JOIN ferry.identity c ON c.entity = 'customer' AND c.shop_id = u.id
JOIN legacy.purchase p ON p.person_id = c.legacy_key JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = p.id
""",
    "orders/order_line.sql": """-- entity: public.order_line
-- key: id
-- scope: order_id
-- source: identity.order(shop_id), legacy.line
-- counts: legacy.line(id) as substr(id, 6, 10)::integer
-- index: legacy.line(purchase_id)
-- after: orders/order
SELECT clean.make_id('line', l.id) AS id, i.shop_id AS order_id, l.title, l.quantity, '{}'::jsonb AS metadata,
       '{}'::text[] AS problems
FROM affected a
JOIN ferry.identity i ON i.entity = 'order' AND i.shop_id = a.key
JOIN legacy.line l ON l.purchase_id = i.legacy_key

-- lineage: legacy.line
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'order' AND i.legacy_key = c.purchase_id
""",
    "orders/note.sql": """-- entity: public.note
-- key: id
-- scope: line_id
-- source: legacy.line
-- source: identity.line(shop_id)
-- after: orders/order_line
SELECT 'note' || l.id AS id, i.shop_id AS line_id, 'x' AS text, '{}'::text[] AS problems
FROM affected a JOIN ferry.identity i ON i.entity = 'line' AND i.shop_id = a.key JOIN legacy.line l ON l.id = i.legacy_key
WHERE l.quantity > 1

-- lineage: legacy.line
SELECT i.shop_id FROM changed c JOIN ferry.identity i ON i.entity = 'line' AND i.legacy_key = c.id
""",
    "orders/line.identity.sql": """-- identity: line
-- text: clean.make_id('line', shop_key)
-- source: legacy.line(id)
SELECT p.id AS legacy_key, p.id::text AS cluster FROM affected a JOIN legacy.line p ON p.id = a.key
""",
    "reverse/functions.sql": """CREATE OR REPLACE FUNCTION clean.number_of(id text) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN CASE WHEN id ~ '_[0-9]{10}[0-9A-F]{16}$' THEN substr(id, strpos(id, '_') + 1, 10)::integer END;
""",
    "reverse/all/purchase.sql": """-- entity: public.purchase
-- key: id
-- scope: id
-- source: shop.order(clean.number_of(coalesce(id, '')))
SELECT clean.number_of(o.id) AS id, l.person_id, l.place_id, o.total, o.metadata->>'note' AS note, o.display_id AS number,
       '{}'::text[] AS problems
FROM affected a JOIN shop."order" o ON clean.number_of(coalesce(o.id, '')) = a.key
LEFT JOIN public.purchase l ON l.id = a.key
""",
}


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ID_SECRET", "one")


@pytest.fixture
def real(make_db: MakeDb, tmp_path: Path) -> Iterator[Pair]:
    with own_pair(make_db, tmp_path, LEGACY, SHOP, FILES) as pair:
        pair.pass_phases()
        yield pair


def clean(pair: Pair) -> None:
    """All that was captured is applied, and everything is as the mappings make it."""
    pair.capture()
    pair.replay()
    for phase in pair.route.phases:
        outcome = pair.verify(phase)
        assert outcome.clean, outcome.differences
        assert all(a.unaccounted == 0 for a in outcome.accounts), outcome.accounts
    assert pair.ask("SELECT * FROM ferry.quarantine WHERE sqlstate IS NOT NULL") == []


def test_texts_for_keys_go_all_the_way(real: Pair) -> None:
    clean(real)
    assert real.one("SELECT count(*) FROM customer c JOIN ferry.identity i ON i.shop_id = c.id") == 40
    assert (
        real.one('SELECT count(*) FROM "order" o JOIN customer c ON c.id = o.customer_id WHERE o.display_id > 0') == 90
    )
    assert {a.legacy_rows for p in real.route.phases for a in real.verify(p).accounts} == {40, 90, 200}


def test_two_keys_that_change_places_arrive(real: Pair) -> None:
    real.write(
        "UPDATE person SET email = 'x' WHERE id = 1",
        "UPDATE person SET email = 'p1@example.com' WHERE id = 2",
        "UPDATE person SET email = 'p2@example.com' WHERE id = 1",
        "UPDATE person SET name = '' WHERE id = 3",  # and another that may not enter
    )
    before = dict(real.ask("SELECT metadata->>'legacy_id', id FROM customer"))
    clean(real)
    assert real.ask(
        "SELECT email FROM customer WHERE (metadata->>'legacy_id')::integer IN (1, 2) ORDER BY email DESC"
    ) == [
        ("p2@example.com",),
        ("p1@example.com",),
    ]
    assert real.quarantine("public.customer") == {"3": ["name_missing"]}
    assert len(before) == 40


def test_a_place_in_a_partial_index_goes_from_row_to_row(real: Pair) -> None:
    real.write("UPDATE phone SET preferred = NOT preferred WHERE person_id <= 30")
    clean(real)
    assert real.ask("SELECT preferred, count(*) FROM telephone GROUP BY 1 ORDER BY 1") == [(False, 40), (True, 40)]
    assert real.quarantine("public.telephone") == {}


def test_what_a_cascade_takes_along_is_merged_again(real: Pair) -> None:
    notes = real.one("SELECT count(*) FROM note")
    real.write("UPDATE place SET street = '' WHERE id = 5")  # the address goes, and empties the order's column
    clean(real)
    assert real.one("""SELECT count(*) FROM "order" WHERE address_id IS NULL""") == 3
    # What the target numbers itself can only be inserted: the order is written anew, and takes lines and notes along.
    real.write("UPDATE purchase SET number = 1000 + id WHERE id <= 20")
    clean(real)
    assert real.one("SELECT count(*) FROM note") == notes
    assert real.one('SELECT min(display_id) FROM "order" WHERE display_id > 90') == 1001


def reload(pair: Pair, folder: Path) -> None:
    """Install the route as its files are now."""
    pair.route = Route.load("own", folder)
    installation.install(pair.legacy, pair.shop, pair.route)


def test_a_setting_that_changes_merges_what_reads_it(real: Pair, tmp_path: Path) -> None:
    toml = tmp_path / "own" / "route.toml"
    toml.write_text(toml.read_text().replace("pln", "eur"))
    reload(real, tmp_path)
    assert changed_settings.merge_readers(Stores(real.legacy, real.shop, real.route)) == ["currency"]
    assert changed_settings.merge_readers(Stores(real.legacy, real.shop, real.route)) == []
    assert real.ask('SELECT DISTINCT currency_code FROM "order"') == [("eur",)]
    clean(real)


def test_a_secret_stays_and_a_setting_that_is_missing_is_named(
    real: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ID_SECRET", "two")
    with pytest.raises(ConfigError, match="setting id_secret is another secret than the one that keys were made with"):
        reload(real, tmp_path)
    monkeypatch.delenv("ID_SECRET")
    with pytest.raises(ConfigError, match="setting id_secret: environment variable ID_SECRET is empty or not there"):
        reload(real, tmp_path)
    toml = tmp_path / "own" / "route.toml"
    toml.write_text(toml.read_text().replace("currency", "money"))
    with pytest.raises(
        MappingError, match=r"own/orders/order.sql:\d+: reads setting 'currency', which route.toml does not"
    ):
        reload(real, tmp_path)


def test_texts_that_collide_are_named_with_both_keys(make_db: MakeDb, tmp_path: Path) -> None:
    files = FILES | {
        "functions.sql": FUNCTIONS.replace("number::text, 10", "(number % 7)::text, 10").replace("|| number", "")
    }
    says = r"identity customer: the keys 10\d\d and 10\d\d would be one key"
    with own_pair(make_db, tmp_path, LEGACY, SHOP, files) as pair, pytest.raises(psycopg.Error, match=says):
        pair.pass_phases()


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (
            "functions.sql",
            "IMMUTABLE",
            "STABLE",
            r"own/functions.sql:2: function clean.make_id\(text,bigint\) is not IMMUTABLE",
        ),
        (
            "functions.sql",
            "clean.make_id",
            "public.make_id",
            r"own/functions.sql:2: function make_id.* is in schema public",
        ),
        (
            "functions.sql",
            "lpad",
            "lpaid",
            r"own/functions.sql:3: function lpaid\(text, integer, unknown\) does not exist",
        ),
        (
            "contacts/person.sql",
            "lower(p.email) AS email, ",
            "lower(p.mail) AS email, ",
            r"contacts/person.sql:6: column p.mail",
        ),
        (
            "orders/order.sql",
            ", ferry.setting\n",
            "\n",
            r"order.sql:\d+: reads ferry.setting, which is no source",
        ),
    ],
)
def test_what_is_wrong_is_named(make_db: MakeDb, tmp_path: Path, file: str, old: str, new: str, says: str) -> None:
    assert old in FILES[file]
    with pytest.raises(MappingError, match=says):  # noqa: SIM117
        with own_pair(make_db, tmp_path, LEGACY, SHOP, FILES | {file: FILES[file].replace(old, new)}):
            pass


def test_the_way_back_reads_any_schema_and_keys_by_an_expression(real: Pair, tmp_path: Path) -> None:
    route = Route.load("own_reverse", tmp_path)
    assert (route.captured_schema, route.entities) == ("public", ["public.purchase"])
    assert real.route.shop_tables[:2] == ["public.customer", "public.note"]
    installation.install(real.shop, real.legacy, route)
    dsns = [make_conninfo(**c.info.get_parameters(), password=c.info.password) for c in (real.shop, real.legacy)]
    back = Pair.open(*dsns, route)
    try:
        back.pass_phases()
        assert back.verify("all").clean
        indexed = back.one(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'mirror' AND indexdef LIKE '%number_of%'"
        )
        assert indexed
        with connect(dsns[0]) as application, application.transaction():
            application.execute("SET LOCAL shopferry.writer = 'ferry'")  # past the fence, which is up still
            application.execute('UPDATE "order" SET total = 77 WHERE display_id = 5')
            application.execute('DELETE FROM "order" WHERE display_id = 6')
        back.sync()
        assert back.one("SELECT total FROM purchase WHERE id = 5") == 77
        assert back.one("SELECT count(*) FROM purchase WHERE id = 6") == 0
        assert back.verify("all").clean
    finally:
        back.close_tap(back.legacy)
        back.close()


def test_tables_that_the_application_changes_are_named(real: Pair) -> None:
    entities = real.route.entities
    assert target_shape.find_lost(real.shop, "own", entities) == []
    real.shop.execute("ALTER TABLE note ADD COLUMN kind text, ADD COLUMN rank integer NOT NULL DEFAULT 1")
    assert target_shape.find_added(real.shop, "own", entities, required=True) == []
    assert target_shape.find_added(real.shop, "own", entities, required=False) == [
        "public.note.kind has come",
        "public.note.rank has come",
    ]
    assert real.verify("orders").clean
    real.shop.execute("ALTER TABLE note ALTER COLUMN rank DROP DEFAULT; ALTER TABLE note RENAME COLUMN text TO body")
    [required] = target_shape.find_added(real.shop, "own", [*entities], required=True)
    assert required == "public.note.rank has come, is NOT NULL and has no default: every new row is refused"
    with pytest.raises(PhaseError, match=r"phase orders fills are others .*: public.note.text is gone or renamed"):
        real.verify("orders")
    assert real.verify("contacts").clean


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            "ALTER TABLE note DROP COLUMN text",
            r"own/target.txt:4: the route was written for Shop 2.21, and .* public.note.text is not",
        ),
        (
            "ALTER TABLE note ADD COLUMN kind text NOT NULL",
            r"another version: public.note.kind is new and wants a value. Take",
        ),
    ],
)
def test_a_target_of_another_version_is_refused(
    make_db: MakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, says: str
) -> None:
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    listed = "Shop 2.21\npublic.note.id\npublic.note.line_id\npublic.note.text\n"
    required = ["customer.id", "customer.email", "order_address.id", "order.id", "order.currency_code", "order.total"]
    required += ["order.raw_total", "order_line.id", "order_line.order_id", "order_line.title", "order_line.quantity"]
    required += ["telephone.id", "telephone.customer_id", "telephone.preferred"]
    listed += "".join(f"public.{c}\n" for c in required)
    note = FILES["orders/note.sql"].replace("'x' AS text, ", "")  # else it is the mapping that fails first
    files = FILES | {"orders/note.sql": note, "target.txt": listed}
    with own_pair(make_db, tmp_path, LEGACY, SHOP, files):
        pass
    with pytest.raises(ConfigError, match=says):  # noqa: SIM117
        with own_pair(make_db, tmp_path, LEGACY, f"{SHOP};{change}", files):
            pass
