"""The route oscar-medusa over both platforms' real tables: all phases, the stream, its checks, sums, data map and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from pair import Pair, connect
from psycopg.conninfo import make_conninfo
from shopferry import installation
from shopferry.assess import coverage, data_map, sign_offs
from shopferry.cutover import losses, way_back
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.rehearsal import rehearsal
from shopferry.rehearsal.rehearsal import Form
from shopferry.report import sums
from shopferry.route import personal, signed_off
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT, Settings
from shopferry.stores import fence
from shopferry.verify.repair import repair

MakeDb = Callable[..., str]
FOLDER = SQL_ROOT / "oscar-medusa"
SEED = Path(__file__).with_name("oscar_seed.sql")
BORN = Path(__file__).with_name("medusa_born.sql")
# What Oscar's own code does to these tables, and what a shop's people do beside it; {0} and {1} are numbers up to 60.
WRITES = (
    ("UPDATE auth_user SET email = 'nowy{0}@example.com' WHERE id = {0}",),
    ("UPDATE auth_user SET email = 'klient{1}@example.com' WHERE id = {0}",),
    (
        "UPDATE auth_user SET email = CASE id WHEN {0} THEN (SELECT email FROM auth_user WHERE id = {1}) "
        "ELSE (SELECT email FROM auth_user WHERE id = {0}) END WHERE id IN ({0}, {1}) "
        "AND (SELECT count(*) FROM auth_user WHERE id IN ({0}, {1})) = 2",
    ),
    ("UPDATE auth_user SET is_active = NOT is_active WHERE id = {0}",),
    ("UPDATE auth_user SET is_staff = NOT is_staff WHERE id = {0}",),
    ("UPDATE auth_user SET password = 'pbkdf2_sha256$1000$salt$new' || {1} WHERE id = {0}",),
    (
        "UPDATE order_order SET user_id = NULL WHERE user_id = {0}",
        "DELETE FROM address_useraddress WHERE user_id = {0}",
        "DELETE FROM auth_user WHERE id = {0}",
    ),
    ("UPDATE address_useraddress SET is_default_for_shipping = NOT is_default_for_shipping WHERE user_id = {0}",),
    ("UPDATE address_useraddress SET is_default_for_billing = true, line1 = 'ul. Nowa {1}' WHERE id = {0}",),
    ("DELETE FROM address_useraddress WHERE id = {0}",),
    ("UPDATE order_order SET guest_email = 'gosc{1}@example.com' WHERE user_id IS NULL AND id = {0}",),
    ("UPDATE order_order SET status = 'Shipped' WHERE id = {0}",),
    ("UPDATE order_order SET status = 'Nieznane' WHERE id = {0}",),
    ("UPDATE order_order SET currency = 'CZK' WHERE id = {0}",),
    ("UPDATE order_order SET currency = 'PLN', total_incl_tax = total_incl_tax + 1 WHERE id = {0}",),
    ("UPDATE order_order SET shipping_incl_tax = 12.30, shipping_excl_tax = 10 WHERE id = {0}",),
    ("UPDATE order_order SET shipping_address_id = NULL WHERE id = {0}",),
    ("UPDATE order_shippingaddress SET line4 = 'Kraków {1}' WHERE id = {0}",),
    ("UPDATE order_line SET quantity = {1} % 4, status = 'x' WHERE id = {0}",),
    ("UPDATE order_line SET order_id = {1} WHERE id = {0}",),
    ("UPDATE order_orderlinediscount SET amount = 0.30 WHERE line_id = {0}",),
    ("UPDATE order_orderdiscount SET category = 'Shipping', voucher_code = 'X{1}' WHERE id = {0}",),
    ("UPDATE order_surcharge SET incl_tax = 2.46, excl_tax = 2 WHERE order_id = {0}",),
    ("UPDATE payment_source SET amount_debited = {1}, amount_refunded = 1 WHERE id = {0}",),
    ("UPDATE payment_transaction SET amount = {1} WHERE source_id = {0}",),
    ("DELETE FROM payment_transaction WHERE source_id = {0}",),
    ("UPDATE payment_sourcetype SET name = 'Przelew {1}' WHERE id = 1",),
    ("UPDATE order_shippingevent SET event_type_id = 1 + {1} % 3, notes = 'DPD{1}' WHERE id = {0}",),
    ("UPDATE order_shippingeventquantity SET quantity = 2 WHERE line_id = {0}",),
    (
        "UPDATE order_shippingeventtype SET code = CASE code WHEN 'delivered' THEN 'other' ELSE 'delivered' END WHERE id = 2",
    ),
    ("UPDATE order_orderstatuschange SET new_status = 'y{1}' WHERE order_id = {0}",),
    ("DELETE FROM order_ordernote WHERE order_id = {0}",),
)

# And what Medusa's application does after the cutover, to the n-th row of a table.
BACK_WRITES = (
    ("customer", "UPDATE customer SET first_name = 'Nowa {0}' WHERE id = %s"),
    ("customer", "UPDATE customer SET email = 'z{0}@example.com' WHERE id = %s"),
    ("customer", "UPDATE customer SET deleted_at = now() WHERE id = %s"),
    (
        "customer",
        "INSERT INTO customer_address (id, customer_id, address_1, country_code) "
        "VALUES ('cuaddr_01M8HF1RZ2ER7JS7RKAZJ9' || {0}, %s, 'Nowa {0}', 'pl') ON CONFLICT DO NOTHING",
    ),
    ("customer_address", "UPDATE customer_address SET city = 'Łódź {0}', metadata = NULL WHERE id = %s"),
    ("customer_address", "UPDATE customer_address SET is_default_shipping = false WHERE id = %s"),
    ("customer_address", "DELETE FROM customer_address WHERE id = %s"),
    ("customer_address", "UPDATE customer_address SET deleted_at = now() WHERE id = %s"),
    ("order", """UPDATE "order" SET status = 'canceled' WHERE id = %s"""),
    ("order", """UPDATE "order" SET metadata = '{{"gift": {0}}}' WHERE id = %s"""),
    ("order", """UPDATE "order" SET shipping_address_id = NULL WHERE id = %s"""),
    ("order", """UPDATE "order" SET version = 2 WHERE id = %s"""),
    ("order_address", "UPDATE order_address SET city = 'Gdańsk {0}', address_2 = 'm. {0}' WHERE id = %s"),
    ("order_item", "UPDATE order_item SET quantity = {0} WHERE id = %s"),
    ("order_item", "UPDATE order_item SET version = 2, unit_price = 7 WHERE id = %s"),
    ("order_line_item", "UPDATE order_line_item SET unit_price = {0}, metadata = '{{}}' WHERE id = %s"),
    ("order_line_item_adjustment", "UPDATE order_line_item_adjustment SET deleted_at = now() WHERE id = %s"),
    ("order_line_item_tax_line", "UPDATE order_line_item_tax_line SET rate = 8 WHERE id = %s"),
    ("order_shipping_method", "UPDATE order_shipping_method SET amount = {0} WHERE id = %s"),
    ("order_shipping_method_adjustment", "DELETE FROM order_shipping_method_adjustment WHERE id = %s"),
    (
        "payment",
        "INSERT INTO refund (id, payment_id, amount, raw_amount) VALUES ('ref_' || {0}, %s, 1, '{{}}') ON CONFLICT DO NOTHING",
    ),
    (
        "order_item",
        "UPDATE order_item SET shipped_quantity = quantity WHERE order_id = (SELECT order_id FROM order_item WHERE id = %s)",
    ),
    ("fulfillment", "UPDATE fulfillment SET canceled_at = now() WHERE id = %s"),
    (
        "order",
        "WITH f AS (INSERT INTO fulfillment (id, location_id, shipped_at) "
        "VALUES ('ful_01M8HF2B46YKZ2ST2S755ECH' || {0}, 'x', now()) "
        "ON CONFLICT DO NOTHING RETURNING id) "
        "INSERT INTO order_fulfillment (order_id, fulfillment_id, id) SELECT %s, id, 'x' FROM f",
    ),
    ("capture", "UPDATE capture SET amount = {0} WHERE id = %s"),
)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFERRY_ID_SECRET", "a secret of tests")


@pytest.fixture
def oscar(make_db: MakeDb) -> Iterator[Pair]:
    """A small Oscar with its usual defects, an empty Medusa, and the route installed."""
    route, dsns = Route.load("oscar-medusa"), (make_db("oscar"), make_db("medusa"))
    with connect(dsns[0]) as legacy, connect(dsns[1]) as shop:
        legacy.execute((FOLDER / "legacy.sql").read_bytes())
        shop.execute((FOLDER / "shop.sql").read_bytes())
        legacy.execute(SEED.read_bytes())
        installation.install(legacy, shop, route)
        shop.execute("ALTER TABLE ferry.phase DROP CONSTRAINT phase_chunk_size_is_sane")
    pair = Pair.open(*dsns, route)
    try:
        yield pair
    finally:
        pair.close_tap(pair.legacy)
        pair.close()


def require_clean(pair: Pair) -> None:
    """Everything is as the mappings make it, no rule of the route is broken, and no row is lost or refused by the database."""
    for phase in pair.route.phases:
        outcome = pair.verify(phase)
        assert outcome.clean, outcome.differences
        assert all(a.unaccounted == 0 for a in outcome.accounts), outcome.accounts
    assert pair.ask("SELECT entity, row_key, reasons FROM ferry.quarantine WHERE sqlstate IS NOT NULL") == []


def test_all_goes_through_and_adds_up(oscar: Pair) -> None:
    oscar.pass_phases()
    require_clean(oscar)
    assert oscar.one("SELECT count(*) FROM customer WHERE has_account") == 34
    assert oscar.ask("SELECT reason, count(*) FROM ferry.left_out GROUP BY 1 ORDER BY 1") == [
        ("merged_duplicate", 3),
        ("staff", 6),
    ]
    for question in sums.load(oscar.route):
        for one in sums.answer(oscar.legacy, oscar.shop, question, active="legacy"):
            assert one.balanced, one


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_arrive(oscar: Pair, seed: int) -> None:
    oscar.pass_phases()
    random = Random(seed)
    for _ in range(12):
        for _ in range(random.randint(1, 4)):
            one, other = random.sample(range(1, 61), 2)
            oscar.write(*(s.format(one, other) for s in random.choice(WRITES)))
        oscar.sync()
    require_clean(oscar)


def test_a_rehearsal_is_green(oscar: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path / "data"))
    settings = Settings(read_dsn(oscar.legacy), read_dsn(oscar.shop), kafka="", route=oscar.route.name)
    done = rehearsal.rehearse(settings, "me", Form(5, pseudonymise=True))
    assert done.green, done
    assert [p["phase"] for p in done.phases] == ["contacts", "orders"]


def test_every_column_is_decided_about(oscar: Pair) -> None:
    route, data = oscar.route, personal.load(oscar.route)
    full, missing = coverage.reflect_mapped(oscar.legacy, route)
    kept = coverage.cut_to_captured(oscar.shop, route, full)
    settled = signed_off.load(route)
    assert missing == []
    assert list(data_map.find_gaps(oscar.legacy, oscar.shop, route, kept, data)) == []
    assert list(coverage.find_unmapped(oscar.legacy, full, kept, settled)) == []
    assert list(sign_offs.find_outdated(full, kept, settled)) == []


TABLES = (
    "auth_user",
    "address_useraddress",
    "order_shippingaddress",
    "order_billingaddress",
    "order_order",
    "order_line",
    "payment_source",
)


def read_dsn(conn: Connection) -> str:
    """The DSN of another connection to the same database."""
    return make_conninfo(**conn.info.get_parameters(), password=conn.info.password)


@contextmanager
def armed(oscar: Pair) -> Iterator[Pair]:
    """The way back, installed over the moved shop, with what the libraries made of old values; its log is tapped."""
    route = oscar.route.back
    assert route
    installation.install(oscar.shop, oscar.legacy, route)
    oscar.shop.execute((FOLDER / "reverse" / "keys.sql").read_bytes())
    way_back.number(oscar.legacy, oscar.shop, oscar.route)
    told = oscar.ask("SELECT kind, raw, value, problem, judged_by FROM ferry.standardized")
    with oscar.legacy.cursor() as cur:
        cur.executemany("INSERT INTO ferry.standardized VALUES (%s, %s, %s, %s, %s)", told)
    back = Pair.open(read_dsn(oscar.shop), read_dsn(oscar.legacy), route)
    try:
        yield back
    finally:
        back.close_tap(back.legacy)
        back.close()


def read_tables(conn: Connection) -> dict[str, list[str]]:
    """All rows of Oscar's tables that the way back writes, as text."""
    return {t: [r[0] for r in conn.execute(f"SELECT t::text FROM {t} t ORDER BY id").fetchall()] for t in TABLES}


