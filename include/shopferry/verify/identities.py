"""Layer 2 for identities: who is the same shop row, as the identity's SELECT says it of the mirror."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Identifier, Literal

from shopferry.control.differences import Difference
from shopferry.db import Connection
from shopferry.engine.statements import load_columns, select_keys_between
from shopferry.route.entities import IdentityMapping


def compare(
    target: Connection, unit: IdentityMapping, keys: Sequence[str] | None = None
) -> tuple[int, list[Difference]]:
    """Compare one identity, or only these legacy keys of it, in one snapshot; returns (rows compared, differences).

    Of members of a cluster that have several shop keys those differ that have another than most; of clusters that share
    one, all but the first. Where the mapping yields the keys, too, those that have another.
    """
    with target.transaction():
        target.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        everything = SQL(
            "SELECT DISTINCT key FROM ({} UNION ALL SELECT legacy_key FROM ferry.identity WHERE entity = {}) k "
            "WHERE key IS NOT NULL"
        ).format(select_keys_between(unit, None, None), Literal(unit.identity))
        target.execute(
            SQL("CREATE TEMP TABLE affected ON COMMIT DROP AS {} {}").format(
                everything, SQL("" if keys is None else "WITH NO DATA")
            )
        )
        wanted: Composable = SQL("true")
        clusters = shop_keys = wanted
        if keys is not None:
            kind = load_columns(target, "pg_temp.affected")["key"]
            listed = SQL("{}::{}[]").format(Literal(sorted(set(keys))), SQL(kind))
            target.execute(SQL("INSERT INTO pg_temp.affected SELECT unnest({})").format(listed))
            wanted = SQL("legacy_key = ANY({})").format(listed)
            clusters, shop_keys = (
                SQL("cluster IN (SELECT cluster FROM stands)"),
                SQL("shop_key IN (SELECT shop_key FROM stands)"),
            )
        target.execute("ANALYZE pg_temp.affected")
        given = {
            "body": SQL(unit.body),
            "entity": Literal(unit.identity),
            "wanted": wanted,
            "affected": Identifier("pg_temp", "affected"),
            "clusters": clusters,
            "shop_keys": shop_keys,
        }
        yielded = target.execute(SQL("SELECT * FROM ({}) q LIMIT 0").format(SQL(unit.body))).description or ()
        unequal = _UNEQUAL + (_GIVEN if any(c.name == "shop_key" for c in yielded) else _DRAWN)
        rows = target.execute(SQL(unequal).format(**given)).fetchall()
        count = target.execute("SELECT count(*) FROM pg_temp.affected").fetchone()
        target.execute("DROP TABLE pg_temp.affected")
    found = [
        Difference("identity", unit.identity, key, kind, column, key, expected, stands)
        for key, kind, column, expected, stands in rows
    ]
    return (int(count[0]) if count else 0), found


# Which groups differ within is found by hashing; only those few are sorted.
_UNEQUAL = """
WITH yielded AS MATERIALIZED (WITH affected AS (TABLE {affected}) SELECT * FROM ({body}) q),
stands AS (
    SELECT legacy_key, shop_key, cluster FROM ferry.identity WHERE entity = {entity} AND {wanted}
), torn AS MATERIALIZED (
    SELECT cluster FROM ferry.identity WHERE entity = {entity} AND {clusters}
    GROUP BY cluster HAVING min(shop_key) <> max(shop_key)
), of_cluster AS (
    SELECT cluster, mode() WITHIN GROUP (ORDER BY shop_key) AS shop_key
    FROM ferry.identity JOIN torn USING (cluster) WHERE entity = {entity} GROUP BY cluster
), shared AS MATERIALIZED (
    SELECT shop_key FROM ferry.identity WHERE entity = {entity} AND {shop_keys}
    GROUP BY shop_key HAVING min(cluster COLLATE "C") <> max(cluster COLLATE "C")
), of_shop_key AS (
    SELECT shop_key, (array_agg(cluster ORDER BY legacy_key))[1] AS cluster
    FROM ferry.identity JOIN shared USING (shop_key) WHERE entity = {entity} GROUP BY shop_key
)
SELECT coalesce(y.legacy_key, s.legacy_key)::text,
       CASE WHEN s.legacy_key IS NULL THEN 'missing' WHEN y.legacy_key IS NULL THEN 'extra' ELSE 'differs' END,
       CASE WHEN s.legacy_key IS NULL OR y.legacy_key IS NULL THEN '' ELSE 'cluster' END, y.cluster, s.cluster
FROM yielded y FULL JOIN stands s ON s.legacy_key = y.legacy_key
WHERE y.cluster IS DISTINCT FROM s.cluster
"""
_DRAWN = """
UNION ALL
SELECT s.legacy_key::text, 'differs', 'shop_key', c.shop_key::text, s.shop_key::text
FROM stands s JOIN of_cluster c ON c.cluster = s.cluster WHERE s.shop_key <> c.shop_key
UNION ALL
SELECT s.legacy_key::text, 'differs', 'shop_key', NULL, s.shop_key::text
FROM stands s JOIN of_shop_key k ON k.shop_key = s.shop_key WHERE s.cluster <> k.cluster
"""
# Where the mapping yields the keys: of accounts whose cluster is right.
_GIVEN = """
UNION ALL
SELECT s.legacy_key::text, 'differs', 'shop_key', y.shop_key::text, s.shop_key::text
FROM yielded y JOIN stands s ON s.legacy_key = y.legacy_key AND s.cluster = y.cluster WHERE s.shop_key <> y.shop_key
"""
