"""How the application learns where to write: NOTIFY, a router, PgBouncer, a hook; each told as often as you like."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bouncer
import hooks
import psycopg
import pytest
from bouncer import DATABASE, Clients
from pair import ROUTE, Pair, connect
from psycopg.rows import dict_row
from shopferry.control.routes import Standing
from shopferry.cutover import routing, section
from shopferry.cutover.pgbouncer import PgBouncer
from shopferry.demo import router
from shopferry.demo.router import Router
from shopferry.errors import AnnounceError, ConfigError, TransientError
from shopferry.settings import Settings
from shopferry.stack import server, state
from test_backfill import dsns
from waiting import until


def settings_of(pair: Pair, **more: str) -> Settings:
    legacy, shop = dsns(pair)
    return Settings(legacy, shop, "", **more)


def flip(pair: Pair, store: str, version: int) -> Standing:
    with pair.shop.transaction():
        section.flip(pair.shop, ROUTE.name, store, version)
    return routing.require_standing(pair.shop, ROUTE.name)


def test_the_ways_come_from_the_environment_and_reach_every_process_of_the_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {
        "SHOPFERRY_PGBOUNCER": "postgresql://me:p%40ss@front:6432/pgbouncer",
        "SHOPFERRY_PGBOUNCER_DATABASES": "/etc/front/d.ini",
        "SHOPFERRY_HOOK": "https://shop.example/moved?token=100%25",
    }
    home = Path(tempfile.mkdtemp(prefix="shopferry-routing-"))
    home.chmod(0o755)  # the account of PostgreSQL must be able to enter it
    try:
        for name, value in {**given, "SHOPFERRY_DATA": str(home)}.items():
            monkeypatch.setenv(name, value)
        now = state.prepare(None, running=False)
        found = {p.name: p for p in server.list_programs(now)}
        for name in ("sync", "airflow-scheduler"):
            assert given.items() <= found[name].environment.items()
            assert "p%%40ss" in found[name].section()  # as the supervisor wants it
        settings = Settings.load()
    finally:
        shutil.rmtree(home)
    assert [settings.pgbouncer, settings.pgbouncer_databases, settings.hook] == list(given.values())


# -- NOTIFY, and the router -------------------------------------------------------------------------------------------


def test_whoever_listens_is_told_with_the_commit_and_not_without(pair: Pair) -> None:
    with connect(dsns(pair)[1]) as ear:
        ear.execute(b"LISTEN shopferry_demo")
        with pair.shop.transaction(force_rollback=True):
            section.flip(pair.shop, ROUTE.name, "shop", 2)
        now = flip(pair, "shop", 3)
        told = [json.loads(note.payload) for note in ear.notifies(timeout=10, stop_after=1)]
    assert told == [{"route": "demo", "store": "shop", "version": 3, "at": now.changed_at.isoformat()}]


def test_the_router_hears_of_the_switch_without_reading(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "POLL_S", 3600.0)
    here = Router(dsns(pair)[1], "demo")
    assert (here.ask_store(), here.version) == ("legacy", 1)
    flip(pair, "shop", 2)
    until(lambda: here.ask_store() == "shop")  # it never reads, so it must have heard
    assert here.version == 2
    # Refused by a store that has just closed, it waits, and goes on as soon as it is told.
    later = threading.Timer(0.2, flip, (pair, "legacy", 3))
    later.start()
    here.wait(600.0)
    later.join()
    assert (here.ask_store(), here.version) == ("legacy", 3)
    here.close()


def test_the_router_reads_what_it_cannot_have_heard(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "POLL_S", 0.0)
    here = Router(dsns(pair)[1], "demo")
    assert here.ask_store() == "legacy"
    pair.shop.execute(b"UPDATE ferry.route SET active = 'shop', version = 2")  # without a word
    assert here.ask_store() == "shop"
    pair.shop.execute(b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'demo router'")
    flip(pair, "legacy", 3)
    until(lambda: here.ask_store() == "legacy")  # it notices, and connects anew
    here.close()


def test_the_router_writes_on_to_legacy_while_the_new_shop_is_away_or_empty(make_db: Any) -> None:
    nowhere = Router("postgresql://nobody@127.0.0.1:1/none", "demo")
    assert (nowhere.ask_store(), nowhere.version) == ("legacy", 0)
    nowhere.wait(0.01)
    assert nowhere.ask_store() == "legacy"
    empty = Router(make_db("empty"), "demo")
    assert (empty.ask_store(), empty.version) == ("legacy", 0)
    empty.close()


# -- the hook ---------------------------------------------------------------------------------------------------------


def test_a_hook_that_fails_a_few_times_is_told_again(pair: Pair) -> None:
    now = flip(pair, "shop", 2)
    with hooks.serving(503, 500, 429) as hook:
        routing.announce(settings_of(pair, hook=hook.url), now)
    assert hook.told == [{"route": "demo", "store": "shop", "version": 2, "at": now.changed_at.isoformat()}] * 4
    assert hook.keys == ["demo-2"] * 4
    assert len(hook.accepted) == 1


def test_a_hook_that_never_answers_is_given_up_loudly_and_told_by_the_next_try(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "PATIENCE_S", 1.0)
    monkeypatch.setattr(routing, "ANSWER_S", 0.2)
    now = flip(pair, "shop", 2)
    with hooks.silent() as url, pytest.raises(TransientError) as caught:
        routing.announce(settings_of(pair, hook=url), now)
    assert "the switch is done, writes go to shop (version 2), but not everybody could be told" in str(caught.value)
    assert "the hook at 127.0.0.1 does not answer: ReadTimeout" in str(caught.value)
    with hooks.serving() as hook:
        routing.announce_again(settings_of(pair, hook=hook.url), pair.shop, "demo")
    assert [told["version"] for told in hook.accepted] == [2]


def test_a_hook_that_refuses_is_not_asked_twice_and_its_url_stays_secret(pair: Pair) -> None:
    now = flip(pair, "shop", 2)
    with hooks.serving(404) as hook, pytest.raises(AnnounceError, match="refuses: it answers 404") as caught:
        routing.announce(settings_of(pair, hook=hook.url), now)
    assert len(hook.told) == 1
    assert "top-secret" not in str(caught.value)


def test_a_hook_that_is_no_url_is_found_before_anything_is_changed(pair: Pair) -> None:
    with pytest.raises(ConfigError, match="SHOPFERRY_HOOK"):
        routing.settle(settings_of(pair, hook="shop.example/moved"), "legacy")


# -- PgBouncer --------------------------------------------------------------------------------------------------------


def ask_where(conn: psycopg.Connection[Any], client: int) -> str:
    row = conn.execute(b"SELECT to_regnamespace('ferry') IS NOT NULL").fetchone()
    return "shop" if row and row[0] else "legacy"


def test_clients_of_pgbouncer_see_a_pause_and_then_the_other_store(pair: Pair) -> None:
    with bouncer.running(*dsns(pair)) as front:
        settings = front.before(settings_of(pair))
        routing.settle(settings, "legacy")
        with Clients(front.dsn(), ask_where) as clients:
            assert routing.hold(settings, 30.0)
            assert front.paused
            held = len(clients.wrote)
            newcomer = threading.Thread(target=lambda: psycopg.connect(front.dsn()).close())
            newcomer.start()  # who comes now waits as well
            routing.announce(settings, flip(pair, "shop", 2))
            newcomer.join()
            clients.more(20)
            assert not front.paused
            assert {store for _, store in clients.wrote[held + clients.count :]} == {"shop"}
            routing.announce(settings, routing.require_standing(pair.shop, "demo"))  # once more is no harm
            clients.more(20, "shop")
        assert clients.errors == []
        assert [clients.stores(n) for n in range(clients.count)] == [["legacy", "shop"]] * clients.count
        assert front.file.readlink() == Path("databases.ini.shop")


def test_a_transaction_that_does_not_end_keeps_the_pause_out_and_everybody_goes_on(pair: Pair) -> None:
    with (
        bouncer.running(*dsns(pair)) as front,
        psycopg.connect(front.dsn(), autocommit=True, prepare_threshold=None) as slow,
        Clients(front.dsn(), ask_where) as clients,
    ):
        settings = front.before(settings_of(pair))
        with slow.transaction():
            slow.execute(b"SELECT 1")
            with pytest.raises(TransientError, match="did not end within 1 s"), routing.let_go_on_failure(settings):
                routing.hold(settings, 1.0)
            assert not front.paused
            clients.more(20, "legacy")
        assert clients.errors == []


def test_session_pooling_is_told_to_be_the_reason(pair: Pair) -> None:
    with (
        bouncer.running(*dsns(pair), mode="session") as front,
        Clients(front.dsn(), ask_where) as clients,
    ):
        settings = front.before(settings_of(pair))
        with (
            pytest.raises(TransientError, match="with pool_mode=session it never does"),
            routing.let_go_on_failure(settings),
        ):
            routing.hold(settings, 1.0)
        clients.more(20, "legacy")


def test_what_a_killed_try_left_waiting_goes_on_with_the_next(pair: Pair) -> None:
    with bouncer.running(*dsns(pair)) as front:
        settings = front.before(settings_of(pair))
        front.tool().hold(10.0)
        assert front.paused
        routing.settle(settings, "legacy")
        assert not front.paused
        routing.let_go(settings)  # nobody waits: nothing to do


def test_a_pgbouncer_that_does_not_read_the_file_is_found_before_anything_is_changed(pair: Pair) -> None:
    with bouncer.running(*dsns(pair)) as front:
        ini = front.home / "pgbouncer.ini"
        here = (front.home / "databases.ini.shop").read_text()
        ini.write_text(ini.read_text().replace(f"%include {front.file}", here))
        settings = front.before(settings_of(pair))
        with pytest.raises(ConfigError, match=f"leads {DATABASE} elsewhere than .* says"):
            routing.settle(settings, "legacy")


def test_a_pgbouncer_that_would_make_the_pause_long_is_found_before_anything_is_changed(pair: Pair) -> None:
    with bouncer.running(*dsns(pair)) as front:
        with psycopg.connect(front.dsn("pgbouncer"), autocommit=True) as console:
            console.execute(b"SET server_login_retry = 15")
        with pytest.raises(ConfigError, match="server_login_retry is 15 s"):
            routing.settle(front.before(settings_of(pair)), "legacy")


def _shows(pair: Pair, setting: str) -> str:
    """What a new connection has for this setting."""
    with connect(dsns(pair)[0]) as conn:
        [(value,)] = conn.execute(f"SHOW {setting}".encode()).fetchall()
    return str(value)


@contextmanager
def slow_logins(pair: Pair) -> Iterator[None]:
    """Each new connection to the cluster takes a second."""
    try:
        pair.legacy.execute(b"ALTER SYSTEM SET post_auth_delay = 1")
        pair.legacy.execute(b"SELECT pg_reload_conf()")
        until(lambda: _shows(pair, "post_auth_delay") == "1s")
        yield
    finally:
        pair.legacy.execute(b"ALTER SYSTEM RESET post_auth_delay")
        pair.legacy.execute(b"SELECT pg_reload_conf()")


def test_a_login_under_way_is_waited_for(pair: Pair) -> None:
    """Were it broken off by PAUSE, nobody would be connected for a quarter of an hour, as it is set here."""
    with bouncer.running(*dsns(pair)) as front, slow_logins(pair):
        at = front.dsn("pgbouncer")
        with psycopg.connect(at, autocommit=True, prepare_threshold=None, row_factory=dict_row) as console:
            console.execute(b"SET server_login_retry = 900")
            client = threading.Thread(target=lambda: psycopg.connect(front.dsn()).close())
            client.start()
            until(lambda: any(pool["sv_login"] for pool in console.execute(b"SHOW POOLS")))
        front.tool().hold(600.0)
        front.tool().let_go()
        with psycopg.connect(front.dsn(), autocommit=True, prepare_threshold=None) as conn:
            assert ask_where(conn, 0) == "legacy"
        client.join()


def test_a_pgbouncer_that_is_away_after_the_switch_is_told_by_the_next_try(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "PATIENCE_S", 0.5)
    with bouncer.running(*dsns(pair)) as front:
        settings = front.before(settings_of(pair))
    front.home.mkdir()  # its files, without it
    for store in ("legacy", "shop"):
        (front.home / f"databases.ini.{store}").write_text(f"{DATABASE} = host=127.0.0.1 dbname={store}\n")
    with hooks.serving() as hook, pytest.raises(TransientError, match="PgBouncer's console"):
        routing.announce(replace(settings, hook=hook.url), flip(pair, "shop", 2))
    assert len(hook.accepted) == 1  # whoever can be told is told


@pytest.mark.parametrize(
    ("legacy", "shop", "told"),
    [
        ("app = host=a\n", "app = host=b\nother = host=b\n", "do not list the same databases"),
        ("[databases]\n; none\n", "[databases]\n", "do not list the same databases"),
        ("app = host=a port=5432 dbname=app\n", '"app" = host=a pool_size=5\n', "one and the same place"),
    ],
)
def test_files_that_cannot_be_right_are_found(tmp_path: Path, legacy: str, shop: str, told: str) -> None:
    (tmp_path / "db.ini.legacy").write_text(legacy)
    (tmp_path / "db.ini.shop").write_text(shop)
    with pytest.raises(ConfigError, match=told):
        PgBouncer("", tmp_path / "db.ini").check()


def test_a_file_in_the_link_s_place_is_nobodys_to_overwrite(tmp_path: Path) -> None:
    for store in ("legacy", "shop"):
        (tmp_path / f"db.ini.{store}").write_text(f"app = host={store}\n")
    (tmp_path / "db.ini").write_text("app = host=legacy\n")
    with pytest.raises(ConfigError, match=r"must be a link to db\.ini\.legacy"):
        PgBouncer("", tmp_path / "db.ini").check()
    with pytest.raises(ConfigError, match=r"cannot read .*none\.ini\.legacy"):
        PgBouncer("", tmp_path / "none.ini").check()
    with pytest.raises(ConfigError, match="SHOPFERRY_PGBOUNCER_DATABASES is not"):
        PgBouncer.of(Settings("", "", "", pgbouncer="host=here"))
