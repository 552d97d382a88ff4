"""Merge: what the shop itself refuses is quarantined alone, with SQLSTATE and constraint, and comes back when mended."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from pair import ROUTE, Pair
from shopferry import db
from shopferry.control import quarantine
from shopferry.engine import merge, merge_chunks
from shopferry.engine.merge import Merger
from shopferry.engine.outcome import Merged
from shopferry.engine.pair import Stores
from shopferry.engine.release import release
from shopferry.engine.statements import select_keys_between
from shopferry.errors import MappingError
from shopferry.route.route import Route
from test_backfill import dsns, order

CUSTOMER = "INSERT INTO customers (id, email, full_name) VALUES ({0}, 'c{0}@example.com', 'Jan Kowalski')"


@pytest.mark.fresh
def test_a_row_that_a_constraint_refuses_is_quarantined_and_the_rest_goes_on(pair: Pair) -> None:
    pair.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_unlucky CHECK (total <> 13)")
    pair.pass_phases()
    pair.write(*[order(n, total=str(n)) for n in range(1, 41)])
    pair.sync()
    (entry,) = quarantine.load(pair.shop, entity="shop.customer_order")
    assert (entry.row_key, entry.reasons, entry.sqlstate, entry.constraint_name) == (
        "13",
        ["refused_by_constraint"],
        "23514",
        "order_is_not_unlucky",
    )
    assert pair.one("SELECT count(*) FROM shop.customer_order") == 39
    assert pair.accounts("orders")["orders"].quarantined == 1
    pair.check()


@pytest.mark.fresh
def test_a_row_that_a_trigger_or_an_index_refuses_is_quarantined_too(pair: Pair) -> None:
    pair.shop.execute(
        """CREATE FUNCTION shop.judge() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN IF NEW.total = 13 THEN RAISE EXCEPTION 'not today'; END IF; RETURN NEW; END $$;
           CREATE TRIGGER judge BEFORE INSERT OR UPDATE ON shop.customer_order FOR EACH ROW EXECUTE FUNCTION shop.judge();
           CREATE INDEX ON shop.customer_order (note)"""
    )
    pair.pass_phases()
    pair.write(*[order(n, total=str(n)) for n in range(1, 41)])
    noise = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i)"
    pair.write(f"UPDATE orders SET note = {noise} WHERE id = 7")
    pair.sync()
    held = {e.row_key: (e.reasons, e.sqlstate) for e in quarantine.load(pair.shop, entity="shop.customer_order")}
    assert held == {"13": (["refused_by_trigger"], "P0001"), "7": (["refused_by_type"], "54000")}
    assert pair.one("SELECT count(*) FROM shop.customer_order") == 38
    pair.check()


def test_a_key_for_which_the_mapping_does_not_work_out_is_quarantined_and_the_rest_goes_on(pair: Pair) -> None:
    pair.write(
        order(1),
        order(2),
        "INSERT INTO order_status_log (id, order_id, status_code, changed_at) VALUES "
        "(1, 1, 'NEW', '2020-01-01'), (2, 2, 'NEW', '2020-01-01'), (3, 2, 'PAID', '2020-01-02')",
    )
    pair.pass_phases()
    unit = next(u for u in ROUTE.mappings if u.entity == "shop.order_event")
    one = (
        "SELECT z.id FROM affected a JOIN legacy.order_status_log z ON z.order_id = a.key WHERE z.order_id = y.order_id"
    )
    body = f"SELECT y.* FROM ({unit.body}) y WHERE ({one}) > 0"
    merger = Merger(pair.shop, replace(ROUTE, units=(replace(unit, body=body),)))
    merger.stage(merger.route.units)
    with pair.shop.transaction():
        merger.merge(merger.route.units[0], select_keys_between(unit, None, None), disjoint=False)
    held = {e.row_key: (e.reasons, e.sqlstate) for e in quarantine.load(pair.shop, entity="shop.order_event")}
    assert held == {n: (["refused_by_mapping"], "21000") for n in "23"}
    assert pair.ask("SELECT id FROM shop.order_event") == [(1,)]


def test_a_value_that_the_shops_type_cannot_hold_is_quarantined_with_its_sqlstate(pair: Pair) -> None:
    pair.write(order(1, total="9999999999.9999"), order(2))
    pair.pass_phases()
    (entry,) = quarantine.load(pair.shop, entity="shop.customer_order")
    assert (entry.row_key, entry.reasons, entry.sqlstate) == ("1", ["refused_by_type"], "22003")
    pair.check()


@pytest.mark.fresh
def test_a_text_that_is_too_long_for_its_column_is_refused_and_not_cut(pair: Pair) -> None:
    pair.shop.execute(
        """CREATE DOMAIN shop.brief AS varchar(8);
           ALTER TABLE shop.customer_order ALTER note TYPE varchar(8), ALTER number TYPE char(6);
           ALTER TABLE shop.order_line ALTER sku TYPE shop.brief"""
    )
    item = "INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price) VALUES ({0}, {0}, '{1}', 'Kubek', 1, 1)"
    pair.write(
        *[order(n) for n in range(1, 5)],
        "UPDATE orders SET number = 'N' || id, note = 'fits'",
        item.format(1, "S1"),
        "UPDATE orders SET note = 'too long by far' WHERE id = 2",
        "UPDATE orders SET number = 'N123456' WHERE id = 3",
        item.format(4, "S12345678"),
    )
    pair.pass_phases()
    held = {(e.entity, e.row_key): (e.reasons, e.sqlstate) for e in quarantine.load(pair.shop)}
    refused = ["refused_by_type"], "22001"
    assert held == {("shop.customer_order", n): refused for n in "23"} | {("shop.order_line", "4"): refused}
    stands = pair.ask("SELECT id, number, note FROM shop.customer_order ORDER BY id")
    assert stands == [(1, "N1    ", "fits"), (4, "N4    ", "fits")]
    assert pair.ask("SELECT id, sku FROM shop.order_line") == [(1, "S1")]
    pair.check()
    pair.write("UPDATE orders SET number = 'N3' WHERE id = 3")
    pair.sync()
    assert pair.quarantine("shop.customer_order") == {"2": ["refused_by_type"]}
    pair.check()


@pytest.mark.fresh
def test_keys_that_the_shop_numbers_by_itself_are_the_mappings_to_say(pair: Pair) -> None:
    pair.shop.execute("ALTER TABLE shop.customer_order ALTER id SET GENERATED ALWAYS")
    pair.pass_phases()
    pair.write(order(41))
    pair.sync()
    pair.write("UPDATE orders SET total = 2 WHERE id = 41")
    pair.sync()
    assert pair.ask("SELECT id, total::text FROM shop.customer_order") == [(41, "2.00")]
    pair.check()


def test_what_a_merge_did_is_counted(pair: Pair) -> None:
    pair.write(order(1), order(2))
    pair.pass_phases()
    pair.write("DELETE FROM orders WHERE id = 1", "UPDATE orders SET status_code = 'PAID' WHERE id = 2")
    pair.capture()
    assert pair.replay().merged["orders/customer_order"] == Merged(keys=2, written=1, deleted=1)


@pytest.mark.fresh
def test_of_a_key_whose_select_cannot_even_be_run_every_counted_row_is_quarantined(pair: Pair) -> None:
    """Whose rows they are says a column of the counted table, or, for consents, a lineage."""
    pair.shop.execute("ALTER TYPE shop.contact_channel RENAME VALUE 'sms' TO 'text'")
    pair.write(
        order(7),
        order(8),
        "INSERT INTO order_status_log (id, order_id, status_code, changed_at) VALUES "
        "(71, 7, 'NEW', '4714-11-24 00:30:00 BC'), (72, 7, 'PAID', '2020-01-01'), (81, 8, 'NEW', '2020-01-01')",
        "INSERT INTO customers (id, email) VALUES (1, 'jan@example.com'), (2, 'ala@example.com')",
        "INSERT INTO consents (id, customer_id, channel, granted) VALUES (11, 1, 'sms', 'T'), (12, 1, 'email', 'T'), "
        "(21, 2, 'email', 'T')",
    )
    pair.pass_phases()
    assert pair.quarantine("shop.order_event") == {"71": ["refused_by_type"], "72": ["refused_by_type"]}
    assert pair.ask("SELECT id FROM shop.order_event") == [(81,)]
    assert pair.quarantine("shop.consent") == {"11": ["refused_by_type"], "12": ["refused_by_type"]}
    assert pair.ask("SELECT legacy_consent_id FROM shop.consent") == [(21,)]


def test_a_refused_parent_takes_its_children_along_and_brings_them_back(pair: Pair) -> None:
    pair.write(
        order(1),
        "INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES (1, 1, 'Kubek', 1, 1)",
        "INSERT INTO order_status_log (id, order_id, status_code, changed_at) VALUES (1, 1, 'NEW', '2020-01-01')",
        CUSTOMER.format(1),
        "INSERT INTO loyalty_accounts (id, customer_id, points, created_at) VALUES (1, 1, 10, '2020-01-01')",
        "INSERT INTO loyalty_log (id, account_id, kind, points, order_id, created_at) VALUES (1, 1, 'E', 10, 1, '2020-01-01')",
    )
    pair.pass_phases()
    assert pair.one("SELECT order_id FROM shop.loyalty_entry") == 1
    pair.write(
        "UPDATE order_items SET quantity = 2, unit_price = 9999999999"
    )  # an item alone makes the order impossible
    pair.sync()
    assert pair.quarantine("shop.customer_order") == {"1": ["refused_by_type"]}
    assert pair.quarantine("shop.order_event") == {"1": ["order_quarantined"]}
    assert pair.ask("SELECT order_id FROM shop.payment") == [] == pair.ask("SELECT order_id FROM shop.delivery")
    assert pair.one("SELECT order_id FROM shop.loyalty_entry") is None
    pair.check()
    pair.write("UPDATE order_items SET quantity = 1, unit_price = 1")
    pair.sync()
    assert pair.ask("SELECT entity FROM ferry.quarantine") == []
    assert pair.ask("SELECT order_id FROM shop.payment") == [(1,)] == pair.ask("SELECT order_id FROM shop.delivery")
    assert pair.one("SELECT order_id FROM shop.loyalty_entry") == 1
    pair.check()


@pytest.mark.fresh
def test_a_refused_customer_takes_addresses_orders_and_cards_along(pair: Pair) -> None:
    pair.shop.execute("ALTER TABLE shop.customer ADD CONSTRAINT not_ola CHECK (given_name <> 'Ola')")
    pair.write(
        CUSTOMER.format(1),
        "INSERT INTO customers (id, email, full_name) VALUES (2, 'C1@example.com', 'Jan Kowalski')",  # the same person
        "INSERT INTO addresses (id, customer_id, street, city, postcode) VALUES (1, 2, 'Długa 1', 'Łódź', '90-001')",
        order(1),
        "UPDATE orders SET customer_id = 2",
        "INSERT INTO loyalty_accounts (id, customer_id, points) VALUES (1, 2, 0)",
    )
    pair.pass_phases()
    pair.write("UPDATE customers SET full_name = 'Ola Kowalska' WHERE id = 1")
    pair.sync()
    assert pair.quarantine("shop.customer") == {"1": ["refused_by_constraint"], "2": ["refused_by_constraint"]}
    assert pair.quarantine("shop.customer_address") == {"1": ["customer_quarantined"]}
    assert pair.quarantine("shop.customer_order") == {"1": ["customer_quarantined"]}
    assert pair.quarantine("shop.loyalty_account") == {"1": ["customer_quarantined"]}
    pair.check()
    pair.write("UPDATE customers SET full_name = 'Jan Kowalska' WHERE id = 1")
    pair.sync()
    assert pair.ask("SELECT entity FROM ferry.quarantine") == []
    pair.check()


@pytest.mark.fresh
def test_a_refused_row_does_not_make_its_neighbours_refused(pair: Pair) -> None:
    """Exchanged e-mails are only possible together; halving the batch for a refused third must not tear them apart."""
    pair.shop.execute("ALTER TABLE shop.customer ADD CONSTRAINT not_ola CHECK (given_name <> 'Ola')")
    pair.write(*[CUSTOMER.format(n) for n in range(1, 9)])
    pair.pass_phases()
    pair.write(
        "UPDATE customers SET email = CASE id WHEN 1 THEN 'c8@example.com' ELSE 'c1@example.com' END WHERE id IN (1, 8)",
        "UPDATE customers SET full_name = 'Ola Nowak' WHERE id = 4",
    )
    pair.sync()
    assert pair.quarantine("shop.customer") == {"4": ["refused_by_constraint"]}
    assert pair.ask(
        "SELECT legacy_customer_id, email FROM shop.customer WHERE legacy_customer_id IN (1, 8) ORDER BY 1"
    ) == [
        (1, "c8@example.com"),
        (8, "c1@example.com"),
    ]
    pair.check()


@pytest.mark.fresh
def test_rows_that_cannot_both_be_are_told_apart(pair: Pair) -> None:
    pair.shop.execute(
        "ALTER TABLE shop.customer_order ADD CONSTRAINT number_once UNIQUE (number) DEFERRABLE INITIALLY DEFERRED"
    )
    pair.pass_phases()
    pair.write(order(1), order(2), order(3), "UPDATE orders SET number = 'same' WHERE id IN (1, 3)")
    pair.sync()
    assert pair.ask("SELECT id FROM shop.customer_order ORDER BY id") == [(1,), (2,)]
    (entry,) = quarantine.load(pair.shop, entity="shop.customer_order")
    assert (entry.row_key, entry.sqlstate, entry.constraint_name) == ("3", "23505", "number_once")
    assert pair.verify("orders").clean


@pytest.mark.fresh
@pytest.mark.parametrize(
    "index",
    [
        "ALTER TABLE shop.customer_order ADD CONSTRAINT number_once UNIQUE (number)",
        "ALTER TABLE shop.customer_order ADD CONSTRAINT number_once UNIQUE (number) DEFERRABLE INITIALLY DEFERRED",
        "CREATE UNIQUE INDEX number_once ON shop.customer_order (lower(number), currency) WHERE total > 0",
        "ALTER TABLE shop.customer_order ADD lower text GENERATED ALWAYS AS (lower(number)) STORED UNIQUE",
        "ALTER TABLE shop.customer_order ADD tenant int NOT NULL DEFAULT 1, ADD UNIQUE (tenant, number)",
        "ALTER TABLE shop.customer_order ADD third numeric(12, 1) GENERATED ALWAYS AS (length(number) / 3.0) STORED UNIQUE",
        "ALTER TABLE shop.customer_order ADD own text, ADD UNIQUE (number), "
        "ADD shown text GENERATED ALWAYS AS (coalesce(own, '') || number) STORED",
        "ALTER TABLE shop.customer_order ADD own text, ADD tenant text DEFAULT 'a', "
        "ADD shown text GENERATED ALWAYS AS (tenant || coalesce(own, '') || number) STORED UNIQUE",
    ],
    ids=[
        "plain",
        "deferred",
        "partial",
        "generated",
        "with a default",
        "generated, rounded",
        "beside another",
        "of a default",
    ],
)
@pytest.mark.parametrize(
    "letting_go",
    [
        "UPDATE orders SET number = 'other' WHERE id = 1",
        "DELETE FROM orders WHERE id = 1",
        "UPDATE orders SET total = 13 WHERE id = 1",
    ],
    ids=["changed", "deleted", "refused"],
)
def test_a_row_refused_for_a_unique_value_comes_in_when_another_lets_go_of_it(
    pair: Pair, index: str, letting_go: str
) -> None:
    pair.shop.execute(index.encode())
    pair.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_unlucky CHECK (total <> 13)")
    pair.pass_phases()
    pair.write(order(1), order(2), order(3), "UPDATE orders SET number = 'same' WHERE id IN (1, 2, 3)")
    pair.sync()
    held = "SELECT row_key, key, held_by FROM ferry.quarantine WHERE entity = 'shop.customer_order' ORDER BY 1"
    assert pair.ask(held) == [("2", "2", "1"), ("3", "3", "1")]
    pair.write("UPDATE orders SET ship_name = 'Ola Nowak' WHERE id = 1")  # merged, and lets go of nothing
    pair.sync()
    assert pair.ask(held) == [("2", "2", "1"), ("3", "3", "1")]
    pair.write(letting_go)
    pair.sync()
    assert (2,) in pair.ask("SELECT id FROM shop.customer_order WHERE number = 'same'")
    assert ("3", "3", "2") in pair.ask(held)
    assert pair.verify("orders").clean


@pytest.mark.fresh
def test_of_a_unique_value_that_cannot_be_told_no_holder_is_known(pair: Pair) -> None:
    """Such a row waits for its own data to change, or for a release."""
    pair.pass_phases()
    pair.write(order(1))
    pair.sync()
    pair.shop.execute("CREATE UNIQUE INDEX once ON shop.customer_order ((1 / (total - 13)))")
    pair.write(order(2, total="13"))
    pair.sync()
    held = "SELECT row_key, held_by FROM ferry.quarantine WHERE entity = 'shop.customer_order'"
    assert pair.ask(held) == [("2", None)]
    pair.write("UPDATE orders SET ship_name = 'Ola Nowak' WHERE id = 1")
    pair.sync()
    assert pair.ask(held) == [("2", None)]


@pytest.mark.fresh
def test_what_was_refused_is_released_once_the_shop_can_hold_it(pair: Pair) -> None:
    pair.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_unlucky CHECK (total <> 13)")
    item = "INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES (1, 1, 'K', 1, 1)"
    pair.write(order(1, total="13"), item)
    pair.pass_phases()
    assert pair.quarantine("shop.order_line") == {"1": ["order_quarantined"]}
    pair.shop.execute("ALTER TABLE shop.customer_order DROP CONSTRAINT order_is_not_unlucky")
    assert release(pair.stores) == (2, 0)
    assert pair.ask("SELECT order_id FROM shop.payment") == [(1,)]
    pair.check()


@pytest.mark.fresh
@pytest.mark.parametrize("silent", ["shop.customer_order", "legacy.orders"])
def test_what_is_released_brings_its_children_along_though_they_name_one_source_less(pair: Pair, silent: str) -> None:
    pair.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_unlucky CHECK (total <> 13)")
    pair.write(
        order(1, total="13"),
        "INSERT INTO order_status_log (id, order_id, status_code, changed_at) VALUES (1, 1, 'NEW', '2020-01-01')",
    )
    pair.pass_phases()
    pair.shop.execute("ALTER TABLE shop.customer_order DROP CONSTRAINT order_is_not_unlucky")
    event = next(u for u in ROUTE.mappings if u.entity == "shop.order_event")
    child = replace(event, sources=tuple(s for s in event.sources if s.relation != silent))
    route = replace(ROUTE, units=tuple(child if u is event else u for u in ROUTE.units))
    assert release(Stores(pair.legacy, pair.shop, route), entity="shop.customer_order") == (1, 0)
    assert pair.ask("SELECT order_id FROM shop.order_event") == [(1,)]
    pair.check()


@pytest.mark.fresh
def test_a_release_goes_slice_by_slice_and_tries_each_key_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "SLICE", 1)
    pair.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_unlucky CHECK (total < 13)")
    pair.write(*[order(key, total="13") for key in (1, 2)], order(3, total="14"), order(4, status="??"))
    pair.pass_phases()
    pair.shop.execute(
        "ALTER TABLE shop.customer_order DROP CONSTRAINT order_is_not_unlucky, "
        "ADD CONSTRAINT order_is_not_dear CHECK (total < 14)"
    )
    assert release(pair.stores, reason="status_unknown") == (1, 1)
    assert release(pair.stores, entity="shop.order_line") == (0, 0)
    assert release(pair.stores) == (4, 2)
    assert pair.ask("SELECT order_id FROM shop.payment ORDER BY 1") == [(1,), (2,)]
    pair.check()


def test_a_session_that_merges_marks_its_writes_from_the_first_on(pair: Pair) -> None:
    with db.connect(dsns(pair)[1], "test") as conn:
        Merger(conn, ROUTE).stage(ROUTE.units)
        assert conn.execute("SELECT pg_replication_origin_session_is_setup()").fetchone() == (True,)


@pytest.mark.parametrize(
    ("theirs", "wait"), [("a chunk", {"batch", "release"}), ("a batch", {"batch", "release", "chunk"})]
)
def test_chunks_go_side_by_side_and_a_batch_goes_alone(pair: Pair, theirs: str, wait: set[str]) -> None:
    pair.write(order(1))
    pair.pass_phases(["contacts", "orders"])
    merge_chunks.begin_merge(pair.stores, "orders")  # again: the stream merges its rows meanwhile
    pair.write(order(2))
    ours = {
        "chunk": lambda: merge_chunks.merge_next(pair.stores, "orders", "test"),
        "batch": pair.sync,
        "release": lambda: release(pair.stores),
    }
    pair.shop.execute("SET lock_timeout = '50ms'")
    with db.connect(dsns(pair)[1], "test") as other:
        for name, work in ours.items():
            with other.transaction():
                Merger(other, ROUTE).hold(alone=theirs == "a batch")
                if name in wait:
                    with pytest.raises(psycopg.errors.LockNotAvailable):
                        work()
                else:
                    work()
            pair.shop.execute("SET lock_timeout = 0")
            work()
            pair.shop.execute("SET lock_timeout = '50ms'")
    pair.shop.execute("SET lock_timeout = 0")


@pytest.mark.fresh
def test_a_column_that_the_target_lacks_is_named_with_file_and_line(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases(["contacts"])
    pair.shop.execute("ALTER TABLE shop.customer_order RENAME COLUMN note TO remark")
    unit = next(u for u in Route.load("demo").mappings if u.entity == "shop.customer_order")
    with pytest.raises(MappingError, match=rf"{unit.file}:{unit.line}: shop\.customer_order has no column 'note'"):
        Merger(pair.shop, Route.load("demo")).stage([unit])
