"""The gates of the cutover on real servers: each met and not met, with its evidence and what would meet it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from live import until
from pair import ROUTE, Pair, prepare, read_dsn
from psycopg.conninfo import make_conninfo
from shopferry import cli
from shopferry.control import differences, gates, rehearsals
from shopferry.control.gates import Gate
from shopferry.control.optouts import Import
from shopferry.control.optouts import begin as begin_import
from shopferry.cutover import acceptance, sequences, servers
from shopferry.cutover import gates as judging
from shopferry.demo.generator import seed
from shopferry.engine.pair import Stores
from shopferry.errors import GateError
from shopferry.privacy import optouts
from shopferry.privacy.optout_files import OptOutFile
from shopferry.route import settings as route_settings
from shopferry.route.settings import Allowance, Terms, Window
from shopferry.settings import SQL_ROOT
from shopferry.stack import postgres
from shopferry.stack.state import choose_port
from test_verify import damage


@pytest.fixture(scope="module")
def moved_template(verified_template: tuple[str, str]) -> tuple[str, str]:
    """A generated shop that has moved and was verified."""
    return verified_template


@pytest.fixture(scope="module")
def tight() -> Iterator[tuple[postgres.Cluster, str, str]]:
    """A server of narrow limits that allows prepared transactions, with a pair of stores on it."""
    home = Path(tempfile.mkdtemp(prefix="shopferry-tight-"))
    home.chmod(0o755)  # the account of PostgreSQL must be able to enter it
    server = postgres.Cluster(home / "pg", choose_port(set()), "secret", durable=False)
    try:
        server.init()
        with (home / "pg" / "postgresql.conf").open("a") as conf:
            conf.write(
                "max_connections = 30\nmax_prepared_transactions = 4\nmax_wal_senders = 2\nmax_replication_slots = 3\n"
                "max_slot_wal_keep_size = 96MB\nmax_wal_size = 64MB\n"
            )
        server.start()
        legacy, shop = server.create_database("legacy"), server.create_database("shop")
        prepare(legacy, shop, lambda conn: seed(conn, customers=20))
        yield server, legacy, shop
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def narrow(tight: tuple[postgres.Cluster, str, str]) -> Iterator[Stores]:
    """The stores on that server, without a slot."""
    _, legacy, shop = tight
    with psycopg.connect(legacy, autocommit=True) as old, psycopg.connect(shop, autocommit=True) as new:
        yield Stores(old, new, ROUTE)
        for (name,) in old.execute("SELECT slot_name FROM pg_replication_slots").fetchall():
            old.execute("SELECT pg_drop_replication_slot(%s)", (name,))


@contextmanager
def as_role(dsn: str, name: str, *grants: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of a role that may do little; the role, which all databases of the server share, goes after it."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'".encode())
        try:
            for grant in grants:
                conn.execute(grant.encode())
            with psycopg.connect(make_conninfo(dsn, user=name, password="x"), autocommit=True) as limited:
                yield limited
        finally:
            conn.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def lacks(gate: Gate, *texts: str) -> None:
    """The gate is not met, its evidence says why, and it says what to do."""
    assert not gate.met
    assert gate.remedy
    for text in texts:
        assert text in gate.evidence


# What the control tables tell.


def test_each_list_of_opt_outs_was_imported_in_the_last_day_or_is_waived_by_name(moved: Pair) -> None:
    def judged(*sources: str, **waived: str) -> Gate:
        return judging._optouts(moved.stores, Terms(optout_sources=sources, optout_waived_by=waived))

    assert judged().met and judged().evidence == "route.toml names no list"
    assert (judged("mailchimp").met, judged("mailchimp").evidence) == (False, "mailchimp: never imported")
    assert "shopferry optout import" in judged("mailchimp").remedy
    file = OptOutFile("0" * 64, 0, ())
    optouts.take(moved.stores, file, "mailchimp", "mailchimp", "test")
    assert (judged("mailchimp").met, judged("mailchimp").evidence) == (True, "mailchimp: 0.0 h old")
    moved.shop.execute("UPDATE ferry.optout_import SET imported_at = now() - interval '25 hours'")
    assert (judged("mailchimp").met, judged("mailchimp").evidence) == (False, "mailchimp: 25.0 h old")
    waived = judged("mailchimp", mailchimp="Anna")
    assert (waived.met, waived.evidence) == (True, "mailchimp: 25.0 h old, waived by Anna")
    broken_off = Import(moved.route.name, "mailchimp", "mailchimp", "0" * 64, "test")
    begin_import(moved.shop, broken_off)
    assert not judged("mailchimp").met
    optouts.take(moved.stores, file, "klaviyo", "klaviyo", "test")
    both = judged("mailchimp", "klaviyo")
    assert (both.met, both.evidence) == (False, "mailchimp: 25.0 h old")


def test_a_shop_that_moved_meets_what_its_tables_tell(moved: Pair) -> None:
    s, terms = moved.stores, Terms()
    for gate in (
        judging._phases(s),
        judging._verified(s, terms),
        judging._differences(s),
        judging._reach(s),
        judging._trend(s),
        judging._window(terms, datetime.now(UTC)),
        sequences.gate(sequences.numberings(s.target, s.route)),
    ):
        assert gate.met and gate.evidence, gate


def test_phases_must_be_verified_and_of_these_mappings(moved: Pair) -> None:
    assert judging._phases(moved.stores).evidence == "4 of 4 verified"
    moved.shop.execute("UPDATE ferry.phase SET state = 'in_sync' WHERE phase = 'orders'")
    lacks(judging._phases(moved.stores), "orders is in_sync")
    moved.shop.execute("UPDATE ferry.phase SET state = 'verified'; UPDATE ferry.route SET installed = 'others'")
    lacks(judging._phases(moved.stores), "the mappings have changed since they were installed")


def test_a_verification_may_be_as_old_as_the_route_says(moved: Pair) -> None:
    moved.shop.execute("UPDATE ferry.verification SET at = at - interval '7 hours' WHERE phase = 'orders'")
    assert "oldest 7.0 h of 24" in judging._verified(moved.stores, Terms()).evidence
    lacks(judging._verified(moved.stores, Terms(verified_hours=6)), "no verification in 6 h of orders")
    moved.shop.execute("DELETE FROM ferry.verification")
    lacks(judging._verified(moved.stores, Terms()), "of contacts, orders, loyalty")


def test_each_area_accepts_what_was_moved_since_its_last_verification(
    moved: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    with (tmp_path / "demo" / "route.toml").open("a") as file:
        file.write('\n[cutover.acceptance]\ncontacts = "customer care"\npoints = "marketing"\n')
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", read_dsn(moved.shop))
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", read_dsn(moved.legacy))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")

    def judged() -> Gate:
        return acceptance.judge(moved.stores, route_settings.load("demo").cutover)

    assert acceptance.judge(moved.stores, Terms()).evidence == "route.toml names no area"
    lacks(judged(), "contacts: not by customer care; points: not by The marketing team (marketing)")
    assert cli.main(["accept", "orders", "--note", "all", "--who", "Jan"]) == 1
    assert "area 'orders' is none of the route's; they are contacts, points" in capsys.readouterr().err
    for area in ("contacts", "points"):
        assert cli.main(["accept", area, "--note", "twenty of last week", "--who", "Anna"]) == 0
    assert judged().met and "contacts: by Anna at" in judged().evidence
    moved.verify("contacts")
    lacks(judged(), "contacts: not by customer care since the last verification, by Anna before")
    moved.shop.execute("DELETE FROM ferry.verification")
    assert cli.main(["accept", "points", "--note", "all", "--who", "Anna"]) == 1
    assert "no phase is verified yet" in capsys.readouterr().err


def test_differences_count_until_somebody_has_explained_them(moved: Pair) -> None:
    damage(moved, "UPDATE shop.customer SET given_name = 'X' WHERE id = (SELECT min(id) FROM shop.customer)")
    assert not moved.verify("contacts").clean
    lacks(judging._differences(moved.stores), "1 open, 0 explained")
    with moved.shop.transaction():
        assert differences.explain(moved.shop, "demo", "shop.customer", None, "asked for by the lawyers", "anna") == 1
    gate = judging._differences(moved.stores)
    assert gate.met and gate.evidence == "0 open, 1 explained by anna (1)"


def test_quarantine_is_judged_by_reason(moved: Pair) -> None:
    moved.shop.execute("DELETE FROM ferry.quarantine")
    gate = judging._quarantine(moved.stores, Terms())
    assert gate.met and gate.evidence == "empty"

    def hold(entity: str, reasons: str, count: int) -> None:
        moved.shop.execute(
            f"""INSERT INTO ferry.quarantine (entity, row_key, key, reasons)
                SELECT '{entity}', '{reasons}' || n, n, '{{{reasons}}}' FROM generate_series(1, {count}) n""".encode()
        )

    most = judging.QUARANTINE_ROWS  # 2 % of so small a shop are fewer
    hold("shop.customer", "email_odd", most)
    hold("shop.customer_address", "town_odd,street_odd", 2)
    gate = judging._quarantine(moved.stores, Terms())
    assert gate.met, gate
    assert gate.evidence == f"3 reasons, nearest to its limit email_odd {most} of at most {most} (in contacts)"
    hold("shop.consent", "email_odd", 1)
    lacks(judging._quarantine(moved.stores, Terms()), f"email_odd {most + 1} of at most {most} (in contacts)")

    allowed = {"email_odd": Allowance("email_odd", most + 1, "Anna of customer care")}
    gate = judging._quarantine(moved.stores, Terms(quarantine=allowed))
    assert (
        gate.met and f"email_odd {most + 1} of at most {most + 1} (allowed by Anna of customer care)" in gate.evidence
    )
    allowed = {"town_odd": Allowance("town_odd", 1, "Anna"), "email_odd": Allowance("email_odd", 10_000, "Anna")}
    gate = judging._quarantine(moved.stores, Terms(quarantine=allowed))
    lacks(gate, "town_odd 2 of at most 1 (allowed by Anna)")
    assert "email_odd" not in gate.evidence and "street_odd" not in gate.evidence
    moved.shop.execute(
        """UPDATE ferry.verification SET accounting = '[{"table": "customers", "legacy_rows": 2000}]' WHERE phase = 'contacts'"""
    )
    gate = judging._quarantine(moved.stores, Terms())
    assert gate.met and f"email_odd {most + 1} of at most 40 (in contacts)" in gate.evidence
    moved.shop.execute("DELETE FROM ferry.verification")
    lacks(judging._quarantine(moved.stores, Terms()), "street_odd 2 of at most 0")


def test_a_rehearsal_of_these_mappings_is_green_or_somebody_did_without(pair: Pair) -> None:
    def rehearse(fingerprint: str, green: bool) -> None:
        rehearsals.record(
            pair.shop,
            "demo",
            who="me",
            fingerprint=fingerprint,
            customers=5,
            real_data_by=None,
            seconds=1,
            phases=[],
            problem=None if green else "a phase broke off",
            green=green,
        )

    lacks(judging._rehearsal(pair.stores), "there was none")
    rehearse("of other mappings", True)
    lacks(judging._rehearsal(pair.stores), "there was none since a mapping changed")
    pair.shop.execute("UPDATE ferry.phase SET without_rehearsal = 'anna' WHERE phase = 'contacts'")
    gate = judging._rehearsal(pair.stores)
    assert gate.met and gate.evidence == "there was none since a mapping changed; anna decided to go without one"
    rehearse(ROUTE.fingerprint, False)
    lacks(judging._rehearsal(pair.stores), "a phase broke off")
    rehearse(ROUTE.fingerprint, True)
    gate = judging._rehearsal(pair.stores)
    assert gate.met and gate.evidence.endswith("green")


def test_the_window(pair: Pair) -> None:
    now = datetime(2026, 1, 10, 1, 15, tzinfo=UTC)
    gate = judging._window(Terms(), now)
    assert gate.met and "no window is set" in gate.evidence
    night = Terms(window=Window(time(2), time(4), "Europe/Warsaw"))
    gate = judging._window(night, now)
    assert gate.met and gate.evidence == "from 02:00 to 04:00 Europe/Warsaw; now 2026-01-10 02:15"
    lacks(judging._window(night, now + timedelta(hours=2)), "now 2026-01-10 04:15")


def test_the_lag_of_changes_must_be_small_or_falling(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_TREND_WAIT_S", 0.0)

    def lag(*batches: tuple[int, int]) -> Gate:
        pair.shop.execute("DELETE FROM ferry.replay_batch")
        for ago, ms in batches:
            pair.shop.execute(
                """INSERT INTO ferry.replay_batch (route, at, events, lag_ms, apply_ms)
                   VALUES ('demo', clock_timestamp() - make_interval(secs => %s), 1, ARRAY[%s::integer], 1)""",
                (ago, ms),
            )
        return judging._trend(pair.stores)

    assert lag().met and "of the last 15 s: nothing" in lag().evidence
    assert lag((2, 900), (40, 100)).met, "below a second it goes up and down with every batch"
    assert lag((2, 4_000), (30, 6_000), (50, 7_000)).met
    lacks(lag((2, 4_000), (40, 3_000)), "of the last 15 s: 4,000 ms, of the 45 s before: 3,000 ms")
    lacks(lag((2, 4_000)), "of the 45 s before: nothing")
    lacks(lag((2, 11_000), (40, 60_000)), "11,000 ms")
    assert lag((40, 60_000)).met, "what is over is over"
    monkeypatch.setattr(judging, "_TREND_WAIT_S", 15.0)
    assert lag((13, 4_000)).met, "two seconds later there is nothing any more"


def test_what_was_judged_stands_in_its_order_and_unmet_ones_refuse(pair: Pair) -> None:
    judged = [Gate("z", True, "fine", ""), Gate("a", False, "2 are missing", "bring them"), Gate("m", True, "fine", "")]
    for _ in range(2):
        with pair.shop.transaction():
            gates.record(pair.shop, "demo", judged)
        assert gates.load(pair.shop, "demo") == judged
    with pytest.raises(GateError, match="cutover refused, 1 of 3 gates not met: a: 2 are missing → bring them"):
        judging.refuse_unmet("cutover", judged)
    judging.refuse_unmet("cutover", judged[:1])
    shown = [line.split()[:3] for line in judging.lines(judged)]
    assert shown == [["met", "z", "fine"], ["NOT", "MET", "a"], ["met", "m", "fine"]]
    assert judging.lines(judged)[1].endswith("2 are missing → bring them")


# The servers.


def test_old_idle_and_prepared_transactions_are_in_the_locks_way(
    narrow: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "IDLE_S", 1.0)
    gate = servers.old_transactions(narrow, Terms())
    assert gate.met and gate.evidence == "none older than 60 s"
    with psycopg.connect(read_dsn(narrow.source)) as other:
        pid = other.info.backend_pid
        other.execute("SELECT count(*) FROM customers")
        assert servers.old_transactions(narrow, Terms()).met, "it is young"
        narrow.source.execute("SELECT pg_sleep(1.1)")
        lacks(servers.old_transactions(narrow, Terms()), f"session {pid} is idle in a transaction for 1 s")
        lacks(
            servers.old_transactions(narrow, Terms(old_transaction_seconds=1)),
            f"session {pid} has a transaction open for 1 s",
        )
        assert servers.old_transactions(replace(narrow, source=narrow.target), Terms()).met, (
            "other databases have their own"
        )
        other.rollback()
        assert servers.old_transactions(narrow, Terms(old_transaction_seconds=1)).met
        other.execute("UPDATE customers SET phone = '601 000 001' WHERE id = (SELECT min(id) FROM customers)")
        other.execute("PREPARE TRANSACTION 'somebody forgot'")
    assert servers.old_transactions(narrow, Terms()).met
    narrow.source.execute("SELECT pg_sleep(1.1)")
    gate = servers.old_transactions(narrow, Terms())
    lacks(gate, "is prepared for 1 s")
    assert "ROLLBACK PREPARED" in gate.remedy
    narrow.source.execute("ROLLBACK PREPARED 'somebody forgot'")
    assert servers.old_transactions(narrow, Terms()).met


def test_what_we_may_not_see_is_not_taken_for_nothing(narrow: Stores) -> None:
    with as_role(read_dsn(narrow.source), "short_sighted") as conn:
        gate = servers.old_transactions(replace(narrow, source=conn), Terms())
        lacks(gate, "sessions of other roles may not be looked into")
        assert "GRANT pg_read_all_stats" in gate.remedy
        narrow.source.execute("GRANT pg_read_all_stats TO short_sighted")
        assert servers.old_transactions(replace(narrow, source=conn), Terms()).met


def connected(stores: Stores) -> list[object]:
    """How many sessions each server knows of."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return [conn.execute(query).fetchone() for conn in (stores.source, stores.target)]


