"""The assessment: each kind of finding is there once its defect is really made, and not before; nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from pair import ROUTE
from shopferry import assess, cli, db
from shopferry.assess import Assessment, Finding, Severity, coverage, readiness, sizing, values
from shopferry.demo.defects import misread
from shopferry.route import signed_off
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT, Settings
from waiting import until

BLOCKING, WARNING, NOTE = Severity.BLOCKING, Severity.WARNING, Severity.NOTE
HASH = "$2y$10$" + "a" * 53
CLEAN = f"""
INSERT INTO customers (login, email, full_name, phone, pass_hash, bill_country, bill_postcode, bill_city, newsletter, created_at)
SELECT 'c' || n || '@example.com', 'c' || n || '@example.com', 'Jan Kowalski', '60123400' || n, '{HASH}', 'PL', '00-950',
       'Warszawa', 'N', '2020-01-01' FROM generate_series(1, 5) n;
INSERT INTO addresses (customer_id, full_name, street, postcode, city, country, phone)
SELECT n, 'Jan Kowalski', 'Polna ' || n, '00-950', 'Warszawa', 'PL', '60123400' || n FROM generate_series(1, 5) n;
INSERT INTO consents (customer_id, channel, granted, granted_at, wording)
SELECT n, 'email', 'T', '2021-01-01', 'v1' FROM generate_series(1, 5) n;
INSERT INTO orders
    (number, customer_id, email, status_code, total, currency, payment_code, delivery_code, ship_country, created_at)
SELECT 'N' || n, n, 'c' || n || '@example.com', 'PAID', 10, 'PLN', 'CARD', 'DPD', 'PL', '2022-01-01' FROM generate_series(1, 5) n;
INSERT INTO order_items (order_id, sku, name, quantity, unit_price, vat_rate, line_total)
SELECT n, 'S1', 'Kubek', 1, 10, 23, 10 FROM generate_series(1, 5) n;
INSERT INTO order_status_log (order_id, status_code, changed_by, changed_at)
SELECT n, 'PAID', 'system', '2022-01-02' FROM generate_series(1, 5) n;
INSERT INTO loyalty_accounts (customer_id, points, tier) SELECT n, 7, 'gold' FROM generate_series(1, 5) n;
INSERT INTO loyalty_log (account_id, kind, points, order_id, created_at)
SELECT n, 'E', 7, n, '2022-01-02' FROM generate_series(1, 5) n;
INSERT INTO loyalty_redemptions (account_id, reward, points, status, created_at) VALUES (1, 'Bon', 5, 'done', '2023-01-01');
"""
ORDINARY = {
    "legacy store",
    "role shopferry",
    "legacy customers.pass_hash",
    "legacy orders.currency",
}  # of a store without a defect


@dataclass
class Stores:
    """Two stores without a defect, nothing installed; and what an assessment of them finds."""

    legacy: db.Connection
    shop: db.Connection
    settings: Settings

    def found(self) -> Assessment:
        return assess.assess(self.settings)

    def of(self, subject: str) -> list[Finding]:
        return [f for f in self.found().findings if f.subject == subject]


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests have none, and asking nobody takes its time; tests/unit/test_cli.py does ask."""
    monkeypatch.setattr(readiness, "check_broker", lambda settings: iter(()))


@pytest.fixture(scope="module")
def clean_template(make_template: Callable[..., str]) -> tuple[str, str]:
    """A legacy store in which all is well, and the new shop's empty tables."""
    legacy, shop = make_template("clean_legacy"), make_template("clean_shop")
    with db.connect(legacy, "test") as conn:
        conn.execute((SQL_ROOT / "demo" / "legacy.sql").read_bytes())
        conn.execute(CLEAN.encode())
        conn.execute("ANALYZE")
    with db.connect(shop, "test") as conn:
        conn.execute((SQL_ROOT / "demo" / "shop.sql").read_bytes())
    return legacy, shop


@pytest.fixture
def stores_(make_db: Callable[..., str], clean_template: tuple[str, str]) -> Iterator[Stores]:
    """The clean stores, of this test's own."""
    legacy, shop = make_db("legacy", clean_template[0]), make_db("shop", clean_template[1])
    with db.connect(legacy, "test") as one, db.connect(shop, "test") as two:
        yield Stores(one, two, Settings(legacy, shop, "127.0.0.1:1"))


