"""What is written into the mirror: events that upsert and tombstone, chunks that are loaded, notes of what changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine.changes import compose_note
from shopferry.engine.mirror import MirrorTable


def stage(target: Connection, table: MirrorTable) -> None:
    """Make the temp table `incoming` in the shape of the mirror's base table, for `COPY` or `json_populate_recordset`."""
    target.execute(SQL("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT * FROM {} LIMIT 0").format(table.base))


def apply_events(
    target: Connection, table: MirrorTable, rows: bytes, *, noted: bool, compared: bool
) -> psycopg.Cursor[Any]:
    """Upsert and tombstone one table's events in one statement; its result is how many rows were written.

    `rows` is a JSON array of the rows' columns beside _lsn, _gone and _generation. Of several with a key that PostgreSQL takes
    for the same, the newest counts: a key that changes only in how it is written (citext, 1.0 and 1.00) comes as a row that
    goes and one that comes, at one log position. A row of the mirror that is newer than its event stays as it is.

    `noted` leaves the live rows of these keys that change, as they were before and as they are then, in the table's `changed`
    temp table, which must be there; not `compared`, they count as changed in every column.
    """
    # as bytes the rows would travel as bytea, which is no json
    return target.execute(_compose_events(table, noted, compared), (rows.decode(),), prepare=True)


@cache
def _compose_events(table: MirrorTable, noted: bool, compared: bool) -> bytes:
    names = [*table.names, "_lsn", "_gone", "_generation"]
    # Some types arrive as another text than PostgreSQL's, so the recordset is read through a row type of its own.
    shape = SQL(", ").join(
        SQL("{} {}").format(Identifier(c.name), SQL("text" if c.boxed else c.type)) for c in table.columns
    )
    values = SQL(", ").join(
        SQL("{} AS {}").format(c.unbox(Identifier(c.name)), Identifier(c.name)) for c in table.columns
    )
    given = {
        "base": table.base,
        "values": values,
        "shape": shape,
        "key": SQL(", ").join(map(Identifier, table.key)),
        "columns": SQL(", ").join(map(Identifier, names)),
        "assign": SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(n)) for n in names),
    }
    # A row whose change touches no column that is captured is not noted; nor is one that is newer than its event.
    columns, changed = {c.name: c.type for c in table.columns}, Identifier("pg_temp", table.changed)
    noting = (
        SQL(
            """, b AS MATERIALIZED (
               SELECT m.* FROM {base} m JOIN written w USING ({key}) WHERE NOT m._gone
           ), n AS MATERIALIZED (SELECT * FROM written WHERE NOT _gone), noted AS ({noted})"""
        )
        if noted
        else SQL("")
    )
    given["noted"] = compose_note(changed, columns, table.key, SQL("n"), compared=compared)
    return (
        SQL(
            """WITH incoming AS MATERIALIZED (
               SELECT DISTINCT ON ({key}) * FROM (
                   SELECT {values}, _lsn, _gone, _generation
                   FROM json_to_recordset(%s::json) AS r ({shape}, _lsn pg_lsn, _gone boolean, _generation integer)
               ) r ORDER BY {key}, _lsn DESC, _gone
           ), written AS (
               INSERT INTO {base} AS m ({columns}) SELECT {columns} FROM incoming ORDER BY {key}
               ON CONFLICT ({key}) DO UPDATE SET {assign}
               WHERE m._lsn < excluded._lsn OR (m._lsn = excluded._lsn AND m._gone >= excluded._gone)
               RETURNING m.*
           ){noting}
           SELECT count(*) FROM written"""
        )
        .format(noting=noting.format(**given), **given)
        .as_string(None)
        .encode()
    )


def forget_positions(target: Connection, table: MirrorTable, now: str) -> None:
    """Let no row of the mirror be newer than the source's present log position, before which nothing comes any more.

    A legacy that was restored on another server counts from a beginning of its own: what came from the one before would else
    be newer than every event.
    """
    target.execute(  # by the index of what has moved, which has no row at 0/0
        SQL("UPDATE {} SET _lsn = '0/0' WHERE _lsn > '0/0' AND _lsn > {}::pg_lsn").format(table.base, Literal(now))
    )


def compose_standing_note(table: MirrorTable) -> Composed:
    """Compose the statement that notes, in the `changed` temp table, the live rows of `incoming`'s keys as they stand."""
    return SQL("INSERT INTO {} SELECT {} FROM {} m JOIN pg_temp.incoming i USING ({}) WHERE NOT m._gone").format(
        Identifier("pg_temp", table.changed),
        SQL(", ").join(SQL("m.{}").format(Identifier(n)) for n in table.names),
        table.base,
        SQL(", ").join(map(Identifier, table.key)),
    )


