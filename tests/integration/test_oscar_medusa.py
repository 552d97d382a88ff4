"""The route oscar-medusa over both platforms' real tables: all phases, the stream, its checks, sums, data map and settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oscar_medusa import BORN, prepare, read_tables, require_clean
from pair import Pair, connect, read_dsn
from shopferry.assess import coverage, data_map, sign_offs
from shopferry.cutover import losses
from shopferry.engine.pair import Stores
from shopferry.rehearsal import rehearsal
from shopferry.rehearsal.rehearsal import Form
from shopferry.report import sums
from shopferry.route import personal, signed_off
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify.repair import repair
from turns import installed_back

MakeDb = Callable[..., str]


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFERRY_ID_SECRET", "a secret of tests")


@pytest.fixture
def oscar(make_db: MakeDb) -> Iterator[Pair]:
    """A small Oscar with its usual defects, an empty Medusa, and the route installed."""
    dsns = make_db("oscar"), make_db("medusa")
    pair = Pair.open(*dsns, prepare(*dsns))
    try:
        yield pair
    finally:
        pair.close_tap(pair.legacy)
        pair.close()


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


def test_a_rehearsal_is_green(oscar: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path / "data"))
    settings = Settings(read_dsn(oscar.legacy), read_dsn(oscar.shop), kafka="", route=oscar.route.name)
    done = rehearsal.rehearse(settings, "me", Form(5))
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


def test_nothing_changes_on_a_way_back_without_writes(oscar: Pair) -> None:
    oscar.pass_phases()
    before = read_tables(oscar.legacy)
    with installed_back(oscar) as back:
        back.pass_phases()
        assert read_tables(oscar.legacy) == before
        assert back.ask("SELECT entity, row_key, reasons FROM ferry.quarantine") == []


def test_every_column_of_medusa_goes_back_or_is_decided(oscar: Pair) -> None:
    oscar.pass_phases()
    with installed_back(oscar):
        gate = losses.judge_covered(Stores(oscar.legacy, oscar.shop, oscar.route))
        assert gate.met, gate


def test_what_is_born_in_medusa_goes_back_and_is_known_again(oscar: Pair) -> None:
    oscar.pass_phases()
    with installed_back(oscar) as back:
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


@pytest.mark.parametrize("change", ["is_default_shipping = false", "deleted_at = now()"])
def test_of_several_default_addresses_all_follow_the_one_that_medusa_has(oscar: Pair, change: str) -> None:
    [(user,)] = oscar.legacy.execute(
        """SELECT d.user_id FROM address_useraddress d JOIN auth_user u ON u.id = d.user_id AND NOT u.is_staff
           WHERE d.line1 > '' GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"""
    ).fetchall()
    oscar.write(f"UPDATE address_useraddress SET is_default_for_shipping = true WHERE user_id = {user}")
    oscar.pass_phases()
    defaults = f"SELECT count(*) FROM address_useraddress WHERE user_id = {user} AND is_default_for_shipping"
    with installed_back(oscar) as back, connect(read_dsn(oscar.shop)) as medusa:
        back.pass_phases()
        fence.lift_fence(oscar.shop, oscar.route.shop_tables)
        assert (back.one(defaults) or 0) > 1
        medusa.execute(f"UPDATE customer_address SET {change} WHERE is_default_shipping".encode())
        back.sync()
        assert back.one(defaults) == 0
        assert [d for d in back.verify("contacts").differences if d.kind != "extra"] == []