def test_a_store_without_defects_has_no_finding_about_its_rows(stores_: Stores) -> None:
    found = stores_.found()
    assert {f.subject for f in found.findings} == ORDINARY
    assert not found.blocked
    assert all(f.consequence and f.remedy for f in found.findings)
    assert [p.phase for p in found.estimate.phases] == list(ROUTE.phases) if found.estimate else False


BLOCKED = [  # (where, statement, subject, words, count)
    ("legacy", "ALTER TABLE orders REPLICA IDENTITY NOTHING", "legacy table orders", "IDENTITY is NOTHING", None),
    ("legacy", "ALTER TABLE customers REPLICA IDENTITY FULL", "legacy table customers", "IDENTITY is FULL", None),
    (
        "legacy",
        "UPDATE customers SET last_ip = ''; ALTER TABLE customers ALTER last_ip SET NOT NULL; CREATE UNIQUE INDEX odd "
        "ON customers (id, last_ip); ALTER TABLE customers REPLICA IDENTITY USING INDEX odd",
        "legacy table customers",
        "an index on last_ip",
        None,
    ),
    (
        "legacy",
        "ALTER TABLE order_items DROP CONSTRAINT order_items_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
        "legacy table order_items",
        "key is DEFERRABLE",
        None,
    ),
    (
        "legacy",
        "ALTER TABLE orders ALTER number SET NOT NULL; CREATE UNIQUE INDEX odd ON orders (number); "
        "ALTER TABLE orders REPLICA IDENTITY USING INDEX odd",
        "legacy table orders",
        "number, without the primary key",
        None,
    ),
    (
        "legacy",
        "CREATE TABLE old_orders () INHERITS (orders)",
        "legacy table orders",
        "tables inherit from it: old_orders",
        None,
    ),
    ("legacy", "ALTER TABLE order_items SET UNLOGGED", "legacy table order_items", "UNLOGGED", None),
    (
        "legacy",
        "ALTER TABLE loyalty_log DROP CONSTRAINT loyalty_log_pkey",
        "legacy store",
        "loyalty_log has no primary key",
        None,
    ),
    ("legacy", "DROP TABLE loyalty_log", "legacy store", "has no table public.loyalty_log", None),
    (
        "legacy",
        "ALTER TABLE orders ADD plugin jsonb; UPDATE orders SET plugin = '{}' WHERE id < 4",
        "legacy orders.plugin",
        "column that no mapping reads",
        3,
    ),
    (
        "legacy",
        "CREATE TABLE wishlist (id int); INSERT INTO wishlist VALUES (1), (2)",
        "legacy table wishlist",
        "table that no mapping reads",
        2,
    ),
    ("shop", "DROP TABLE shop.payment", "new shop", "shop.payment does not exist", None),
]


@pytest.mark.parametrize("defect", BLOCKED, ids=lambda d: f"{d[2]}: {d[3]}")
def test_a_defect_that_blocks_is_found(stores_: Stores, defect: tuple[str, str, str, str, int | None]) -> None:
    where, statement, subject, words, count = defect
    getattr(stores_, where).execute(statement.encode())
    found = [f for f in assess.find_obstacles(stores_.settings) if f.subject == subject and words in f.text]
    assert [(f.severity, f.count) for f in found] == [(BLOCKING, count)]


def test_what_holds_no_data_blocks_nothing(stores_: Stores) -> None:
    stores_.legacy.execute("ALTER TABLE orders ADD plugin text DEFAULT ''; CREATE TABLE wishlist (id int)")
    assert not [f for f in assess.find_obstacles(stores_.settings) if f.blocking]


def test_what_blocks_keeps_a_phase_from_starting(
    stores_: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", stores_.settings.source_dsn)
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", stores_.settings.target_dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", stores_.settings.kafka)
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    stores_.legacy.execute("CREATE TABLE cms_page AS SELECT 1 AS id")
    assert cli.main(["phase", "run", "contacts", "--without-rehearsal", "Anna"]) != 0
    assert "BLOCKING legacy table cms_page" in capsys.readouterr().err
    assert stores_.shop.execute("SELECT to_regnamespace('ferry')").fetchone() == (None,)