def test_connections_are_there_for_the_switch_and_for_those_who_move(narrow: Stores) -> None:
    alone = [(2,), (2,)]  # one server has both stores
    until(lambda: connected(narrow) == alone)  # a server takes a moment to know that a client has left
    gate = servers.connections(narrow)
    assert gate.met and "of 27 free, 6 wanted and 0 for sessions that will move there" in gate.evidence
    with ExitStack() as opened:
        for _ in range(11):
            opened.enter_context(psycopg.connect(read_dsn(narrow.source)))
        # 14 are free, which is less than 6 and the 11 that have to move.
        lacks(servers.connections(narrow), "legacy: 14 of 27 free", "new shop: 14 of 27 free, 6 wanted and 11 for")
        opened.close()
        until(lambda: connected(narrow) == alone)
        assert servers.connections(narrow).met
        for _ in range(11):
            opened.enter_context(psycopg.connect(read_dsn(narrow.source)))
            opened.enter_context(psycopg.connect(read_dsn(narrow.target)))
        lacks(servers.connections(narrow), "legacy: 3 of 27 free, 6 wanted", "6 wanted and 0 for")
    until(lambda: connected(narrow) == alone)
    narrow.target.execute("ALTER DATABASE shop CONNECTION LIMIT 4")
    try:
        lacks(servers.connections(narrow), "new shop: 3 of 27 free")
    finally:
        narrow.target.execute("ALTER DATABASE shop CONNECTION LIMIT -1")