def test_nothing_changes_on_a_way_back_without_writes(oscar: Pair) -> None:
    oscar.pass_phases()
    before = read_tables(oscar.legacy)
    with armed(oscar) as back:
        back.pass_phases()
        assert read_tables(oscar.legacy) == before
        assert back.ask("SELECT entity, row_key, reasons FROM ferry.quarantine") == []


def test_every_column_of_medusa_goes_back_or_is_decided(oscar: Pair) -> None:
    oscar.pass_phases()
    with armed(oscar):
        gate = losses.judge_covered(Stores(oscar.legacy, oscar.shop, oscar.route))
        assert gate.met, gate


def test_what_is_born_in_medusa_goes_back_and_is_known_again(oscar: Pair) -> None:
    oscar.pass_phases()
    with armed(oscar) as back:
        back.pass_phases()
        old = {t: rows for t, rows in read_tables(oscar.legacy).items() if t != "auth_user"}
        fence.lift_fence(oscar.shop, oscar.route.shop_tables)
        with connect(read_dsn(oscar.shop)) as medusa:
            medusa.execute(BORN.read_bytes())
            medusa.execute("UPDATE customer SET first_name = 'Janina' WHERE (metadata->'legacy'->>'id')::integer = 5")
        back.sync()
        for phase in back.route.phases:  # what never came to Medusa is extra
            assert {d.kind for d in back.verify(phase).differences} <= {"extra"}
        ask = oscar.legacy.execute
        assert ask("SELECT first_name FROM auth_user WHERE id = 5").fetchone() == ("Janina",)
        [(user, hash_)] = ask("SELECT id, password FROM auth_user WHERE email = 'nowa@example.com'").fetchall()
        assert user > 40
        assert hash_.startswith("!")
        assert ask("SELECT user_id, line1, country_id FROM address_useraddress WHERE user_id > 40").fetchall() == [
            (user, "Prosta 1", "PL")
        ]
        orders = ask(
            """SELECT o.number, o.user_id, o.guest_email, o.currency, o.total_incl_tax, o.total_excl_tax,
                      o.shipping_incl_tax, o.shipping_excl_tax,
                      s.line1, b.line1
               FROM order_order o LEFT JOIN order_shippingaddress s ON s.id = o.shipping_address_id
               LEFT JOIN order_billingaddress b ON b.id = o.billing_address_id WHERE o.number LIKE 'M-%' ORDER BY o.number"""
        ).fetchall()
        assert [tuple(map(str, o)) for o in orders] == [
            ("M-200001", str(user), "", "PLN", "92.00", "74.80", "18.45", "15.00", "Prosta 1", "Prosta 2"),
            (
                "M-200002",
                "None",
                "nowy.gosc@example.com",
                "PLN",
                "0.00",
                "0.00",
                "0.00",
                "0.00",
                "Prosta 3",
                "Prosta 4",
            ),
        ]
        lines = ask(
            "SELECT title, quantity, line_price_incl_tax, line_price_excl_tax FROM order_line WHERE id > 120"
        ).fetchall()
        assert [tuple(map(str, x)) for x in lines] == [("Kubek", "2", "73.55", "59.80")]
        paid = ask(
            "SELECT amount_allocated, amount_debited, amount_refunded FROM payment_source WHERE id > 60"
        ).fetchall()
        assert [tuple(map(str, x)) for x in paid] == [("92.00", "92.00", "5.00")]
        now = read_tables(oscar.legacy)
        with connect(read_dsn(oscar.shop)) as medusa:
            medusa.execute(
                "UPDATE order_item SET shipped_quantity = 2 WHERE order_id = 'order_01M8HF1VK0Z5R6EGJCQKJ7WGZF'"
            )
            medusa.execute(
                "INSERT INTO fulfillment (id, location_id, shipped_at) VALUES ('ful_01M8HF2B46YKZ2ST2S755ECH9C', 'x', now())"
            )
            medusa.execute(
                "INSERT INTO order_fulfillment (order_id, fulfillment_id, id) "
                "VALUES ('order_01M8HF1VK0Z5R6EGJCQKJ7WGZF', 'ful_01M8HF2B46YKZ2ST2S755ECH9C', 'x')"
            )
        back.sync()
        states = ask("SELECT number, status FROM order_order WHERE number LIKE 'M-%' ORDER BY 1").fetchall()
        assert states == [("M-200001", "Shipped"), ("M-200002", "Pending")]
        assert all(set(rows) <= set(now[t]) for t, rows in old.items())
    # A rollback: Oscar goes on, and the way there knows customers and orders again. What hangs on them gets new ids by a repair.
    oscar.sync()
    for phase in oscar.route.phases:
        oscar.verify(phase)
        assert repair(oscar.stores, phase, oscar.sync, "test").remaining == []
    oscar.write(f"UPDATE auth_user SET first_name = 'Nowsza' WHERE id = {user}")
    oscar.write("UPDATE order_order SET status = 'Complete' WHERE number LIKE 'M-%'")
    oscar.sync()
    require_clean(oscar)
    assert oscar.ask(
        """SELECT id, display_id, status::text, customer_id FROM "order" WHERE display_id >= 200001 ORDER BY 2"""
    ) == [
        ("order_01M8HF1VK0Z5R6EGJCQKJ7WGZF", 200001, "completed", "cus_01M8HF1RQG3R9J0YWEY3VYWC2E"),
        ("order_01M8HF1VK0Z5R6EGJCQKJ7WGZG", 200002, "completed", "cus_01M8HF1RQG3R9J0YWEY3VYWC2F"),
    ]
    assert oscar.ask("SELECT id, first_name FROM customer WHERE email = 'nowa@example.com'") == [
        ("cus_01M8HF1RQG3R9J0YWEY3VYWC2E", "Nowsza")
    ]


@pytest.mark.parametrize("seed", range(2))
def test_random_histories_go_back(oscar: Pair, seed: int) -> None:
    oscar.pass_phases()
    random = Random(seed)
    with armed(oscar) as back, connect(read_dsn(oscar.shop)) as medusa:
        back.pass_phases()
        fence.lift_fence(oscar.shop, oscar.route.shop_tables)
        for _ in range(15):
            for _ in range(random.randint(1, 4)):
                table, statement = random.choice(BACK_WRITES)
                ids = [r[0] for r in medusa.execute(f'SELECT id FROM "{table}" ORDER BY id').fetchall()]
                medusa.execute(statement.format(random.randint(10, 99)).encode(), (random.choice(ids),))
            back.sync()
        for phase in back.route.phases:  # what never came to Medusa is extra
            assert [d for d in back.verify(phase).differences if d.kind != "extra"] == []
        assert back.ask("SELECT entity, row_key, sqlstate FROM ferry.quarantine WHERE sqlstate IS NOT NULL") == []