def test_a_scan_that_takes_too_long_looks_at_the_first_rows(stores_: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "FIRST", 100)
    stores_.legacy.execute(
        """ALTER TABLE loyalty_log ADD plugin text; INSERT INTO loyalty_log (account_id, plugin) SELECT 1, 'x' FROM
           generate_series(1, 1000); CREATE TABLE wishlist AS SELECT n FROM generate_series(1, 1000) n; ANALYZE wishlist"""
    )
    found = {f.subject: f for f in assess.find_obstacles(stores_.settings) if f.blocking}
    assert (
        found["legacy loyalty_log.plugin"].count == 1000
        and "of the first" not in found["legacy loyalty_log.plugin"].text
    )
    assert found["legacy table wishlist"].number == "about 1,000"
    with db.connect(stores_.settings.source_dsn, "test") as conn:
        execute, tried = conn.execute, []

        def slow(query: object, *args: object) -> object:
            tried.append(query)
            if len(tried) == 1:
                raise psycopg.errors.QueryCanceled
            return execute(query, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(conn, "execute", slow)
        assert coverage._count_holding(conn, "loyalty_log", ["plugin"]) == ({"plugin": 95}, " of the first 100")


CODE = """CREATE FUNCTION greet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
          CREATE TRIGGER greet AFTER UPDATE ON {} FOR EACH ROW EXECUTE FUNCTION greet()"""
DEFECTS = [  # (where, statement, subject, severity, words, count): made all together, in rows of their own
    (
        "legacy",
        "ALTER TABLE order_items ALTER sku TYPE name",
        "legacy order_items.sku",
        NOTE,
        "do not carry exactly",
        None,
    ),
    (
        "shop",
        "INSERT INTO shop.customer (email) VALUES ('x@example.com')",
        "new shop",
        WARNING,
        "has rows already",
        None,
    ),
    (
        "shop",
        CODE.format("shop.customer") + "; CREATE RULE kept AS ON DELETE TO shop.customer DO INSTEAD NOTHING",
        "new shop's table shop.customer",
        WARNING,
        "when rows are merged: rule kept, trigger greet",
        None,
    ),
    (
        "legacy",
        CODE.format("orders"),
        "legacy table public.orders",
        WARNING,
        "the way back merges rows: trigger greet",
        None,
    ),
    (
        "legacy",
        "ALTER TABLE consents RENAME TO consents_1; CREATE TABLE consents (LIKE consents_1 INCLUDING ALL) "
        "PARTITION BY RANGE (id); ALTER TABLE consents ATTACH PARTITION consents_1 DEFAULT",
        "legacy table consents",
        WARNING,
        "is partitioned",
        None,
    ),
    (
        "shop",
        "ALTER TABLE shop.order_event ALTER actor TYPE varchar(3)",
        "legacy order_status_log.changed_by",
        WARNING,
        "longer than 3 characters",
        5,
    ),
    (
        "shop",
        "ALTER TABLE shop.order_line ALTER quantity TYPE smallint, ALTER total TYPE numeric(3,2)",
        "legacy order_items.line_total+quantity+unit_price",
        WARNING,
        "more than 1 digits",
        5,
    ),
    (
        "legacy",
        "UPDATE order_items SET quantity = 40000 WHERE id = 5",
        "legacy order_items.quantity",
        WARNING,
        "above 32,767",
        1,
    ),
    ("legacy", "UPDATE orders SET total = NULL WHERE id = 1", "legacy orders.total", WARNING, "without a value", 1),
    (
        "legacy",
        "UPDATE order_items SET quantity = -1 WHERE id = 2",
        "legacy order_items.quantity",
        WARNING,
        "break order_line_quantity_is_positive",
        1,
    ),
    (
        "legacy",
        "UPDATE orders SET status_code = 'WAIT' WHERE id < 3",
        "legacy orders.status_code",
        WARNING,
        "a code not known to",
        2,
    ),
    (
        "legacy",
        "UPDATE order_items SET order_id = 99 WHERE id < 3",
        "legacy order_items.order_id",
        WARNING,
        "parent is not in orders",
        2,
    ),
    (
        "legacy",
        "UPDATE orders SET customer_id = 99 WHERE id = 3",
        "legacy orders.customer_id",
        WARNING,
        "parent is not in customers (by the name",
        1,
    ),
    (
        "legacy",
        "UPDATE consents SET customer_id = 0 WHERE id = 3",
        "legacy consents.customer_id",
        WARNING,
        "parent is not in customers (by the sources",
        1,
    ),
    (
        "legacy",
        "ALTER TABLE loyalty_redemptions ADD FOREIGN KEY (order_id) REFERENCES orders NOT VALID; "
        "ALTER TABLE loyalty_redemptions DISABLE TRIGGER ALL; UPDATE loyalty_redemptions SET order_id = 77",
        "legacy loyalty_redemptions.order_id",
        WARNING,
        "by foreign key loyalty_redemptions_order_id_fkey",
        1,
    ),
    (
        "legacy",
        "UPDATE customers SET email = ' C1@Example.COM' WHERE id = 2",
        "legacy customers.email",
        WARNING,
        "share their email with another: 1 clusters",
        2,
    ),
    (
        "legacy",
        "UPDATE customers SET email = 'nobody' WHERE id = 3",
        "legacy customers.email",
        WARNING,
        "email_invalid",
        1,
    ),
    ("legacy", "UPDATE customers SET email = NULL WHERE id = 4", "legacy customers.email", WARNING, "email_missing", 1),
    (
        "legacy",
        "UPDATE customers SET full_name = '' WHERE id = 2",
        "legacy customers.full_name",
        WARNING,
        "name_missing",
        1,
    ),
    (
        "legacy",
        "UPDATE addresses SET phone = '12' WHERE id = 2",
        "legacy addresses (coalesce(country, '') || '|' || phone)",
        WARNING,
        "phone_invalid",
        1,
    ),
    (
        "legacy",
        "UPDATE addresses SET country = 'US', postcode = '2139', phone = NULL WHERE id = 3",
        "legacy addresses (coalesce(country, '') || '|' || postcode)",
        NOTE,
        "postcode_padded",
        1,
    ),
    (
        "legacy",
        f"UPDATE addresses SET street = '{misread('Ściągacz 5')}' WHERE id = 2",
        "legacy addresses.street",
        NOTE,
        "look broken",
        1,
    ),
    (
        "legacy",
        f"UPDATE order_status_log SET changed_by = '{misread('Beż')}' WHERE id = 2",
        "legacy order_status_log.changed_by",
        WARNING,
        "look broken",
        1,
    ),
]


@pytest.fixture(scope="module")
def damaged(make_template: Callable[..., str], clean_template: tuple[str, str]) -> tuple[Finding, ...]:
    """What is found once all of DEFECTS are made."""
    legacy, shop = clean_template
    dsns = {"legacy": make_template("damaged_legacy", legacy), "shop": make_template("damaged_shop", shop)}
    for where, statement, *_ in DEFECTS:
        with db.connect(dsns[where], "test") as conn:
            conn.execute(statement.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readiness, "check_broker", lambda settings: iter(()))
        return assess.assess(Settings(dsns["legacy"], dsns["shop"], "")).findings


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: f"{d[2]}: {d[4]}")
def test_a_defect_is_found(
    damaged: tuple[Finding, ...], defect: tuple[str, str, str, Severity, str, int | None]
) -> None:
    _, _, subject, severity, words, count = defect
    found = [f for f in damaged if f.subject == subject and words in f.text]
    assert [(f.severity, f.count) for f in found] == [(severity, count)]


