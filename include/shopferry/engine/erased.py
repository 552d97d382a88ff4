"""The way into the mirror is barred for rows that were erased, whether they come as an event, a copy or a repair.

A row is barred when its key is noted and one of its values has a mark of what was erased there: so a legacy store that was
restored from an old backup brings nobody back, and a key that is given out again, to somebody else, is let in. What was
deleted is gone then, and what was emptied is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg.sql import SQL, Identifier, Literal

from shopferry.control import erasures, requests
from shopferry.control.erasures import Erased
from shopferry.db import Connection
from shopferry.engine import marks, mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import PhaseError
from shopferry.keys import key_text, match_keys, write_key
from shopferry.route.route import Route

BARRED = -1  # the generation of rows in `incoming` that are gone because they were erased, whatever legacy says
_NUMBER = re.compile(r"[+()/. 0-9-]{7,}")
_DIGITS = 9  # of a number without its country
_TEXTS = ("text", "character varying", "character(")
_SLICE = 10_000  # keys that are asked for at once
# The tables of a schema that have a primary key: columns, types, which are texts, which are of the key.
_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
       format_type(a.atttypid, NULL) IN ('text', 'character varying', 'character'),
       coalesce(array_position(i.indkey::int2[], a.attnum), -1)
FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = ANY(%s) ORDER BY c.relname, a.attnum
"""


@dataclass(frozen=True)
class Place:
    """Where rows of a relation of the ledger stand: a store's own table, or the live rows of a mirror of it."""

    relation: str  # as the ledger names it
    table: Identifier
    key: tuple[str, ...]
    types: tuple[str, ...]  # of the key's columns
    texts: tuple[str, ...]
    mirrored: bool = False


def mark_row(row: Mapping[str, Any], texts: Sequence[str], contacts: Iterable[str]) -> frozenset[str]:
    """Make the marks of a row: one of each e-mail, phone or the like, and one of all its texts together."""
    found = {_mark(name, value) for name, value in _read_texts(row, contacts).items()}
    if held := _hold(row, texts):
        found.add(marks.make(held))
    return frozenset(found)


def find_barred(
    target: Connection, route: str, rows: Sequence[tuple[MirrorTable, str, bytes]]
) -> dict[int, dict[str, Any] | None]:
    """Find the barred ones of rows that come, each as its table, key and JSON object.

    Returns, by position, what takes the row's place: the whole row without what was erased, None where it is gone.
    """
    noted = erasures.find(target, route, [(table.relation, key) for table, key, _ in rows])
    found: dict[int, dict[str, Any] | None] = {}
    for position, (table, key, text) in enumerate(rows if noted else ()):
        if (erased := noted.get((table.relation, key))) and is_same(erased, list_texts(table), row := json.loads(text)):
            found[position] = None if erased.clears is None else row | _write(erased.clears)
    return found


def _write(clears: Mapping[str, Any]) -> dict[str, str | None]:
    """Write what is left in columns as an event has it: JSON as a text."""
    return {name: left if left is None or isinstance(left, str) else json.dumps(left) for name, left in clears.items()}


def lists(target: Connection, route: str, table: MirrorTable) -> bool:
    """Tell whether any row of a table is in the ledger."""
    listed = SQL("SELECT FROM shopferry.erased WHERE (route, relation) = ({}, {}) LIMIT 1").format(
        Literal(route), Literal(table.relation)
    )
    return target.execute(listed).fetchone() is not None


def bar_incoming(target: Connection, route: str, table: MirrorTable) -> None:
    """Bar what stands in the temp table `incoming`: it goes, or is emptied, before anything reads it."""
    key = key_text(table.key, "i")
    rows = target.execute(
        SQL(
            "SELECT {key}, to_jsonb(i)::text FROM pg_temp.incoming i JOIN shopferry.erased e "
            "ON (e.route, e.relation, e.key) = ({route}, {relation}, {key})"
        ).format(key=key, route=Literal(route), relation=Literal(table.relation))
    ).fetchall()
    barred = find_barred(target, route, [(table, name, text.encode()) for name, text in rows])
    for position, left in barred.items():
        if left is None:
            values = {n: None for n in table.names if n not in table.key} | {"_gone": True, "_generation": BARRED}
        else:
            old = json.loads(rows[position][1])
            values = {n: left[n] for n in table.names if left[n] != old[n]}
        assign = SQL(", ").join(SQL("{} = {}").format(Identifier(n), Literal(v)) for n, v in values.items())
        if values:
            target.execute(
                SQL("UPDATE pg_temp.incoming i SET {} WHERE {} = {}").format(assign, key, Literal(rows[position][0]))
            )