def test_replication_wants_its_slot_a_free_one_and_a_sender(narrow: Stores) -> None:
    lacks(servers.replication(narrow), "legacy: slot shopferry_demo is gone")
    slot = ROUTE.publication
    narrow.source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    gate = servers.replication(narrow)
    assert gate.met and gate.evidence == "legacy: 2 slots and 2 senders free; the new shop: 2 slots and 2 senders free"
    for name in ("one", "two"):
        narrow.source.execute("SELECT pg_create_physical_replication_slot(%s)", (name,))
    lacks(servers.replication(narrow), "new shop: no slot is free")
    narrow.source.execute("SELECT pg_drop_replication_slot('two')")
    narrow.target.execute("SELECT pg_create_logical_replication_slot('shopferry_back', 'pgoutput')")
    assert servers.replication(narrow).met, "the way back has its slot"
    with ExitStack() as opened:
        for _ in range(2):
            sender = psycopg.pq.PGconn.connect(f"{read_dsn(narrow.source)} replication=database".encode())
            assert sender.status == psycopg.pq.ConnStatus.OK
            opened.callback(sender.finish)
        lacks(servers.replication(narrow), "legacy: no sender is free; the new shop: no sender is free")


def test_a_slot_that_is_about_to_be_lost_is_told(narrow: Stores) -> None:
    slot = ROUTE.publication
    narrow.source.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (slot,))
    assert servers.replication(narrow).met
    write = (
        "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1000000), flush => true) FROM generate_series(1, 10)"
    )
    for _ in range(20):
        if not (gate := servers.replication(narrow)).met:
            break
        narrow.source.execute(write.encode())
    lacks(gate, "more of log, of 96, and slot shopferry_demo is lost")
    while "is lost" in gate.evidence and "more of log" in gate.evidence:
        narrow.source.execute(write.encode())
        narrow.source.execute("CHECKPOINT")
        gate = servers.replication(narrow)
    lacks(gate, "slot shopferry_demo is ")
    assert gate.evidence.split("slot shopferry_demo is ")[1].split(";")[0] in {"unreserved", "lost"}


