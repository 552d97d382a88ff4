"""Layer 2: shop = mapping(mirror), by the very SELECT that merges. Mirror and shop commit together, so one snapshot
of the shop's database compares them exactly while everything goes on."""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry import mirror
from shopferry.db import Connection
from shopferry.mapping import Mapping
from shopferry.statements import RESERVED, good_rows, keys_between, row_key, target_of
from shopferry.verify.checksums import Difference

RANGE = 20_000  # aggregate keys compared at once


def compare(shop: Connection, mapping: Mapping) -> tuple[int, list[Difference]]:
    """Compare one entity; returns (rows compared, differences). Opens its own repeatable-read transaction."""
    with shop.transaction():
        shop.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        everything = SQL("(SELECT DISTINCT key FROM ({}) u WHERE key IS NOT NULL UNION SELECT {} FROM {})").format(
            keys_between(mapping, None, None), Identifier(mapping.scope), target_of(mapping)
        )
        compared, found = 0, []
        for low, high in mirror.ranges(shop, everything, ["key"], RANGE):
            rows, differences = _compare_range(shop, mapping, low, high)
            compared += rows
            found += differences
    return compared, found


def _target(mapping: Mapping) -> Identifier:
    return Identifier(*mapping.entity.split("."))


def _compare_range(
    shop: Connection, mapping: Mapping, low: list[object] | None, high: list[object] | None
) -> tuple[int, list[Difference]]:
    shop.execute(
        SQL("CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL").format(
            keys_between(mapping, low, high)
        )
    )
    # What the database refused is in quarantine by its SQLSTATE although the mapping yields it, if it yields anything.
    shop.execute(
        "DELETE FROM pg_temp.affected a USING ferry.quarantine q "
        "WHERE q.entity = %s AND q.key = a.key::text AND q.sqlstate IS NOT NULL",
        (mapping.entity,),
    )
    shop.execute("ANALYZE pg_temp.affected")
    shop.execute(SQL("CREATE TEMP TABLE yielded ON COMMIT DROP AS {}").format(SQL(mapping.body)))
    shop.execute("ANALYZE pg_temp.yielded")
    names = [c.name for c in shop.execute("SELECT * FROM pg_temp.yielded LIMIT 0").description or ()]
    types = dict(
        shop.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s)",
            (mapping.entity,),
        ).fetchall()
    )
    columns = [n for n in names if n not in RESERVED]
    wanted = SQL("ROW({})::text").format(
        SQL(", ").join(SQL("y.{}::{}").format(Identifier(c), SQL(types[c])) for c in columns)
    )
    standing = SQL("ROW({})::text").format(SQL(", ").join(SQL("t.{}").format(Identifier(c)) for c in columns))
    same = SQL(" AND ").join(SQL("t.{0} = y.{0}").format(Identifier(k)) for k in mapping.key)
    within = mirror.key_range([mapping.scope], low, high)
    rows = shop.execute(
        SQL(
            "SELECT coalesce(nullif({key_y}, ''), {key_t}), CASE WHEN t.* IS NULL THEN 'missing' WHEN y.* IS NULL THEN 'extra' "
            "ELSE 'differs' END FROM (SELECT * FROM pg_temp.yielded y WHERE {good}) y "
            "FULL JOIN (SELECT * FROM {target} WHERE {within}) t ON {same} WHERE {wanted} IS DISTINCT FROM {standing}"
        ).format(
            key_y=_key_text(mapping, "y"), key_t=_key_text(mapping, "t"), good=good_rows(names),
            target=target_of(mapping), within=within, same=same, wanted=wanted, standing=standing,
        )
    ).fetchall()  # fmt: skip
    # A problem that is not in quarantine, or a quarantined row that has no problem any more.
    rows += shop.execute(
        SQL(
            "SELECT 'quarantine ' || coalesce(y.row_key, q.row_key), "
            "CASE WHEN q.row_key IS NULL THEN 'missing' WHEN y.row_key IS NULL THEN 'extra' ELSE 'differs' END "
            "FROM (SELECT {row_key}::text AS row_key, y.problems FROM pg_temp.yielded y "
            "      WHERE cardinality(y.problems) > 0 AND {row_key} IS NOT NULL) y "
            "FULL JOIN (SELECT q.row_key, q.reasons FROM ferry.quarantine q JOIN pg_temp.affected a ON a.key::text = q.key "
            "           WHERE q.entity = {entity} AND q.sqlstate IS NULL) q USING (row_key) "
            "WHERE y.problems IS DISTINCT FROM q.reasons"
        ).format(row_key=row_key(mapping), entity=Literal(mapping.entity))
    ).fetchall()
    count = shop.execute(
        SQL("SELECT count(*) FROM {} t WHERE {}").format(target_of(mapping), within)
    ).fetchone()
    shop.execute("DROP TABLE pg_temp.affected, pg_temp.yielded")
    return (int(count[0]) if count else 0), [Difference(mapping.entity, key, kind) for key, kind in rows]


def _key_text(mapping: Mapping, alias: str) -> Composed:
    return SQL("concat_ws('/', {})").format(
        SQL(", ").join(SQL("{}.{}::text").format(SQL(alias), Identifier(k)) for k in mapping.key)
    )
