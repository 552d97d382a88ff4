"""Identity: which legacy rows are one shop row. Many legacy keys may share one shop key, here and nowhere else."""

from __future__ import annotations

from psycopg import sql

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "identity.sql")
_STEPS = ("lock", "before", "leave", "join", "collide")
_STEPS_OF_GIVEN = ("lock", "differing", "leave", "take")  # that one key is one cluster's, a verification looks
COLUMNS = sql.SQL("legacy_key, shop_key, cluster, shop_id")
_KEPT = (
    "coalesce((SELECT min(i.shop_id) FROM ferry.identity i WHERE i.entity = {} AND i.shop_key = assigned.shop_key), {})"
)


def compose_resolution(
    entity: str,
    sequence: str | None,
    text: str | None,
    *,
    affected: sql.Identifier,
    wanted: sql.Identifier,
    changed: sql.Identifier,
    keys_given: bool,
) -> list[sql.Composed]:
    """Compose the statements that bring ferry.identity to what `wanted` says of `affected`, to be run in this order.

    `wanted(legacy_key, cluster)` and `affected(key)` are temp tables; `changed`, another one of the identity's columns,
    receives what moved, as it was before and as it is after. Without a sequence a new key is the first legacy key;
    `text` is the expression that makes a text of `shop_key`. With `keys_given`, `wanted` has a `shop_key`, which a row gets.
    """
    given: dict[str, sql.Composable] = {"entity": sql.Literal(entity), "number": sql.SQL("c.first")}
    if sequence:
        given["number"] = sql.SQL("nextval({}::regclass)").format(sql.Literal(sequence))
    given["text"] = sql.SQL("NULL::text")
    if text:
        given["text"] = sql.SQL(_KEPT).format(sql.Literal(entity), sql.SQL(text))
    return [
        sql.SQL(_Q[step].rstrip(";")).format(affected=affected, wanted=wanted, changed=changed, **given)
        for step in (_STEPS_OF_GIVEN if keys_given else _STEPS)
    ]


def has_left(conn: Connection, entity: str, changed: str) -> bool:
    """Whether the temp table `changed` names a legacy row under a shop key that it has no more."""
    row = conn.execute(
        sql.SQL(_Q["left"].rstrip(";")).format(entity=sql.Literal(entity), changed=sql.Identifier("pg_temp", changed))
    ).fetchone()
    return bool(row and row[0])


def find_shop_key(conn: Connection, entity: str, legacy_key: int) -> int | None:
    """Find the shop key of one legacy row; None where it has none."""
    row = conn.execute(_Q["find"], {"entity": entity, "legacy_key": legacy_key}).fetchone()
    return int(row[0]) if row else None
