"""`route check` on the demo's route, as it is and with one fault in each kind of its files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pair import Pair, connect
from psycopg.conninfo import make_conninfo
from shopferry.authoring import checking
from shopferry.settings import SQL_ROOT, Settings


@pytest.fixture
def check(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, str]]:
    """Check a copy of the demo's route against a pair in which it is installed; by how bad, file and line."""
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    dsns = [make_conninfo(c.info.dsn, password=c.info.password) for c in (pair.legacy, pair.shop)]
    settings = Settings(*dsns, "127.0.0.1:1", "demo")

    def run() -> dict[str, str]:
        found = checking.check(settings)
        return {f"{f.severity} {f.subject.partition('demo/')[2]}": f"{f.text} → {f.remedy}" for f in found}

    return run


def rewrite(tmp_path: Path, file: str, old: str, new: str) -> None:
    """Change the first such text of a file."""
    path = tmp_path / "demo" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_demo_is_right(check: Callable[[], dict[str, str]]) -> None:
    assert check() == {}


def test_one_fault_in_each_kind_of_file_is_named_where_it_is(
    check: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    rewrite(tmp_path, "checks/orders_payments.sql", "p.amount, p.currency) AS found", "p.amounts, p.currency) AS found")
    rewrite(tmp_path, "assess/numbers_twice.sql", "o.number AS example", "o.numbers AS example")
    rewrite(tmp_path, "reverse/contacts/addresses.sql", "d.legacy_customer_id AS", "d.old_customer_id AS")
    rewrite(tmp_path, "personal.txt", "legacy.addresses.", "legacy.adresses.")
    with (tmp_path / "demo/signed_off.txt").open("a") as file:
        file.write("adresses.full_name -- a slip of the pen\n")
    line = (tmp_path / "demo/signed_off.txt").read_text().count("\n")
    found = check()
    assert "amounts does not exist" in found["blocking checks/orders_payments.sql:7"]
    assert "numbers does not exist" in found["blocking assess/numbers_twice.sql:6"]
    assert "old_customer_id does not exist" in found["blocking reverse/contacts/addresses.sql:7"]
    assert f"warning signed_off.txt:{line}" in found
    assert any("adresses" in text for where, text in found.items() if where.startswith("blocking personal.txt")), found


QUERIES = (
    ("report/orders.sql", "FROM shop.customer_order o", "FROM shop.customer_orders o", "query shop: relation"),
    ("report/points.sql", "END AS segment", "END AS part", "query legacy: column q.segment does not exist"),
    ("audience.sql", "LEFT JOIN shop.customer c", "LEFT JOIN shop.customers c", "shop.customers"),
    ("consents.sql", "s.why", "s.reason", "query state: column s.reason"),
    ("pairs/card.sql", "l.customer_id AS key", "l.owner AS key", "l.owner does not exist"),
    ("pairs.sql", "JOIN legacy.customers c", "JOIN legacy.customer c", "legacy.customer"),
    ("sample.sql", "FROM consents WHERE withdrawn_at", "FROM consent WHERE withdrawn_at", "query odd: relation"),
    ("sample.sql", "SELECT id FROM sample_orders", "SELECT id FROM sample_order", "query order_items: relation"),
)


def test_a_query_that_does_not_run_is_named_with_its_line(check: Callable[[], dict[str, str]], tmp_path: Path) -> None:
    lines = []
    for file, old, new, _ in QUERIES:
        before = (tmp_path / "demo" / file).read_text().partition(old)[0]
        lines.append(before.count("\n") + 1)
        rewrite(tmp_path, file, old, new)
    found = check()
    for line, (file, _, new, says) in zip(lines, QUERIES, strict=True):
        at = line if " AS part" not in new else 7  # what a query lacks has no line: its first one is named
        assert says in found.pop(f"blocking {file}:{at}", ""), found
    assert found == {}


def test_a_query_that_is_not_there_is_named(check: Callable[[], dict[str, str]], tmp_path: Path) -> None:
    rewrite(tmp_path, "audience.sql", "-- phase: contacts", "-- phase: contact")
    rewrite(tmp_path, "consents.sql", "-- name: texts", "-- name: wordings")
    found = check()
    assert "there is no phase 'contact'" in found.pop("blocking audience.sql:1")
    assert "there is no query `-- name: texts`" in found.pop("blocking consents.sql:1")
    assert found == {}


def test_what_the_way_back_loses_and_no_line_decides_is_named(
    check: Callable[[], dict[str, str]], tmp_path: Path
) -> None:
    rewrite(tmp_path, "reverse/losses.txt", "shop.customer_address.is_billing", "shop.customer_address.is_bill")
    found = check()
    assert "a rollback loses is_billing of shop.customer_address" in found["warning reverse/losses.txt"], found
    assert "shop.customer_address.is_bill is no column" in found["warning reverse/losses.txt:11"]
    rewrite(tmp_path, "reverse/losses.txt", "shop.customer.last_seen_at -- cut: ", "shop.customer.last_seen_at ")
    assert "wants `shop.table.column -- cut: why`" in check()["blocking reverse/losses.txt:7"]


@pytest.mark.fresh
def test_types_and_tables_that_cannot_be_followed_are_named_by_the_mapping_that_reads_them(
    check: Callable[[], dict[str, str]], pair: Pair
) -> None:
    with connect(make_conninfo(pair.legacy.info.dsn, password=pair.legacy.info.password)) as legacy:
        legacy.execute("ALTER TABLE loyalty_redemptions REPLICA IDENTITY FULL")
        legacy.execute("DROP PUBLICATION shopferry_demo")
        legacy.execute("ALTER TABLE order_invoices ALTER COLUMN id DROP DEFAULT")
        legacy.execute("ALTER TABLE order_invoices ALTER COLUMN id TYPE bit(32) USING id::integer::bit(32)")
        legacy.execute("ALTER TABLE order_status_log RENAME TO order_history")
    found = check()
    assert "REPLICA IDENTITY is FULL" in "".join(
        text for where, text in found.items() if where.startswith("blocking contacts/inactive.sql")
    ), found
    assert "change events do not carry its key" in "".join(
        text for where, text in found.items() if where.startswith("blocking orders/order_invoice.sql")
    ), found
    assert "no table public.order_status_log" in found["blocking orders/order_event.sql:4"]
