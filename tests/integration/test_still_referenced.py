"""A row that should leave the target while another still references it waits in quarantine, and goes once it is free."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from own_shop import own_pair
from pair import Pair
from shopferry import installation
from shopferry.engine.release import release
from shopferry.stores import fence
from shopferry.verify.repair import repair

MakeDb = Callable[..., str]
# The stores' own tables, which no mapping writes: `remark` of the new shop and `old_remark` of legacy.
LEGACY = """
CREATE TABLE client (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE line (id integer PRIMARY KEY, client_id integer NOT NULL REFERENCES client DEFERRABLE INITIALLY DEFERRED, name text);
CREATE TABLE old_remark (line_id integer REFERENCES line {timing});
INSERT INTO client SELECT i, 'c' || i FROM generate_series(1, 9) i;
INSERT INTO line SELECT i, (i + 1) / 2, 'l' || i FROM generate_series(1, 18) i;
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.client (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop.line (id integer PRIMARY KEY, client_id integer NOT NULL REFERENCES shop.client DEFERRABLE INITIALLY DEFERRED,
    name text CHECK (name <> 'never'));
CREATE TABLE shop.remark (line_id integer REFERENCES shop.line {timing});
"""
MAPPINGS = {
    "all/client.sql": """-- entity: shop.client
-- key: id
-- scope: id
-- counts: legacy.client(id) as id
-- source: legacy.client(id)
SELECT c.id, c.name, '{}'::text[] AS problems FROM affected a JOIN legacy.client c ON c.id = a.key
""",
    "all/line.sql": """-- entity: shop.line
-- key: id
-- scope: id
-- counts: legacy.line(id) as id
-- source: legacy.line(id)
-- after: all/client
SELECT l.id, l.client_id, l.name, CASE WHEN l.name IS NULL THEN ARRAY['name_missing'] ELSE '{}' END AS problems
FROM affected a JOIN legacy.line l ON l.id = a.key
""",
    "reverse/all/client.sql": """-- entity: public.client
-- key: id
-- scope: id
-- source: shop.client(id)
SELECT c.id, c.name, '{}'::text[] AS problems FROM affected a JOIN shop.client c ON c.id = a.key
""",
    "reverse/all/line.sql": """-- entity: public.line
-- key: id
-- scope: id
-- source: shop.line(id)
-- after: all/client
SELECT l.id, l.client_id, l.name, '{}'::text[] AS problems FROM affected a JOIN shop.line l ON l.id = a.key
""",
}
TIMINGS = ("DEFERRABLE INITIALLY DEFERRED", "", "ON DELETE RESTRICT")


@pytest.fixture(params=TIMINGS)
def pair(
    make_db: MakeDb, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    """A moved shop whose own table may reference lines, by a foreign key that is checked at commit or at once."""
    timing = str(request.param)
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    with own_pair(make_db, tmp_path, LEGACY.format(timing=timing), SHOP.format(timing=timing), MAPPINGS) as pair:
        pair.pass_phases()
        yield pair


def waiting(pair: Pair) -> list[tuple[object, ...]]:
    return pair.ask("SELECT entity, key, reasons FROM ferry.quarantine ORDER BY entity, key")


def standing(pair: Pair, schema: str = "shop") -> set[str]:
    query = "SELECT 'c' || id FROM {0}.client UNION ALL SELECT 'l' || id FROM {0}.line"
    return {r[0] for r in pair.ask(query.format(schema))}


def require_clean(pair: Pair) -> None:
    outcome = pair.verify("all")
    assert outcome.clean, outcome.differences
    assert all(a.unaccounted == 0 for a in outcome.accounts), outcome.accounts


def hold(pair: Pair, line: int = 4, table: str = "shop.remark") -> None:
    pair.shop.execute(f"INSERT INTO {table} VALUES ({line})".encode())


def free(pair: Pair, table: str = "shop.remark") -> None:
    pair.shop.execute(f"DELETE FROM {table}".encode())


LINE = ("shop.line", "4", ["still_referenced"])
CLIENT = ("shop.client", "2", ["still_referenced"])


def test_a_deleted_row_that_is_referenced_stays_and_goes_with_the_next_batch_once_it_is_free(pair: Pair) -> None:
    hold(pair)
    pair.write("DELETE FROM line WHERE id IN (3, 4)", "UPDATE line SET name = 'new' WHERE id = 5")
    pair.sync()
    assert waiting(pair) == [LINE]
    assert {"l4", "c2"} <= standing(pair)
    assert "l3" not in standing(pair)
    assert pair.one("SELECT name FROM shop.line WHERE id = 5") == "new"
    require_clean(pair)
    pair.write("UPDATE line SET name = 'newer' WHERE id = 5")  # nothing of line 4, which is still held
    pair.sync()
    assert waiting(pair) == [LINE]
    free(pair)
    pair.write("UPDATE line SET name = 'newest' WHERE id = 5")
    pair.sync()
    assert waiting(pair) == []
    assert "l4" not in standing(pair)
    require_clean(pair)


def test_what_a_held_row_references_stays_with_it(pair: Pair) -> None:
    hold(pair)
    pair.write(
        "DELETE FROM line WHERE client_id = 2", "DELETE FROM client WHERE id = 2", "DELETE FROM line WHERE id = 9"
    )
    pair.sync()
    assert waiting(pair) == [CLIENT, LINE]
    assert {"c2", "l4"} <= standing(pair)
    assert not {"l3", "l9"} & standing(pair)
    require_clean(pair)
    free(pair)
    pair.write("UPDATE client SET name = 'x' WHERE id = 1")
    pair.sync()
    assert waiting(pair) == []
    assert not {"c2", "l4"} & standing(pair)
    require_clean(pair)


def test_a_held_row_that_comes_back_is_as_legacy_has_it(pair: Pair) -> None:
    hold(pair)
    pair.write("DELETE FROM line WHERE id = 4")
    pair.sync()
    pair.write("INSERT INTO line VALUES (4, 2, 'again')")
    pair.sync()
    assert waiting(pair) == []
    assert pair.one("SELECT name FROM shop.line WHERE id = 4") == "again"
    require_clean(pair)


def test_a_row_that_may_not_enter_any_more_and_is_referenced_waits_once(pair: Pair) -> None:
    hold(pair)
    pair.write("UPDATE line SET name = NULL WHERE id = 4", "UPDATE line SET name = NULL WHERE id = 6")
    pair.sync()
    assert waiting(pair) == [LINE, ("shop.line", "6", ["name_missing"])]
    require_clean(pair)
    pair.merge("all")  # again, chunk by chunk
    pair.finish("all")
    assert waiting(pair) == [LINE, ("shop.line", "6", ["name_missing"])]
    require_clean(pair)
    free(pair)
    pair.write("UPDATE line SET name = 'x' WHERE id = 5")
    pair.sync()
    assert waiting(pair) == [("shop.line", "4", ["name_missing"]), ("shop.line", "6", ["name_missing"])]
    require_clean(pair)


def test_a_refused_row_that_cannot_be_taken_out_stands_as_it_was(pair: Pair) -> None:
    hold(pair)
    pair.write("UPDATE line SET name = 'never' WHERE id IN (4, 6)")
    pair.sync()
    (held, other) = waiting(pair)
    assert held[:2] == ("shop.line", "4")
    assert "still_referenced" in held[2]
    assert other == ("shop.line", "6", ["refused_by_constraint"])
    assert pair.one("SELECT name FROM shop.line WHERE id = 4") == "l4"
    require_clean(pair)
    pair.write("UPDATE line SET name = 'may be' WHERE id = 4")
    pair.sync()
    assert waiting(pair) == [other]
    require_clean(pair)


def test_release_and_repair_leave_a_held_row_and_let_it_go_once_it_is_free(pair: Pair) -> None:
    hold(pair)
    pair.write("DELETE FROM line WHERE client_id = 2", "DELETE FROM client WHERE id = 2")
    pair.sync()
    assert release(pair.stores) == (2, 2)
    assert waiting(pair) == [CLIENT, LINE]
    with pair.shop.transaction():  # a row that no mapping makes, and that is held: a difference before it is looked at
        pair.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        pair.shop.execute("INSERT INTO shop.line VALUES (99, 1, 'x'); INSERT INTO shop.remark VALUES (99)")
    outcome = pair.verify("all")
    assert [(d.kind, d.key) for d in outcome.differences] == [("extra", "99")]
    assert repair(pair.stores, "all", pair.sync, "test").remaining == []
    assert waiting(pair) == [CLIENT, LINE, ("shop.line", "99", ["still_referenced"])]
    free(pair)
    assert release(pair.stores) == (3, 0)
    assert not {"c2", "l4", "l99"} & standing(pair)
    require_clean(pair)


@contextmanager
def way_back(pair: Pair) -> Iterator[Pair]:
    """The same stores the other way round, moved."""
    route = pair.route.back
    assert route
    installation.install(pair.shop, pair.legacy, route)
    params = [c.info.dsn + " password=" + c.info.password for c in (pair.shop, pair.legacy)]
    back = Pair.open(*params, route)
    try:
        back.pass_phases()
        fence.lift_fence(pair.shop, pair.route.shop_tables)
        yield back
    finally:
        back.close_tap(back.legacy)
        back.close()


def test_on_the_way_back_too(pair: Pair) -> None:
    with way_back(pair) as back:
        hold(back, table="old_remark")
        back.write("DELETE FROM shop.line WHERE client_id = 2", "DELETE FROM shop.client WHERE id = 2")
        back.sync()
        assert waiting(back) == [
            ("public.client", "2", ["still_referenced"]),
            ("public.line", "4", ["still_referenced"]),
        ]
        assert {"c2", "l4"} <= standing(back, "public")
        assert "l3" not in standing(back, "public")
        require_clean(back)
        free(back, "old_remark")
        back.write("UPDATE shop.client SET name = 'x' WHERE id = 1")
        back.sync()
        assert waiting(back) == []
        assert not {"c2", "l4"} & standing(back, "public")


def test_on_the_way_back_a_row_that_may_not_be_written_holds_another(pair: Pair) -> None:
    with way_back(pair) as back:
        pair.shop.execute("ALTER TABLE shop.line DROP CONSTRAINT line_name_check")
        pair.legacy.execute("ALTER TABLE line ADD CHECK (name <> 'never')")
        back.write("UPDATE shop.line SET client_id = 3, name = 'never' WHERE id = 4")
        back.write("DELETE FROM shop.line WHERE client_id = 2", "DELETE FROM shop.client WHERE id = 2")
        back.sync()
        assert waiting(back) == [
            ("public.client", "2", ["still_referenced"]),
            ("public.line", "4", ["refused_by_constraint"]),
        ]
        client = next(u for u in back.route.mappings if u.entity == "public.client")
        free_now = back.consumer.merger.staging.statements(client).free
        assert free_now
        assert back.ask(free_now) == []
        back.write("UPDATE shop.line SET name = 'may be' WHERE id = 4")
        back.sync()
        assert waiting(back) == []


ITEMS = {
    "all/item.sql": """-- entity: shop.item
-- key: id
-- scope: line_id
-- counts: legacy.item(id) as id
-- source: legacy.item(line_id), shop.line(id)
-- after: all/line
SELECT i.id, i.line_id, i.name, array_remove(ARRAY[
    CASE WHEN l.id IS NULL THEN 'line_missing' END, CASE WHEN i.name IS NULL THEN 'name_missing' END], NULL) AS problems
FROM affected a JOIN legacy.item i ON i.line_id = a.key LEFT JOIN shop.line l ON l.id = a.key
"""
}


def test_a_row_goes_with_its_own_rows_though_one_of_these_waits_for_another_reason(
    make_db: MakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    legacy = LEGACY + "CREATE TABLE item (id integer PRIMARY KEY, line_id integer NOT NULL, name text);"
    legacy += "INSERT INTO item VALUES (40, 4, 'good'), (41, 4, NULL)"
    shop = SHOP + "CREATE TABLE shop.item (id integer PRIMARY KEY, name text NOT NULL,"
    shop += "line_id integer NOT NULL REFERENCES shop.line DEFERRABLE INITIALLY DEFERRED)"
    mappings = {name: text for name, text in MAPPINGS.items() if not name.startswith("reverse")} | ITEMS
    with own_pair(make_db, tmp_path, legacy.format(timing=""), shop.format(timing=""), mappings) as pair:
        pair.pass_phases()
        nameless = ("shop.item", "4", ["name_missing"])
        assert waiting(pair) == [nameless]
        hold(pair)
        pair.write("DELETE FROM line WHERE id = 4")
        pair.sync()
        assert waiting(pair) == [nameless, LINE]
        free(pair)
        pair.write("UPDATE line SET name = 'x' WHERE id = 5")
        pair.sync()
        assert waiting(pair) == [
            ("shop.item", "4", ["line_missing"]),
            ("shop.item", "4", ["line_missing", "name_missing"]),
        ]
        assert "l4" not in standing(pair)
        require_clean(pair)
