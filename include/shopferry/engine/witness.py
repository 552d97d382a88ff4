"""The witness: what stood in named columns of a captured table, state by state, so that an overwritten one stays provable.

A mapping names the columns in its header (`-- witness: legacy.consents (customer_id, granted)`), and reads the states in
`ferry.witness_consents`: the table's key, these columns, and

- `_lsn`: the log position of the change; of a copied row that from before it was read;
- `_known`: by when it stood there: the change's commit, or when the copy read it;
- `_gone`: whether the row was deleted then; the other columns are NULL.

A state that says the same as the one before it is not booked, so an event that comes again changes nothing. What the flow in
the other direction has written is not booked: it tells what the other store says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine import verdicts
from shopferry.engine.mirror import Column, MirrorTable
from shopferry.engine.refusals import is_refusal
from shopferry.errors import MappingError
from shopferry.route.entities import Standardize, name_witness
from shopferry.route.identifiers import shorten_name
from shopferry.route.route import Route


def create(target: Connection, route: Route, tables: dict[str, MirrorTable]) -> None:
    """Make the tables of the route's witnesses; one that stands gets the columns that it lacks."""
    for name, columns in route.witnessed.items():
        table = tables[name]
        own = {c.name: c for c in table.columns}
        for column in columns:
            if column not in own:
                raise MappingError(f"witness of legacy.{name}: the table has no column {column}")
        shape = SQL(", ").join(SQL("{} {}").format(Identifier(c), SQL(own[c].type)) for c in _names(table, columns))
        listed = SQL(", ").join(map(Identifier, table.key))
        target.execute(
            SQL(
                "CREATE TABLE IF NOT EXISTS {} ({}, _lsn pg_lsn NOT NULL, _known timestamptz NOT NULL, "
                "_gone boolean NOT NULL, PRIMARY KEY ({}, _lsn))"
            ).format(_base(name), shape, listed)
        )
        for column in columns:
            target.execute(
                SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}").format(
                    _base(name), Identifier(column), SQL(own[column].type)
                )
            )
        # By the first column of each line a mapping finds the states of rows that are gone, or are others' now.
        for column in sorted({names[0] for unit in route.units for of, names in unit.witness if of == name}):
            target.execute(
                SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
                    Identifier(shorten_name(f"{name_witness(name)}_{column}")), _base(name), Identifier(column)
                )
            )


def book_events(target: Connection, table: MirrorTable, columns: Sequence[str], states: Sequence[bytes]) -> list[bytes]:
    """Book states of one table's rows: JSON objects of its columns beside _lsn, _known and _gone, as events carry them.

    Returns those that are new, as JSON objects of the key and _lsn. A state that no type of the table can hold is left out:
    the event itself is quarantined by the mirror.
    """
    try:
        with target.transaction():
            found = target.execute(
                _compose_booking(table, tuple(columns)), ((b"[" + b",".join(states) + b"]").decode(),)
            ).fetchall()
            return [new.encode() for (new,) in found]
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        if len(states) == 1:
            return []
        half = len(states) // 2
        return [new for part in (states[:half], states[half:]) for new in book_events(target, table, columns, part)]


def note_passed(target: Connection, table: MirrorTable, columns: Sequence[str], booked: Sequence[bytes]) -> list[bytes]:
    """Note the keys of booked states as changed where the mirror tells nothing of them.

    They are states between two others of a batch, those from before a copy that come after it, and what an echo had brought
    into the mirror and the store's own application says now. To be called when the batch is in the mirror. Of the rows in the
    table's `changed` temp table the key alone is filled; returns the states as JSON.
    """
    if not booked:
        return []
    own = {c.name: c for c in table.columns}
    found = target.execute(
        SQL(
            "WITH passed AS MATERIALIZED (SELECT b.* FROM json_to_recordset(%s::json) AS b ({shape}, _lsn pg_lsn) "
            "WHERE NOT EXISTS (SELECT FROM {base} m WHERE {same} AND m._lsn = b._lsn) "
            "OR EXISTS (SELECT FROM {witness} m WHERE {same} AND m._lsn > b._lsn) "
            "OR NOT EXISTS (SELECT FROM {changed} m WHERE {same} AND (m._touched && {columns}::text[]) IS NOT FALSE)), "
            "noted AS (INSERT INTO {changed} ({key}, _touched) SELECT DISTINCT {key}, {columns}::text[] FROM passed) "
            "SELECT to_json(passed)::text FROM passed"
        ).format(
            changed=Identifier("pg_temp", table.changed),
            key=SQL(", ").join(map(Identifier, table.key)),
            columns=Literal(list(columns)),
            shape=SQL(", ").join(SQL("{} {}").format(Identifier(k), SQL(own[k].type)) for k in table.key),
            base=table.base,
            witness=_base(table.name),
            same=SQL(" AND ").join(SQL("m.{0} = b.{0}").format(Identifier(k)) for k in table.key),
        ),
        ((b"[" + b",".join(booked) + b"]").decode(),),
    ).fetchall()
    return [state.encode() for (state,) in found]


