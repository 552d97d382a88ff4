"""Identity: which legacy rows are one shop row. Many legacy keys may share one shop key, here and nowhere else."""

from __future__ import annotations

from psycopg import sql

from shopferry.control.schema import SQL
from shopferry.db import Connection, queries

_Q = queries(SQL / "identity.sql")


def resolve(conn: Connection, entity: str, sequence: str, changed: str) -> int:
    """Bring ferry.identity to what pg_temp.wanted says of pg_temp.affected, and fill `changed` with what moved.

    `wanted(legacy_key, cluster)` and `affected(key)` are temp tables of this session; the temp table `changed`
    (legacy_key, shop_key, cluster) is created and receives the before and after images. Returns its row count.
    """
    given = {"entity": entity, "sequence": sequence}
    name = sql.Identifier("pg_temp", changed)
    conn.execute(_Q["lock"], given)
    conn.execute(_Q["known"], given)
    conn.execute(
        sql.SQL("CREATE TEMP TABLE {} (legacy_key bigint, shop_key bigint, cluster text) ON COMMIT DROP").format(
            sql.Identifier(changed)
        )
    )
    conn.execute(sql.SQL(_Q["before"]).format(changed=name), given)
    conn.execute(_Q["leave"], given)
    conn.execute(_Q["join"], given)
    conn.execute(sql.SQL(_Q["after"]).format(changed=name), given)
    conn.execute("DROP TABLE pg_temp.known")
    row = conn.execute(sql.SQL("SELECT count(*) FROM {}").format(name)).fetchone()
    return int(row[0]) if row else 0
