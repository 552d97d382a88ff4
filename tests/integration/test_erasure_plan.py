"""What an erasure does with a table: statements that are made of the data map, and what the ledger notes of each row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pair import connect
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.privacy import erasure_plan
from shopferry.route import personal

COMMON = "identity -- for contract; basis contract; keep account; erase null; see care\n"
VALUES = (
    None,
    {},
    7,
    ["gift"],
    {"legacy": 7},
    {"legacy": {"id": 7, "note": "for Ewa"}, "gift": "for Ewa"},
    {"legacy": {"id": 0, "history": [{"to": "sent"}], "old": {"number": "A7", "title": "Dr"}}},
)


@pytest.fixture
def store(make_db: Callable[..., str]) -> Connection:
    conn = connect(make_db())
    conn.execute("CREATE TABLE parcel (id integer PRIMARY KEY, name text NOT NULL, code varchar(9), metadata jsonb)")
    conn.execute("CREATE TEMP TABLE their_parcel (id integer)")
    return conn


def draw(store: Connection, folder: Path, lines: str) -> erasure_plan.TableErasure:
    file = folder / "personal.txt"
    file.write_text(COMMON + lines)
    [plan] = erasure_plan.draw(store, personal.read(file, "own/personal.txt"), "shop", "public", ["parcel"])
    return plan


def test_of_a_json_value_the_paths_stay_that_are_named_and_the_ledger_says_the_same(
    store: Connection, tmp_path: Path
) -> None:
    lines = (
        "public.parcel.name -- identity; erase constant ''\n"
        "public.parcel.metadata -- technical; erase all but legacy.id, legacy.old.number, legacy.history\n"
    )
    plan = draw(store, tmp_path, lines)
    for number, value in enumerate(VALUES):
        held = None if value is None else json.dumps(value)
        store.execute("INSERT INTO parcel VALUES (%s, 'Ewa', 'x', %s)", (number, held))
    store.execute("INSERT INTO their_parcel SELECT id FROM parcel")
    noted = [plan.clear(row) for (row,) in store.execute("SELECT to_jsonb(p) FROM parcel p ORDER BY id").fetchall()]
    assert plan.statement
    store.execute(plan.statement)
    stands = [row for (row,) in store.execute("SELECT to_jsonb(p) FROM parcel p ORDER BY id").fetchall()]
    assert [{c: row[c] for c in ("name", "metadata")} for row in stands] == noted
    left = {"legacy": {"old": {}}}
    assert [row["metadata"] for row in stands] == [
        None,
        *[left] * 4,
        {"legacy": {"id": 7, "old": {}}},
        {"legacy": {"id": 0, "history": [{"to": "sent"}], "old": {"number": "A7"}}},
    ]
    assert {(row["name"], row["code"]) for row in stands} == {("", "x")}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            "public.parcel.name -- identity",
            "public.parcel.name must hold a value: say `erase constant VALUE` or delete",
        ),
        (
            "public.parcel.code -- identity; erase all but id",
            "public.parcel.code is character varying: `erase all but` is",
        ),
    ],
)
def test_what_the_map_asks_in_vain_is_refused_with_its_line(
    store: Connection, tmp_path: Path, line: str, what: str
) -> None:
    with pytest.raises(MappingError, match=rf"^own/personal\.txt:2: {what}"):
        draw(store, tmp_path, line)
