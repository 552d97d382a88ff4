"""Replication origins: one for each session that merges, named in words where there is none to be had."""

from __future__ import annotations

import psycopg
import pytest
from pair import Pair, connect
from shopferry.errors import ConfigError, TransientError
from shopferry.stores import origin
from test_backfill import dsns

ROUTE = "origins"  # of this test's own: they are the server's, not the database's


def held(pair: Pair) -> list[str]:
    return origin.find_all(pair.shop, ROUTE)


def test_each_session_has_its_own_and_gives_it_back(pair: Pair) -> None:
    _, dsn = dsns(pair)
    with connect(dsn) as one, connect(dsn) as other:
        for conn in (one, other, one):  # once more changes nothing
            origin.take(conn, ROUTE)
        assert held(pair) == ["shopferry_origins_1", "shopferry_origins_2"]
        origin.drop(pair.shop, ROUTE, patience_s=0)
        assert held(pair) == ["shopferry_origins_1", "shopferry_origins_2"]  # in use
    with connect(dsn) as one:
        origin.take(one, ROUTE)
        assert len(held(pair)) == 2  # one that was let go is taken again
    origin.drop(pair.shop, ROUTE, patience_s=10)
    assert held(pair) == []


def test_what_is_missing_is_named(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    _, dsn = dsns(pair)
    with connect(dsn) as one, connect(dsn) as other:
        monkeypatch.setattr(origin, "_count_allowed", lambda conn: 1)
        origin.take(one, ROUTE)
        with pytest.raises(TransientError, match="raise max_active_replication_origins"):
            origin.take(other, ROUTE)
    pair.shop.execute("DROP ROLE IF EXISTS unmarked")
    pair.shop.execute("CREATE ROLE unmarked")
    try:
        with connect(dsn) as poor:
            poor.execute("SET ROLE unmarked")
            with pytest.raises(ConfigError, match=r"GRANT EXECUTE ON FUNCTION pg_replication_origin_create\(text\)"):
                origin.take(poor, ROUTE)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                poor.execute("SELECT pg_replication_origin_create('x')")
    finally:
        pair.shop.execute("DROP ROLE unmarked")
        origin.drop(pair.shop, ROUTE, patience_s=10)