def test_remedies_quote_names_and_a_way_back_that_cannot_be_is_known_at_once(stores_: Stores) -> None:
    stores_.legacy.execute("""CREATE ROLE "Ferry-Shop" LOGIN PASSWORD 'secret'""")
    stores_.shop.execute("ALTER TABLE shop.customer SET SCHEMA public; ALTER TABLE public.customer RENAME TO customers")
    try:
        legacy, shop = (
            re.sub(r"//[^@]+@", "//Ferry-Shop:secret@", dsn)
            for dsn in (stores_.settings.source_dsn, stores_.settings.target_dsn)
        )
        found = [f for f in assess.find_obstacles(Settings(legacy, shop, "127.0.0.1:1")) if f.blocking]
    finally:
        stores_.legacy.execute('DROP ROLE "Ferry-Shop"')
    by_text = {(f.subject, f.text): f.remedy for f in found}
    for subject in ("legacy store", "new shop"):
        remedy = by_text[subject, 'role "Ferry-Shop" may not replicate']
        assert remedy.startswith('ALTER ROLE "Ferry-Shop" REPLICATION; ')
        assert 'GRANT rds_replication TO "Ferry-Shop"' in remedy
        assert (subject, 'role "Ferry-Shop" may not mark its writes by a replication origin') in by_text
    assert (
        "new shop",
        "the way back reads tables that are not there or have no primary key: customer",
    ) in by_text


def test_what_happened_is_told_and_not_the_hint(stores_: Stores) -> None:
    away = stores_.settings.source_dsn.replace(f":{stores_.legacy.info.port}/", ":1/")
    (found,) = [
        f for f in assess.find_obstacles(Settings(away, stores_.settings.target_dsn, "")) if f.subject == "legacy store"
    ]
    assert "Connection refused" in found.text and "Is the server running" not in found.text


