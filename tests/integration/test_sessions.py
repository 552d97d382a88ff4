"""Sessions of ours mean the same whatever a database, a role or a server is set to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import psycopg
import pytest
from pair import Pair, read_dsn
from psycopg.sql import SQL, Identifier, Literal
from shopferry import db
from shopferry.cdc import flow
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import open_stores
from shopferry.errors import TransientError
from shopferry.route.route import Route
from shopferry.settings import Settings
from waiting import until

ODD = {
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "TimeZone": "Asia/Tokyo",
    "extra_float_digits": "0",
    "client_encoding": "LATIN2",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
    "synchronous_commit": "off",
    "statement_timeout": "1h",
    "lock_timeout": "1h",
    "idle_in_transaction_session_timeout": "1h",
    "idle_session_timeout": "1h",
    "transaction_timeout": "1h",
    "search_path": "pg_catalog",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "default_transaction_read_only": "on",
}


def test_settings_of_a_database_do_not_reach_them(make_db: Callable[..., str]) -> None:
    odd, plain = make_db("odd"), make_db("plain")
    with psycopg.connect(odd, autocommit=True) as conn:
        for name, value in ODD.items():
            conn.execute(
                SQL("ALTER DATABASE {} SET {} = {}").format(
                    Identifier(conn.info.dbname), Identifier(name), Literal(value)
                )
            )
    with db.connect(odd, "test") as one, db.connect(plain, "test") as other:
        query = "SELECT name, setting FROM pg_settings WHERE lower(name) = ANY(%s) ORDER BY name"
        names = [name.lower() for name in ODD]
        found = one.execute(query, (names,)).fetchall()
        assert len(found) == len(ODD)
        assert found == other.execute(query, (names,)).fetchall()
        assert dict(found)["synchronous_commit"] == "on"


def test_extensions_are_found_wherever_they_are_and_types_are_called_the_same(make_db: Callable[..., str]) -> None:
    dsn = make_db("elsewhere")
    with psycopg.connect(dsn, autocommit=True) as conn:
        name = Identifier(conn.info.dbname)
        conn.execute('CREATE SCHEMA "My Extensions"; CREATE EXTENSION citext SCHEMA "My Extensions"')
        conn.execute('CREATE TABLE public.folded (code "My Extensions".citext)')
        conn.execute(SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET search_path = pg_catalog").format(name))
    with db.connect(dsn, "test") as conn:
        assert conn.execute("SHOW search_path").fetchone() == ('public, "My Extensions"',)
        assert conn.execute("SELECT 'A'::citext = 'a'::citext").fetchone() == (True,)
        assert mirror.load_types(conn, ["folded"]) == {("folded", "code"): "citext"}


def test_rows_that_a_policy_hides_are_an_error_and_not_missing(make_db: Callable[..., str]) -> None:
    dsn = make_db("policies")
    with db.connect(dsn, "test") as conn:
        conn.execute("CREATE TABLE orders AS SELECT 1 AS id")
        conn.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
        conn.execute("CREATE ROLE shortsighted LOGIN PASSWORD 'secret'")
        conn.execute("GRANT SELECT ON orders TO shortsighted")
        try:
            with (
                db.connect(re.sub(r"//[^@]+@", "//shortsighted:secret@", dsn), "test") as seeing,
                pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"),
            ):
                seeing.execute("SELECT * FROM orders")
        finally:
            conn.execute("DROP TABLE orders")
            conn.execute("DROP ROLE shortsighted")


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_the_sessions_of_a_flow_are_called_as_its_command_is(
    make_db: Callable[..., str], monkeypatch: pytest.MonkeyPatch, direction: str
) -> None:
    sessions: list[str] = []

    def look(target: Connection) -> dict[str, MirrorTable]:
        rows = target.execute(
            """SELECT application_name || ' in ' || datname FROM pg_stat_activity
               WHERE application_name LIKE 'shopferry sync%%' AND datname = ANY(%s) ORDER BY 1""",
            (list(names.values()),),
        )
        sessions.extend(row[0] for row in rows)
        return {}

    dsns = {store: make_db(store) for store in ("legacy", "shop")}
    names = {store: psycopg.conninfo.conninfo_to_dict(dsn)["dbname"] for store, dsn in dsns.items()}
    settings = Settings(dsns["legacy"], dsns["shop"], "127.0.0.1:1")
    monkeypatch.setattr(mirror, "load", look)
    forward = direction == "forward"
    with pytest.raises(TransientError, match="the mirror is not there yet"):
        flow.Flow(settings if forward else settings.reversed, threading.Event(), "test")._flow(
            Route.load("demo" if forward else "demo_reverse")
        )
    target, source = ("shop", "legacy") if forward else ("legacy", "shop")
    assert sessions == [
        f"shopferry sync {direction} in {names[target]}",
        f"shopferry sync {direction} re-read in {names[source]}",
    ]


def test_a_session_that_ends_leaves_the_plans_of_others_alone(pair: Pair) -> None:
    settings = Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka="")
    with db.connect(settings.target_dsn, "other") as other:
        other.execute("SET join_collapse_limit = 10; SET geqo = off")
        joined = " ".join(f"JOIN ferry.identity i{n} ON i{n}.shop_key = i.shop_key" for n in range(9))
        other.execute(f"PREPARE many AS SELECT 1 FROM ferry.identity i {joined}".encode())

        def plan() -> float:
            [(planned,)] = other.execute("EXPLAIN (SUMMARY, FORMAT JSON) EXECUTE many").fetchall()
            return float(planned[0]["Planning Time"])

        with open_stores(settings, "test") as s:
            s.merger.stage(s.route.units)
            fresh = max(plan(), plan())  # the first session of its number makes a schema for its temp tables
            assert plan() < fresh / 4, "it is not planned once and for all"
        until(lambda: not pair.ask("SELECT FROM pg_stat_activity WHERE application_name = 'shopferry test'"))
        assert plan() < fresh / 4


def test_a_session_that_the_server_has_ended_ends_without_an_error(pair: Pair) -> None:
    with open_stores(Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka=""), "test") as s:
        s.merger.stage(s.route.units)
        pair.ask("SELECT pg_terminate_backend(%s)", s.target.info.backend_pid)
