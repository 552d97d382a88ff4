"""What is green in the assessment starts: what init, staging and merge would be refused is found before, by file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from own_shop import write_route
from pair import connect
from shopferry.assess import coverage
from shopferry.engine import mirror
from shopferry.errors import ConfigError, ShopferryError

LEGACY = """
CREATE EXTENSION citext;
CREATE TABLE tickets (id bigint PRIMARY KEY, subject text, code citext, code_uuid uuid);
CREATE TABLE notes (id uuid PRIMARY KEY, ticket bigint);
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.ticket (id bigint PRIMARY KEY, subject text, lower_subject text GENERATED ALWAYS AS (lower(subject)) STORED);
CREATE TABLE shop.note (id uuid PRIMARY KEY, ticket bigint);
CREATE TABLE shop.lamp (id bigint PRIMARY KEY, subject text, problems text[]);
CREATE SEQUENCE shop.note_seq;
CREATE VIEW shop.both_of_us AS SELECT t.id, n.ticket FROM shop.ticket t JOIN shop.note n ON n.ticket = t.id;
"""
HEADER = "-- entity: shop.{}\n-- key: id\n-- scope: id\n-- source: legacy.tickets(id)\n"
GOOD = (
    HEADER.format("ticket")
    + "SELECT t.id, t.subject, '{}'::text[] AS problems FROM affected a JOIN legacy.tickets t ON t.id = a.key"
)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"ticket.sql": GOOD}, None),
        (
            {"lamp.sql": GOOD.replace("shop.ticket", "shop.lamp")},
            r"own/all/lamp\.sql:1: shop\.lamp has a column problems, .*: give that column another name",
        ),
        (
            {"ticket.sql": GOOD.replace("t.subject,", "t.subject, lower(t.subject) AS lower_subject,")},
            r'own/all/ticket\.sql:5: shop\.ticket: .*column "lower_subject".*generated column',
        ),
        (
            {"both.sql": GOOD.replace("shop.ticket", "shop.both_of_us").replace("t.subject", "1 AS ticket")},
            r"own/all/both\.sql:5: shop\.both_of_us: ",
        ),
        (
            {"ticket.sql": GOOD.replace("t.subject,", "t.code::text AS subject,")},
            "mirror of legacy table tickets: type .citext. does not exist: create its extension or type in the new shop too",
        ),
        (
            {"ticket.sql": "-- index: legacy.tickets(now())\n" + GOOD},
            r"functions in index expression must be marked IMMUTABLE",
        ),
        (
            {
                "ticket.sql": GOOD,
                "note.identity.sql": "-- identity: note\n-- sequence: shop.note_seq\n-- source: legacy.notes(id)\n"
                "SELECT n.id AS legacy_key, n.id::text AS cluster FROM affected a JOIN legacy.notes n ON n.id = a.key",
            },
            r"own/all/note\.identity\.sql:4: identity note joins rows whose keys are whole numbers, and its legacy_key is uuid",
        ),
    ],
    ids=["good", "a word of ours", "generated column", "view", "extension", "index", "identity over uuid"],
)
def test_what_would_be_refused_is_found(
    make_db: Callable[..., str], tmp_path: Path, files: dict[str, str], said: str | None
) -> None:
    route = write_route(tmp_path, {f"all/{name}": text for name, text in files.items()})
    with connect(make_db("legacy")) as legacy, connect(make_db("shop")) as shop:
        legacy.execute(LEGACY.encode())
        shop.execute(SHOP.encode())
        full = mirror.reflect(legacy, route.tables)
        if said is None:
            assert set(coverage.cut_to_captured(shop, route, full)) == {"tickets"}
        else:
            with pytest.raises(ShopferryError, match=said):
                coverage.cut_to_captured(shop, route, full)
        left = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('ferry', 'mirror', 'legacy')"
        assert shop.execute(left.encode()).fetchall() == [(0,)]


def test_a_table_that_the_mirror_cannot_hold_is_named(make_db: Callable[..., str], tmp_path: Path) -> None:
    columns = [f"c{n}" for n in range(1_599)]
    wide = f"CREATE TABLE wide (id bigint PRIMARY KEY, {', '.join(f'{c} boolean' for c in columns)})"
    row = ", ".join(f"w.{c}" for c in columns)
    text = HEADER.format("ticket").replace("tickets", "wide") + (
        f"SELECT w.id, coalesce({row})::text AS subject, '{{}}'::text[] AS problems "
        "FROM affected a JOIN legacy.wide w ON w.id = a.key"
    )
    route = write_route(tmp_path, {"all/ticket.sql": text})
    with connect(make_db("legacy")) as legacy, connect(make_db("shop")) as shop:
        legacy.execute(wide.encode())
        shop.execute(SHOP.encode())
        with pytest.raises(
            ConfigError, match="mirror of legacy table wide: tables can have at most 1600 columns: read fewer"
        ):
            coverage.cut_to_captured(shop, route, mirror.reflect(legacy, route.tables))
