"""The way into the mirror is barred for rows that were erased, whether they come as an event, a copy or a repair.

A row is barred when its key is noted and one of its values has a mark of what was erased there: so a legacy store that was
restored from an old backup brings nobody back, and a key that is given out again, to somebody else, is let in. What was
deleted is gone then, and what was emptied is empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from psycopg.sql import SQL, Identifier, Literal

from shopferry.control import erasures
from shopferry.control.erasures import Erased
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.engine.mirror import MirrorTable
from shopferry.keys import key_text, write_key

BARRED = -1  # the generation of rows in `incoming` that are gone because they were erased, whatever legacy says
_NUMBER = re.compile(r"[+()/. 0-9-]{7,}")
_DIGITS = 9  # of a number without its country
_TEXTS = ("text", "character varying", "character(")


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
            found[position] = None if erased.clears is None else row | dict(erased.clears)
    return found


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