def require_joined(source: Connection, target: Connection, route: Route) -> None:
    """Raise PhaseError when one store's ledger lacks rows of the other's: it was restored, and would let them in again."""
    legacy, shop = (target, source) if route.reverse else (source, target)
    at_work = requests.list_running(shop, route.base_name)
    for store, conn, other in (("legacy", legacy, shop), ("the new shop", shop, legacy)):
        if lacking := erasures.count_lacking(conn, other, route.base_name, at_work):
            raise PhaseError(
                f"{lacking} rows that were erased are not in the ledger of {store}, which was restored from a backup: run "
                "`shopferry request reapply`, then begin again"
            )


def list_places(conn: Connection, store: str, schema: str, relations: Collection[str]) -> Iterator[Place]:
    """List where a store has rows of these relations: its own tables, which lie in `schema`, and its mirror of the other's."""
    own = sorted(r.removeprefix(f"{store}.") for r in relations if r.startswith(f"{store}."))
    rows = conn.execute(_COLUMNS, (schema, own)).fetchall()
    for table in dict.fromkeys(r[0] for r in rows):
        mine = [r for r in rows if r[0] == table]
        key = sorted((r for r in mine if r[4] >= 0), key=lambda r: r[4])
        yield Place(
            f"{store}.{table}",
            Identifier(schema, table),
            tuple(r[1] for r in key),
            tuple(r[2] for r in key),
            tuple(r[1] for r in mine if r[3] and r[4] < 0),
        )
    for copy in mirror.load(conn).values():
        if copy.relation in relations:
            kinds = {c.name: c.type for c in copy.columns}
            types = tuple(kinds[name] for name in copy.key)
            yield Place(copy.relation, copy.view, copy.key, types, tuple(list_texts(copy)), mirrored=True)


def find_holding(conn: Connection, place: Place, noted: Mapping[str, Erased]) -> list[str]:
    """Find the keys of rows that hold again what was erased; `noted` are the ledger's rows of this relation, by key.

    A row that an erasure would leave as it is holds nothing: what the data map keeps is there for good.
    """
    by_clears: dict[str | None, list[str]] = {}
    for key, row in noted.items():
        by_clears.setdefault(None if row.clears is None else json.dumps(dict(row.clears)), []).append(key)
    found = []
    for clears, keys in by_clears.items():
        for n in range(0, len(keys), _SLICE):
            rows = conn.execute(
                SQL("SELECT {}, to_jsonb(t) FROM {} t WHERE {} AND {}").format(
                    key_text(place.key, "t"),
                    place.table,
                    match_keys(place.key, place.types, keys[n : n + _SLICE], "t"),
                    SQL("true")
                    if clears is None
                    else SQL("to_jsonb(jsonb_populate_record(t, {})) <> to_jsonb(t)").format(Literal(clears)),
                )
            )
            found += [key for key, row in rows.fetchall() if is_same(noted[key], place.texts, row)]
    return sorted(found)


def name_key(table: MirrorTable, key: bytes) -> str:
    """Name a row, given the JSON object of its key, as the ledger does."""
    held = msgspec.json.decode(key)
    return write_key([held[name] for name in table.key])


def list_texts(table: MirrorTable) -> list[str]:
    """List the columns of a table whose values are texts, in events and in a store alike; its key aside."""
    return [c.name for c in table.columns if c.type.startswith(_TEXTS) and c.name not in table.key]


def is_same(erased: Erased, texts: Sequence[str], row: Mapping[str, Any]) -> bool:
    """Tell whether the row holds what was erased: an e-mail or a number of it, or all of its texts."""
    if any(_mark(name, value) in erased.marks for name, value in _read_texts(row, texts).items()):
        return True
    held = _hold(row, texts)
    return bool(held) and marks.make(held) in erased.marks


def _hold(row: Mapping[str, Any], texts: Sequence[str]) -> str:
    held = _read_texts(row, texts)
    return json.dumps(held, sort_keys=True) if held else ""


def _read_texts(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, str]:
    """Read the texts of a row under these names; what the mirror holds as text may come as a list or an object."""
    return {name: value for name in names if isinstance(value := row.get(name), str) and value}


def _mark(name: str, value: str) -> str:
    """Make the mark of one value: an e-mail without case and blanks, a number by its last digits."""
    text = "".join(value.casefold().split())
    if _NUMBER.fullmatch(text):
        text = re.sub(r"\D", "", text)[-_DIGITS:]
    return marks.make(f"{name}={text}")