def note_gone(target: Connection, table: MirrorTable, within: Composed) -> None:
    """Add to `incoming`, as gone, the mirror's live rows that the condition selects and `incoming` does not have."""
    key = SQL(", ").join(map(Identifier, table.key))
    same = SQL(" AND ").join(SQL("m.{0} = i.{0}").format(Identifier(k)) for k in table.key)
    target.execute(
        SQL(
            "INSERT INTO pg_temp.incoming ({0}, _gone) SELECT {0}, true FROM {1} m WHERE {2} AND NOT m._gone "
            "AND NOT EXISTS (SELECT FROM pg_temp.incoming i WHERE {3})"
        ).format(key, table.base, within, same)
    )


def _spare_standing(source: Connection, target: Connection, table: MirrorTable) -> None:
    """Take from `incoming` those noted as gone that legacy does have.

    A range of keys is not the same on both sides where the two order them differently: texts under other collations or
    other versions of one, enums and the like, which the mirror holds as text.
    """
    columns = {c.name: c for c in table.columns}
    shape = SQL(", ").join(SQL("{} {}").format(Identifier(k), SQL(columns[k].type)) for k in table.key)
    names = SQL(", ").join(map(Identifier, table.key))
    gone = SQL(  # what is barred has a generation, and is gone although legacy has it
        "SELECT json_agg(_k)::text FROM (SELECT {} FROM pg_temp.incoming WHERE _gone AND _generation IS NULL) _k"
    ).format(names)
    [(keys,)] = target.execute(gone).fetchall()
    if keys is None:
        return
    matches = SQL(" AND ").join(
        SQL("t.{0}::{1} = _k.{0}").format(Identifier(k), SQL(columns[k].type)) for k in table.key
    )
    there = SQL(
        "SELECT json_agg(_k)::text FROM json_to_recordset(%s::json) AS _k ({}) WHERE EXISTS (SELECT FROM {} t WHERE {})"
    ).format(shape, table.captured, matches)
    [(standing,)] = source.execute(there, (keys,)).fetchall()
    same = SQL(" AND ").join(SQL("i.{0} = k.{0}").format(Identifier(k)) for k in table.key)
    if standing is not None:
        target.execute(
            SQL(
                "DELETE FROM pg_temp.incoming i USING json_to_recordset(%s::json) AS k ({}) WHERE i._gone AND {}"
            ).format(shape, same),
            (standing,),
        )


def load_chunk(
    source: Connection, target: Connection, table: MirrorTable, within: Composed, generation: int, *, noted: bool
) -> None:
    """Bring the mirror's key range to what stands in `incoming`, but for rows the stream has touched in this generation.

    Rows of the range that are neither in `incoming` nor elsewhere in legacy are gone. `noted` leaves what changed,
    as it was and as it is, in the `changed` temp table. `incoming` is used up.
    """
    own = _loading(table)
    # The mirror grows faster than its statistics: a range is always read through the key's index.
    target.execute("SET LOCAL enable_seqscan = off")
    note_gone(target, table, within)
    _spare_standing(source, target, table)
    target.execute(own.spare, (generation,))
    if noted:
        target.execute("ANALYZE pg_temp.incoming")
        target.execute(own.note)
    target.execute(own.write, (generation - 1, generation))
    if noted:
        target.execute(own.note)  # and so as they are now
    target.execute("DROP TABLE pg_temp.incoming")
    target.execute("SET LOCAL enable_seqscan = on")


@dataclass(frozen=True)
class _Loading:
    """The statements that load what stands in `incoming`: `spare` and `write` take generations, `note` takes none."""

    spare: bytes
    note: bytes
    write: bytes


@cache
def _loading(table: MirrorTable) -> _Loading:
    key = SQL(", ").join(map(Identifier, table.key))
    columns = SQL(", ").join(map(Identifier, table.names))
    same = SQL(" AND ").join(SQL("m.{0} = i.{0}").format(Identifier(k)) for k in table.key)
    mine = SQL(", ").join(SQL("m.{}").format(Identifier(n)) for n in table.names)
    theirs = SQL(", ").join(SQL("i.{}").format(Identifier(n)) for n in table.names)
    # What the mirror already has, or has newer, is not touched at all.
    spare = SQL(
        "DELETE FROM pg_temp.incoming i USING {} m WHERE {} "
        "AND (m._generation >= %s OR (NOT m._gone AND i._gone IS NULL AND ROW({})::record *= ROW({})::record))"
    ).format(table.base, same, mine, theirs)
    assign = SQL(", ").join(
        SQL("{0} = excluded.{0}").format(Identifier(n)) for n in (*table.names, "_lsn", "_gone", "_generation")
    )
    write = SQL(
        "INSERT INTO {0} AS m ({1}, _lsn, _gone, _generation) "
        "SELECT {1}, '0/0', coalesce(_gone, false), %s::integer FROM pg_temp.incoming ORDER BY {2} "
        "ON CONFLICT ({2}) DO UPDATE SET {3} WHERE m._generation < %s"
    ).format(table.base, columns, key, assign)
    # A name may hold a percent sign, which with parameters would begin one.
    spare_text, write_text = (s.as_string(None).replace("%", "%%").replace("%%s", "%s") for s in (spare, write))
    return _Loading(spare_text.encode(), compose_standing_note(table).as_string(None).encode(), write_text.encode())
