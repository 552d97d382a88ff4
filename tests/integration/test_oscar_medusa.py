"""The route oscar-medusa over both platforms' real tables: all phases, the stream, its checks, sums, data map and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from pair import Pair, connect
from shopferry import installation
from shopferry.assess import coverage, data_map, sign_offs
from shopferry.report import sums
from shopferry.route import personal, signed_off
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT

MakeDb = Callable[..., str]
FOLDER = SQL_ROOT / "oscar-medusa"
SEED = Path(__file__).with_name("oscar_seed.sql")
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


def test_every_column_is_decided_about(oscar: Pair) -> None:
    route, data = oscar.route, personal.load(oscar.route)
    full, missing = coverage.reflect_mapped(oscar.legacy, route)
    kept = coverage.cut_to_captured(oscar.shop, route, full)
    settled = signed_off.load(route)
    assert missing == []
    assert list(data_map.find_gaps(oscar.legacy, oscar.shop, route, kept, data)) == []
    assert list(coverage.find_unmapped(oscar.legacy, full, kept, settled)) == []
    assert list(sign_offs.find_outdated(full, kept, settled)) == []