def test_disk_is_looked_at_where_it_is_here_and_else_reckoned(narrow: Stores) -> None:
    gate = servers.disk(narrow, Terms(free_disk_gib=0.1))
    assert gate.met and gate.evidence.endswith("GiB free; 0.1 GiB wanted")
    lacks(servers.disk(narrow, Terms(free_disk_gib=1e8)), "legacy: ", "new shop: ", "1e+08 GiB wanted")
    with as_role(read_dsn(narrow.target), "far_away") as conn:
        far = replace(narrow, target=conn)
        gate = servers.disk(far, Terms(free_disk_gib=0.1))
        lacks(gate, "new shop: cannot be known from here")
        assert "[cutover.disk_gib]" in gate.remedy
        gate = servers.disk(far, Terms(free_disk_gib=0.1, disk_gib={"shop": 50}))
        assert gate.met and "by its stated 50, less 0." in gate.evidence
        lacks(servers.disk(far, Terms(free_disk_gib=2, disk_gib={"shop": 2})), "new shop: 1.")
    assert 20_000_000 < servers.taken(narrow.target) < 1_000_000_000


def test_another_servers_directory_of_that_name_is_not_taken_for_it(
    narrow: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert servers.free_disk(narrow.target)
    elsewhere = "SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory'), 42"
    monkeypatch.setitem(servers._Q, "place", elsewhere)
    assert servers.free_disk(narrow.target) is None
    monkeypatch.setitem(servers._Q, "place", "SELECT '/nowhere', 42")
    assert servers.free_disk(narrow.target) is None
