"""Sessions of ours mean the same whatever a database, a role or a server is set to."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal
from shopferry import db

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
