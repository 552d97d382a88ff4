"""The writer and its ledger: what is acknowledged is found, in both stores, and what is lost is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shopferry import db, installation
from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.cutover import sequences
from shopferry.demo import generator, ledger, writer
from shopferry.engine.backfill import copy_next, plan_copy, standardize
from shopferry.engine.merge_chunks import begin_merge, is_merged, merge_next
from shopferry.engine.pair import Stores
from shopferry.errors import StackError
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT, Settings
from shopferry.stores import fence
from waiting import until

ROUTE = Route.load("demo")


@pytest.fixture
def settings(make_db: Any) -> Settings:
    """A small legacy shop and an empty, fenced new one."""
    legacy_dsn, shop_dsn = make_db("legacy"), make_db("shop")
    with db.connect(legacy_dsn, "test") as legacy, db.connect(shop_dsn, "test") as shop:
        generator.seed(legacy, customers=150)
        shop.execute((SQL_ROOT / "demo" / "shop.sql").read_bytes())
        installation.install(legacy, shop, ROUTE)
    return Settings(legacy_dsn, shop_dsn, kafka="")


def write_until(settings: Settings, path: Path, enough: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Run the writer until its ledger holds enough."""
    stop = threading.Event()
    thread = threading.Thread(target=writer.run, args=(settings, path), kwargs={"rate": 400.0, "stop": stop})
    thread.start()
    until(lambda: not thread.is_alive() or (path.exists() and enough(ledger.read(path))))
    stop.set()
    thread.join()


def acknowledge(path: Path, writes: dict[str, tuple[str, int, list[Any]]]) -> None:
    """A ledger of these writes, one after the other: of each the store, the route's version and its one fact."""
    path.write_text(
        "".join(
            json.dumps(
                {
                    "write": write,
                    "kind": "change",
                    "store": store,
                    "version": version,
                    "worker": 0,
                    "xact": at,
                    "started": at,
                    "acknowledged": at,
                    "ms": 1.0,
                    "attempts": 1,
                    "error": None,
                    "facts": [fact],
                }
            )
            + "\n"
            for at, (write, (store, version, fact)) in enumerate(writes.items(), 1)
        )
    )


def ferry(stores: Stores) -> None:
    for phase in ROUTE.phases:
        phases.move(stores.target, ROUTE.name, phase, State.COPYING)
        plan_copy(stores, phase)
        while copy_next(stores, phase, "test"):
            pass
        standardize(stores, phase)
        begin_merge(stores, phase)
        while not is_merged(stores, phase):
            merge_next(stores, phase, "test")
        phases.move(stores.target, ROUTE.name, phase, State.IN_SYNC)
        phases.move(stores.target, ROUTE.name, phase, State.VERIFIED)


def switch(stores: Stores) -> None:
    """What the cutover comes down to for a writer: legacy fenced, sequences beyond the carried keys, route flipped."""
    with stores.source.transaction():
        fence.raise_fence(stores.source, [f"public.{t}" for t in generator.TABLES], ROUTE.name)
    with stores.target.transaction():
        sequences.advance(stores.target, ROUTE)
        fence.lift_fence(stores.target, ROUTE.entities)
        stores.target.execute(
            "INSERT INTO ferry.route (route, active, version) VALUES ('demo', 'shop', 2) "
            "ON CONFLICT (route) DO UPDATE SET active = 'shop', version = 2"
        )