def test_rights_that_are_missing_block(stores_: Stores) -> None:
    stores_.legacy.execute("DROP ROLE IF EXISTS poor")
    stores_.legacy.execute("CREATE ROLE poor LOGIN PASSWORD 'secret'")
    stores_.legacy.execute("GRANT pg_read_all_data TO poor")
    try:
        legacy, shop = (
            re.sub(r"//[^@]+@", "//poor:secret@", dsn)
            for dsn in (stores_.settings.source_dsn, stores_.settings.target_dsn)
        )
        said = {f.text for f in assess.find_obstacles(Settings(legacy, shop, "127.0.0.1:1")) if f.blocking}
    finally:
        stores_.legacy.execute("REVOKE pg_read_all_data FROM poor")
        stores_.legacy.execute("DROP ROLE poor")
    assert "role poor may not replicate" in said
    assert "role poor may not create schema shopferry" in said
    assert "role poor may not create schemas ferry, mirror and legacy" in said
    assert "role poor may not mark its writes by a replication origin" in said
    assert any(re.match("role poor does not own addresses, .*orders", text) for text in said)
    assert "role poor does not own shop.customer" in {text.split(",")[0] for text in said}


@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ("SUPERUSER CREATEROLE BYPASSRLS", "SUPERUSER"),  # the first includes the others
        ("CREATEROLE", "CREATEROLE"),
        ("BYPASSRLS CREATEROLE", "CREATEROLE, BYPASSRLS"),
        ("REPLICATION CREATEDB", None),
    ],
)
@pytest.mark.parametrize("store", ["legacy store", "new shop"])
def test_rights_that_no_move_needs_are_found(stores_: Stores, rights: str, said: str | None, store: str) -> None:
    stores_.legacy.execute(f"CREATE ROLE rich LOGIN PASSWORD 'secret' {rights}".encode())
    dsn = stores_.settings.source_dsn if store == "legacy store" else stores_.settings.target_dsn
    try:
        with db.connect(re.sub(r"//[^@]+@", "//rich:secret@", dsn), "test") as conn:
            check = readiness.check_legacy if store == "legacy store" else readiness.check_shop
            found = [f for f in check(conn, ROUTE) if f.subject == "role rich"]
    finally:
        stores_.legacy.execute("DROP ROLE rich")
    assert [f.text for f in found] == ([f"role rich has too many rights in the {store}: {said}"] if said else [])
    assert [(f.severity, f.blocking) for f in found] == ([(Severity.WARNING, False)] if said else [])
    if said:
        assert f"ALTER ROLE rich NO{said.replace(', ', ' NO')}; what it needs" in found[0].remedy


def test_slots_that_are_all_taken_block(stores_: Stores) -> None:
    made = []
    try:
        while not any("replication slots are in use" in f.text for f in readiness.check_legacy(stores_.legacy, ROUTE)):
            made.append(f"taken_{len(made)}")
            stores_.legacy.execute("SELECT pg_create_physical_replication_slot(%s)", (made[-1],))
    except psycopg.errors.ConfigurationLimitExceeded:
        pytest.fail("PostgreSQL had no slot left, and the assessment did not say so")
    finally:
        stores_.legacy.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name ~ '^taken_'"
        )
    assert made