def follow(
    target: Connection, route: Route, table: MirrorTable, booked: Sequence[bytes], hold: Callable[[], None]
) -> None:
    """Note the booked states that the mirror tells nothing of, and judge their values; `hold` comes first, as in a merge."""
    if passed := note_passed(target, table, route.witnessed[table.name], booked):
        hold()  # this lock comes before that of the verdicts
        judge(
            target,
            table,
            {w for u in route.units for w in u.standardize if w.of_witness and w.table == table.name},
            passed,
        )


def judge(target: Connection, table: MirrorTable, wanted: Iterable[Standardize], passed: Sequence[bytes]) -> None:
    """Judge the raw values of states that have passed: no changed row of the mirror shows those."""
    found = target.execute(
        _compose_unjudged(table, tuple(sorted(set(wanted), key=repr))), ((b"[" + b",".join(passed) + b"]").decode(),)
    ).fetchall()
    verdicts.judge(target, found)


@cache
def _compose_unjudged(table: MirrorTable, wanted: tuple[Standardize, ...]) -> bytes:
    """Compose the query for the raw values of these states that have no verdict yet."""
    own = {c.name: c for c in table.columns}
    shape = SQL(", ").join(SQL("{} {}").format(Identifier(k), SQL(own[k].type)) for k in table.key)
    states = SQL(
        "WITH state AS (SELECT w.* FROM {} w JOIN json_to_recordset(%s::json) AS k ({}, _lsn pg_lsn) USING ({}, _lsn)) "
    ).format(_base(table.name), shape, SQL(", ").join(map(Identifier, table.key)))
    missing = verdicts.select_missing(wanted, lambda _: SQL("state")).as_string(None).replace("%", "%%")
    return (states.as_string(None) + missing).encode()


def book_copied(target: Connection, table: MirrorTable, columns: Sequence[str], lsn: str, known: str) -> list[bytes]:
    """Book the rows that stand in the temp table `incoming` as a copy has read them after that position and time.

    Returns those that are new, as JSON objects of the key and _lsn.
    """
    names = SQL(", ").join(map(Identifier, _names(table, columns)))
    select = SQL(
        "SELECT {}, %s::pg_lsn AS _lsn, %s::timestamptz AS _known, false AS _gone FROM pg_temp.incoming WHERE _gone IS NULL"
    )
    found = target.execute(_compose_new(table, columns, select.format(names)), (lsn, known)).fetchall()
    return [new.encode() for (new,) in found]


def _base(table: str) -> Identifier:
    return Identifier("ferry", name_witness(table))


def _names(table: MirrorTable, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*table.key, *columns)))


@cache
def _compose_booking(table: MirrorTable, columns: tuple[str, ...]) -> bytes:
    own: list[Column] = [c for c in table.columns if c.name in _names(table, columns)]
    shape = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), SQL("text" if c.boxed else c.type)) for c in own)
    values = SQL(", ").join(SQL("{} AS {}").format(c.unbox(Identifier(c.name)), Identifier(c.name)) for c in own)
    select = SQL(
        "SELECT DISTINCT ON ({key}, _lsn) {values}, _lsn, to_timestamp(_known / 1000.0) AS _known, _gone "
        "FROM json_to_recordset(%s::json) AS r ({shape}, _lsn pg_lsn, _known bigint, _gone boolean) "
        "ORDER BY {key}, _lsn, _gone"
    ).format(key=SQL(", ").join(map(Identifier, table.key)), values=values, shape=shape)
    return _compose_new(table, columns, select).as_string(None).encode()


def _compose_new(table: MirrorTable, columns: Sequence[str], states: Composed) -> Composed:
    """Compose the INSERT of those states that differ from the one before them, in the same batch or in the witness."""
    names = (*_names(table, columns), "_gone")
    key = SQL(", ").join(map(Identifier, table.key))
    said = SQL(", ").join(SQL("s.{}").format(Identifier(n)) for n in names)
    return SQL(
        "INSERT INTO {base} AS w ({listed}, _lsn, _known) SELECT {said}, s._lsn, s._known FROM ("
        "SELECT *, row_number() OVER by_key AS _n, lag(ROW({own})) OVER by_key AS _before FROM ({states}) x "
        "WINDOW by_key AS (PARTITION BY {key} ORDER BY _lsn)) s "
        "LEFT JOIN LATERAL (SELECT ROW({own}) AS said FROM {base} b WHERE {same} AND b._lsn < s._lsn "
        "ORDER BY b._lsn DESC LIMIT 1) b ON s._n = 1 "
        "WHERE (coalesce(b.said, s._before) *= ROW({said})) IS NOT TRUE "
        "ON CONFLICT DO NOTHING RETURNING json_build_object({parts}, '_lsn', w._lsn)::text"
    ).format(
        parts=SQL(", ").join(SQL("{}, w.{}").format(Literal(k), Identifier(k)) for k in table.key),
        base=_base(table.name),
        listed=SQL(", ").join(map(Identifier, names)),
        said=said,
        own=SQL(", ").join(map(Identifier, names)),
        states=states,
        key=key,
        same=SQL(" AND ").join(SQL("b.{0} = s.{0}").format(Identifier(k)) for k in table.key),
    )