def test_every_acknowledged_write_is_found_across_the_switch(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        stores = Stores(legacy, shop, ROUTE)
        write_until(settings, path, lambda records: len(records) >= 400)
        ferry(stores)
        before = ledger.check(path, legacy, shop)
        assert (before.missing, before.failed_for_the_user) == ([], 0)
        switch(stores)
        write_until(settings, path, lambda records: sum(r["store"] == "shop" for r in records) >= 400)
        after = ledger.check(path, legacy, shop)
        assert ([m for m in after.missing if ":legacy." not in m], after.failed_for_the_user) == ([], 0)
        assert after.missing, "nothing carries back here what the new shop has acknowledged"
        assert after.acknowledged >= 800
        assert after.longest_gap_ms > 0
        kinds = {(r["store"], r["kind"]) for r in ledger.read(path)}
        assert {k for s, k in kinds if s == "legacy"} == {k for s, k in kinds if s == "shop"}


def test_what_is_lost_is_told(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        write_until(settings, path, lambda records: len(records) >= 200)
        ferry(Stores(legacy, shop, ROUTE))
        fence.lift_fence(shop, ROUTE.entities)
        losses = [
            (
                shop,
                "DELETE FROM shop.order_line WHERE id = (SELECT max(id) FROM shop.order_line)",
                "legacy.order_items/.* is neither carried into the shop nor accounted for",
            ),
            (
                shop,
                "UPDATE shop.order_event SET status = 'refunded' WHERE id = (SELECT max(id) FROM shop.order_event)",
                "shop.order_event/.* status differs",
            ),
            (
                legacy,
                "DELETE FROM addresses WHERE id = (SELECT max(id) FROM addresses)",
                "legacy.addresses/.* is missing",
            ),
        ]
        for conn, loss, told in losses:
            with conn.transaction(force_rollback=True):
                conn.execute(loss)
                missing = ledger.check(path, legacy, shop).missing
                assert any(re.search(told, m) for m in missing), (loss, missing)
        assert ledger.check(path, legacy, shop).missing == []


def test_what_made_a_row_comes_before_its_changes_though_another_worker_notes_it_later(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        [(key,)] = legacy.execute(
            "UPDATE customers SET phone = '2' WHERE id = (SELECT min(id) FROM customers) RETURNING id"
        )
        ferry(Stores(legacy, shop, ROUTE))
        made, changed = (("legacy", 1, ["customers", key, {"phone": phone}]) for phone in "12")
        acknowledge(path, {"sign_up": made, "change_phone": changed})
        path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
        assert [m for m in ledger.check(path, legacy, shop).missing if ":legacy." in m] == []
        acknowledge(path, {"change_phone": changed, "sign_up": made})
        assert f"sign_up:legacy.customers/{key} phone differs" in ledger.check(path, legacy, shop).missing


@pytest.mark.parametrize("gone", [False, True], ids=["in the shop", "left"])
def test_a_withdrawal_in_the_shop_has_ended_what_any_account_of_the_person_declared_before(
    settings: Settings, tmp_path: Path, gone: bool
) -> None:
    """Of three accounts that were one person, one leaves and one parts afterwards: nothing in the shop tells of it any more."""
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        decides, left, parted = (
            row[0]
            for row in legacy.execute(
                "INSERT INTO customers (login, full_name, email, active, deleted, created_at) VALUES "
                "('decides', 'Ada One', 'ada@writer.example.com', 'T', 'N', '2020-01-03'), "
                "('left', 'Ada One', 'ada@writer.example.com', 'T', 'T', '2020-01-01'), "
                "('parted', 'Ada One', 'ada.new@writer.example.com', 'T', 'N', '2020-01-02') RETURNING id"
            ).fetchall()
        )
        declared = [
            legacy.execute(
                "INSERT INTO consents (customer_id, channel, granted, granted_at, ip, wording, withdrawn_at) "
                "VALUES (%s, %s, 'T', '2024-01-02', '10.0.0.1', 'v6', %s) RETURNING id",
                declaration,
            ).fetchone()[0]  # type: ignore[index]
            for declaration in (
                (decides, "sms", "2024-05-06 12:00:00.000001"),
                (left, "sms", "2024-05-06 12:00:00.000001"),
                (parted, "sms", "2024-05-06 12:00:00.000001"),
                (parted, "post", "2024-05-06 12:00:00.000001"),
                (left, "phone", "2024-05-06 12:00:00.000002"),
            )
        ]
        legacy.execute("UPDATE customers SET deleted = %s WHERE id = %s", ("T" if gone else "N", decides))
        ferry(Stores(legacy, shop, ROUTE))
        held = dict(
            shop.execute(
                "SELECT legacy_consent_id, id FROM shop.consent WHERE legacy_consent_id = ANY(%s)", (declared,)
            )
        )
        writes = {f"write {key}": ("legacy", 1, ["consents", key, {"state": "granted"}]) for key in declared}
        end = ["consent", held.get(declared[0], 1_000_000), {"state": "withdrawn"}, declared[0]]
        acknowledge(path, writes | {"end": ("shop", 2, end)})
        *_, post, later = declared  # what it has not ended is missing
        assert ledger.check(path, legacy, shop).missing == [
            f"write {post}:legacy.consents/{post} state differs",
            f"write {post}:shop.consent/{held[post]} state differs",
            f"write {later}:legacy.consents/{later} state differs",
        ]


def test_a_newsletter_taken_back_in_the_shop_is_looked_for_in_all_accounts_of_the_person(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        accounts = [
            row[0]
            for row in legacy.execute(
                "INSERT INTO customers (login, full_name, email, newsletter, newsletter_date, active, deleted, created_at) "
                "VALUES ('one', 'Ada One', 'ada@writer.example.com', 'N', '2024-05-06', 'T', 'N', '2020-01-01'), "
                "('other', 'Ada One', 'ada@writer.example.com', 'Y', '2011-03-05', 'T', 'N', '2020-01-02') RETURNING id"
            ).fetchall()
        ]
        ferry(Stores(legacy, shop, ROUTE))
        [(consent,)] = shop.execute(
            "SELECT id FROM shop.consent WHERE purpose = 'newsletter' AND legacy_customer_id = %s", (accounts[0],)
        ).fetchall()
        acknowledge(path, {"write": ("shop", 2, ["consent", consent, {"state": "withdrawn"}, None])})
        assert ledger.check(path, legacy, shop).missing == [f"write:legacy.customers/{accounts[1]} newsletter differs"]
        legacy.execute(
            "UPDATE customers SET newsletter = 'N', newsletter_date = '2024-05-06' WHERE id = %s", (accounts[1],)
        )
        assert ledger.check(path, legacy, shop).missing == []


def test_what_the_shop_wrote_to_one_account_goes_with_the_customer_it_was_led_back_to_when_legacy_parts_two(
    settings: Settings, tmp_path: Path
) -> None:
    """Two customers were one account by their e-mail; a phone given to it in the new shop is that of the one who decided."""
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        one, other = (
            row[0]
            for row in legacy.execute(
                "INSERT INTO customers (login, full_name, email, phone, active, deleted, created_at) VALUES "
                "('one', 'Ada One', 'ada.new@writer.example.com', '+48601951182', 'T', 'N', '2020-01-01'), "
                "('other', 'Ada One', 'ada@writer.example.com', '+48601951183', 'T', 'N', '2020-01-02') RETURNING id"
            ).fetchall()
        )
        ferry(Stores(legacy, shop, ROUTE))
        keys = dict(
            shop.execute("SELECT legacy_key::bigint, shop_key::bigint FROM ferry.identity WHERE entity = 'customer'")
        )
        acknowledge(
            path,
            {
                "write 1": ("shop", 2, ["customer", keys[other], {"phone": "+48601951182"}, one]),
                "write 2": ("shop", 2, ["customer", keys[other], {"email": "ada@writer.example.com"}, one]),
                "write 3": ("legacy", 3, ["customers", one, {"email": "ada.new@writer.example.com"}]),
            },
        )
        assert ledger.check(path, legacy, shop).missing == []
        fence.lift_fence(shop, ROUTE.entities)
        shop.execute("UPDATE shop.customer SET phone = NULL WHERE id = %s", (keys[one],))
        shop.execute("UPDATE shop.customer SET email = 'x@writer.example.com' WHERE id = %s", (keys[other],))
        assert ledger.check(path, legacy, shop).missing == [
            f"write 1:shop.customer/{keys[one]} phone differs",
            f"write 2:shop.customer/{keys[other]} email differs",
        ]


def test_what_the_shop_wrote_to_a_consent_is_followed_to_who_has_it_when_the_account_that_gave_the_number_has_left(
    settings: Settings, tmp_path: Path
) -> None:
    """Two accounts were one customer; the shop wrote to a consent that the other declared, and then the first one left."""
    path = tmp_path / "ledger.jsonl"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        _, stays = (
            row[0]
            for row in legacy.execute(
                "INSERT INTO customers (login, full_name, email, active, deleted, created_at) VALUES "
                "('leaves', 'Ada One', 'ada@writer.example.com', 'T', 'T', '2020-01-01'), "
                "('stays', 'Ada One', 'ada@writer.example.com', 'T', 'N', '2020-01-02') RETURNING id"
            ).fetchall()
        )
        [(declared,)] = legacy.execute(
            "INSERT INTO consents (customer_id, channel, granted, granted_at, ip, wording) "
            "VALUES (%s, 'email', 'T', '2024-01-02', '10.0.0.1', 'v6') RETURNING id",
            (stays,),
        ).fetchall()
        ferry(Stores(legacy, shop, ROUTE))
        [(now,)] = shop.execute("SELECT id FROM shop.consent WHERE legacy_consent_id = %s", (declared,)).fetchall()
        write = ("shop", 2, ["consent", 1_000_000, {"state": "granted"}, declared])
        acknowledge(path, {"write": write})
        assert ledger.check(path, legacy, shop).missing == []
        fence.lift_fence(shop, ROUTE.entities)
        shop.execute("UPDATE shop.consent SET state = 'unproven' WHERE id = %s", (now,))
        assert ledger.check(path, legacy, shop).missing == [f"write:shop.consent/{now} state differs"]
        acknowledge(path, {"write": write, "later": ("shop", 4, ["consent", now, {"state": "unproven"}, declared])})
        assert ledger.check(path, legacy, shop).missing == [f"later:legacy.consents/{declared} state differs"]


def test_a_fenced_store_is_waited_for_and_giving_up_is_a_failure(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    monkeypatch.setattr(writer, "GIVE_UP_AFTER_S", 0.5)
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as shop:
        fence.raise_fence(legacy, [f"public.{t}" for t in generator.TABLES], ROUTE.name)
        write_until(settings, path, lambda records: len(records) >= 4)
        failed = [r for r in ledger.read(path) if r["error"]]
        assert failed and all("SF001" in r["error"] and r["acknowledged"] is None and r["attempts"] > 1 for r in failed)
        report = ledger.check(path, legacy, shop)
        assert (report.acknowledged, report.failed_for_the_user) == (0, len(failed))


@pytest.mark.parametrize("end", ["signal", "stop file"])
def test_the_process_ends_cleanly(settings: Settings, tmp_path: Path, end: str) -> None:
    path, stop_file = tmp_path / "ledger.jsonl", tmp_path / "stop"
    environment = {
        **os.environ,
        "SHOPFERRY_LEGACY_DSN": settings.source_dsn,
        "SHOPFERRY_SHOP_DSN": settings.target_dsn,
        "SHOPFERRY_KAFKA": "127.0.0.1:1",
    }
    command = [sys.executable, "-m", "shopferry.demo.writer", "--ledger", str(path), "--stop-file", str(stop_file)]
    process = subprocess.Popen(command, env=environment)
    until(lambda: process.poll() is not None or (path.exists() and len(ledger.read(path)) >= 10))
    if end == "signal":
        process.terminate()
    else:
        stop_file.touch()
    assert process.wait() == 0
    with db.connect(settings.source_dsn, "test") as legacy:
        records = [r for r in ledger.read(path) if r["kind"] == "order"]
        ids = [key for r in records for table, key, _ in r["facts"] if table == "orders"]
        found = legacy.execute(
            "SELECT count(*) FROM orders WHERE number LIKE 'W/%%' AND id = ANY(%s)", (ids,)
        ).fetchone()
        assert found == (len(ids),)


def test_a_writer_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    nowhere = {
        **os.environ,
        "SHOPFERRY_LEGACY_DSN": "",
        "SHOPFERRY_SHOP_DSN": "",
        "SHOPFERRY_KAFKA": "",
        "SHOPFERRY_DATA": str(tmp_path),
    }
    with (
        pytest.raises(StackError, match=r"exit code 1: see .*writer\.log"),
        writer.run_beside(tmp_path / "ledger.jsonl", 10, environment=nowhere),
    ):
        pass
    assert "ConfigError" in (tmp_path / "writer.log").read_text()


def test_a_line_cut_short_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(json.dumps({"write": "1"}) + '\n{"write": "2", "fac')
    assert ledger.read(path) == [{"write": "1"}]


def test_the_gap_is_that_of_the_switch() -> None:
    def record(store: str, at: float, ms: float = 1.0) -> dict[str, Any]:
        return {"store": store, "version": 1 + (store == "shop"), "acknowledged": at, "ms": ms}

    steady = [record("legacy", 0.02 * n) for n in range(100)]
    assert ledger.find_longest_gap_ms(steady) == 0
    assert ledger.find_longest_gap_ms([*steady, record("shop", 2.48, 300), record("shop", 2.5)]) == 500
    assert ledger.find_longest_gap_ms([*steady, record("shop", 2.0, 900)]) == 900
