"""Legacy's tables change under way: what is not mapped goes unnoticed, what is stops the stream and is named."""

from __future__ import annotations

import psycopg
import pytest
from live import Flow, order
from waiting import until

pytestmark = pytest.mark.stack


def named(flow: Flow, said: str) -> None:
    """The consumer stops with a clear error, and it stays one of the complaints."""
    until(lambda: said in (flow.stopped() or ""))
    assert any(said in c for c in flow.find_problems())


def test_a_truncate_stops_the_stream_until_somebody_decides(flow: Flow) -> None:
    flow.write(order(6_000_001), "INSERT INTO loyalty_redemptions (id, account_id, points) VALUES (6000001, 1, 1)")
    flow.applied()
    held = flow.one("SELECT count(*) FROM legacy.loyalty_redemptions")
    assert held
    flow.write("TRUNCATE loyalty_redemptions")
    named(flow, "TRUNCATE of loyalty_redemptions")
    assert flow.one("SELECT count(*) FROM legacy.loyalty_redemptions") == held  # nothing went by itself
    flow.resync()
    flow.clean()
    assert flow.one("SELECT count(*) FROM legacy.loyalty_redemptions") == 0
    until(lambda: flow.find_problems() == [])


def test_what_comes_before_a_truncate_is_applied(flow: Flow) -> None:
    with flow.paused("sync"):
        flow.write(
            order(6_000_011),
            "INSERT INTO loyalty_redemptions (id, account_id, points) SELECT i, 1, 1 FROM generate_series(6100001, 6102000) i",
        )
        flow.write("TRUNCATE loyalty_redemptions")
    named(flow, "TRUNCATE of loyalty_redemptions")
    # It stands in the last of several batches, and was read while the one before was applied.
    held = flow.one("SELECT count(*) FROM legacy.loyalty_redemptions WHERE id BETWEEN 6100001 AND 6102000")
    assert 250 <= held < 2_000
    flow.resync()
    flow.clean()
    assert flow.one("SELECT count(*) FROM legacy.loyalty_redemptions") == 0
    until(lambda: flow.find_problems() == [])


def test_columns_that_no_mapping_reads_may_come_go_and_change(flow: Flow) -> None:
    for number, change in enumerate(
        [
            "ALTER TABLE customers ADD COLUMN fax varchar(20) DEFAULT 'none'",
            "ALTER TABLE customers RENAME COLUMN fax TO telefax",
            "ALTER TABLE customers ALTER COLUMN telefax TYPE text",
            "ALTER TABLE customers DROP COLUMN telefax",
            "ALTER TABLE customers ALTER COLUMN last_ip TYPE text",
        ]
    ):
        flow.write(
            change, f"UPDATE customers SET phone = '601 000 00{number}' WHERE id = (SELECT min(id) FROM customers)"
        )
    flow.clean()
    assert flow.one("SELECT phone FROM legacy.customers ORDER BY id LIMIT 1") == "601 000 004"
    assert flow.find_problems() == []


# PostgreSQL refuses to retype a published column; whoever knows that takes the table out meanwhile.
AROUND = """
ALTER PUBLICATION shopferry_demo DROP TABLE order_status_log;
ALTER TABLE order_status_log ALTER COLUMN changed_by TYPE {};
ALTER PUBLICATION shopferry_demo ADD TABLE order_status_log (id, order_id, status_code, changed_by, note, changed_at)
"""
CHANGES = {
    "column dropped": (
        "ALTER TABLE consents DROP COLUMN wording CASCADE",
        "ALTER TABLE consents ADD COLUMN wording varchar(32)",
        "public.consents",
    ),
    "column renamed": (
        "ALTER TABLE consents RENAME COLUMN ip TO ip_address",
        "ALTER TABLE consents RENAME COLUMN ip_address TO ip",
        "column public.consents.ip is gone or renamed",
    ),
    "column retyped": (
        AROUND.format("varchar(200)"),
        AROUND.format("varchar(64)"),
        "order_status_log.changed_by is now character varying(200), it was character varying(64)",
    ),
    "table renamed": (
        "ALTER TABLE consents RENAME TO agreements",
        "ALTER TABLE agreements RENAME TO consents",
        "table public.consents",
    ),
}


def test_a_column_that_is_published_cannot_be_retyped(flow: Flow) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="cannot alter type of a column used by a publication"):
        flow.write("ALTER TABLE order_status_log ALTER COLUMN changed_by TYPE varchar(200)")


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_mapping_reads_stops_the_stream_and_is_named(flow: Flow, what: str) -> None:
    change, back, said = CHANGES[what]
    number = 6_000_100 + list(CHANGES).index(what)
    flow.write(change)
    flow.write(order(number))
    named(flow, said)
    flow.write(back)
    named(flow, said)  # mended by hand, changes are lost all the same
    flow.resync()
    flow.clean()
    assert flow.one("SELECT count(*) FROM shop.customer_order WHERE id = %s", number) == 1
    until(lambda: flow.find_problems() == [])


def test_an_enum_value_that_is_new_to_us_arrives(values: Flow) -> None:
    values.write("ALTER TYPE mood ADD VALUE 'never seen'")
    values.write("INSERT INTO carried (id, feeling) VALUES (6000, 'never seen')")
    values.write("INSERT INTO lossy (id, feelings) VALUES (6000, '{good,\"never seen\"}')")
    values.clean()
    assert values.one("SELECT feeling FROM shop.carried WHERE id = 6000") == "never seen"
    assert values.one("SELECT feelings FROM shop.lossy WHERE id = 6000") == '{good,"never seen"}'


def test_a_status_that_is_new_to_us_waits_in_quarantine(flow: Flow) -> None:
    flow.write(order(6_000_201, "LOST"))
    flow.clean()
    assert flow.one(
        "SELECT reasons FROM ferry.quarantine WHERE row_key = '6000201' AND entity = 'shop.customer_order'"
    ) == ["status_unknown"]