def test_an_old_transaction_is_found(stores_: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_OLD_TRANSACTION_S", 0)
    assert not [f for f in readiness.check_legacy(stores_.legacy, ROUTE) if "ten minutes" in f.text]
    with db.connect(stores_.settings.source_dsn, "test") as other, other.transaction():
        other.execute("SELECT 1")
        (found,) = [f for f in readiness.check_legacy(stores_.legacy, ROUTE) if "ten minutes" in f.text]
    assert (found.count, found.severity) == (1, WARNING)


def test_log_that_legacy_will_not_keep_is_found(stores_: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "YOUNG_H", 0)
    assert not [f for f in stores_.of("legacy store") if "an hour writes" in f.text]
    try:
        stores_.legacy.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        stores_.legacy.execute("ALTER SYSTEM SET idle_replication_slot_timeout = '60s'")
        stores_.legacy.execute("SELECT pg_reload_conf()")
        until(lambda: stores_.legacy.execute("SHOW max_slot_wal_keep_size").fetchone() == ("1MB",))
        found = stores_.of("legacy store")
    finally:
        stores_.legacy.execute("ALTER SYSTEM RESET ALL")
        stores_.legacy.execute("SELECT pg_reload_conf()")
    assert [f.severity for f in found if "an hour writes" in f.text] == [WARNING]
    assert [f.severity for f in found if "idle_replication_slot_timeout" in f.text] == [WARNING]
    assert not [f for f in found if "is unlimited" in f.text]


def test_growth_is_told_once_the_statistics_are_old_enough(stores_: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "YOUNG_H", 1_000)  # the server may have run for long: the tests share it
    young = stores_.found().estimate
    assert young and all(s.rows_per_hour is None for s in young.sizes) and young.wal_per_hour is None
    assert any("too short a time" in line for line in young.method)
    monkeypatch.setattr(sizing, "YOUNG_H", 0)
    stores_.legacy.execute("INSERT INTO orders (number) SELECT 'X' FROM generate_series(1, 1000)")
    stores_.legacy.execute("SELECT pg_stat_force_next_flush()")
    stores_.legacy.execute("ANALYZE orders")
    told = stores_.found().estimate
    assert told and told.wal_per_hour and told.wal_per_hour > 0
    sizes = {s.table: s for s in told.sizes}
    assert sizes["orders"].rows == 1005 and (sizes["orders"].rows_per_hour or 0) > 0
    assert all((p.copy_s > 0 or p.phase == "insight") and p.merge_s > 0 and p.basis for p in told.phases)


def test_large_tables_are_sampled_and_counts_say_so(stores_: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "SAMPLE", 2_000)
    stores_.legacy.execute(
        "INSERT INTO addresses (customer_id, street, country, phone) "
        "SELECT 1, repeat('x', 200), 'PL', '12' FROM generate_series(1, 20000)"
    )
    stores_.legacy.execute("ANALYZE addresses")
    (found,) = [
        f for f in stores_.of("legacy addresses (coalesce(country, '') || '|' || phone)") if "phone_invalid" in f.text
    ]
    assert found.about and found.number.startswith("about ")
    assert 10_000 < (found.count or 0) < 40_000


def test_signed_off_columns_and_tables_are_settled(
    stores_: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").symlink_to(SQL_ROOT / "demo")
    stores_.legacy.execute(
        "ALTER TABLE orders ADD plugin text; UPDATE orders SET plugin = 'x'; "
        "CREATE TABLE cms_page AS SELECT 1 AS id; CREATE TABLE cms_menu AS SELECT 1 AS id"
    )
    blocked = {f.subject for f in assess.find_obstacles(stores_.settings) if f.blocking}
    assert blocked == {"legacy orders.plugin", "legacy table cms_page", "legacy table cms_menu"}

    own = tmp_path / "own" / "demo"
    own.mkdir(parents=True)
    for item in (SQL_ROOT / "demo").iterdir():
        if item.name != signed_off.FILE:
            (own / item.name).symlink_to(item)
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(own.parent))
    file = own / signed_off.FILE
    file.write_text(
        "# settled\norders.plu* -- nobody uses it\ncms_* -- the new shop has its own\norders.note -- not read\n"
    )
    found = assess.find_obstacles(stores_.settings)
    assert not [f for f in found if f.blocking]
    (stale,) = [f for f in found if f.subject == f"{signed_off.FILE}:4"]
    assert "orders.note, which a mapping reads" in stale.text

    file.write_text("orders.plugin: nobody uses it\n")
    (broken,) = [f for f in assess.find_obstacles(stores_.settings) if f.subject == "mappings"]
    assert broken.blocking and "demo/signed_off.txt:1: wants `table.column -- reason`" in broken.text


def test_the_route_is_read_where_its_text_is_plain() -> None:
    from shopferry.assess import lineage

    found = {(o.entity, o.column): o for m in Route.load("demo").mappings for o in lineage.find_origins(m)}
    assert found["shop.order_line", "quantity"].label == "order_items.quantity"
    assert found["shop.customer_order", "currency"].kind == "currency"
    assert found["shop.order_event", "actor"].label == "order_status_log.changed_by", "or nothing, where it is emptied"
    assert (found["shop.delivery", "street"].label, found["shop.delivery", "street"].kind) == (
        "orders.ship_street",
        "text",
    )
    assert ("shop.customer", "email") not in found, "it comes out of a window over several accounts"
    codes = {(c.mapping, c.label) for m in Route.load("demo").mappings for c in lineage.find_codes(m)}
    assert {
        ("orders/customer_order", "orders.status_code"),
        ("loyalty/loyalty_account", "loyalty_accounts.tier"),
    } <= codes
