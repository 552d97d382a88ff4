"""Mapping files: what is wrong with one is named with file and line, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopferry.errors import MappingError
from shopferry.route.entities import EntityMapping, IdentityMapping
from shopferry.route.route import Route

GOOD = """-- entity: shop.thing
-- key:    id
-- scope:  id
-- source: legacy.things(id)
-- counts: legacy.things(id) as id
-- A thing is a thing.
SELECT t.id, '{}'::text[] AS problems
FROM affected a JOIN legacy.things t ON t.id = a.key;
"""
IDENTITY = """-- identity: person
-- sequence: shop.person_id_seq
-- source: legacy.people(id)
SELECT p.id AS legacy_key, p.email AS cluster FROM affected a JOIN legacy.people p ON p.id = a.key;
"""


def load(root: Path, **files: str) -> Route:
    """A route of these files: `one__thing="…"` becomes <route>/one/thing.sql."""
    for name, text in files.items():
        file = root / "sql" / "try" / (name.replace("__", "/").replace("_identity", ".identity") + ".sql")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Route.load("try", root / "sql")


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    route = load(tmp_path, one__thing=GOOD)
    (unit,) = route.units
    assert isinstance(unit, EntityMapping)
    assert (unit.name, unit.phase, unit.entity, unit.key, unit.scope) == (
        "one/thing",
        "one",
        "shop.thing",
        ("id",),
        "id",
    )
    assert unit.line == 7 and unit.body.startswith("SELECT") and not unit.body.endswith(";")
    assert unit.counts and (unit.counts.table, unit.counts.column, unit.counts.expression) == ("things", "id", "id")
    assert route.phases == ("one",) and route.tables == ("things",)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("-- entity: shop.thing\n", "", 1, "header line `-- entity:` is missing"),
        ("-- key:    id\n", "", 1, "header line `-- key:` is missing"),
        ("-- scope:  id\n", "", 1, "header line `-- scope:` is missing"),
        ("-- source: legacy.things(id)\n", "", 1, "header line `-- source:` is missing"),
        ("legacy.things(id)\n-- counts", "things(id)\n-- counts", 4, "source 'things\\(id\\)' is not"),
        ("legacy.things(id)\n-- counts", "shop.things(id)\n-- counts", 7, "reads legacy.things, which is no source"),
        (
            "legacy.things(id)\n-- counts",
            "legacy.things(id), shop.parts(id)\n-- counts",
            4,
            "no other mapping .* fills it",
        ),
        (
            "legacy.things(id)\n-- counts",
            "legacy.things(id), shop.thing(id)\n-- counts",
            4,
            "no other mapping .* fills it",
        ),
        ("legacy.things(id)\n-- counts", "crm things(id)\n-- counts", 4, "source 'crm things\\(id\\)' is not"),
        ("legacy.things(id)\n-- counts", "legacy.things\n-- counts", 4, "neither a column nor a `-- lineage"),
        (
            "legacy.things(id)\n-- counts",
            "identity.person(shop_key), legacy.things(id)\n-- counts",
            4,
            "no file .* defines it",
        ),
        ("legacy.things(id)\n-- counts", "legacy.things(id), ferry.optout\n-- counts", 4, "neither a column nor a"),
        ("legacy.things(id)\n-- counts", "legacy.things(id), ferry.optout(mark)\n-- counts", 4, "is not legacy"),
        (
            "a.key;\n",
            "a.key WHERE NOT EXISTS (SELECT FROM ferry.optout);\n",
            7,
            "reads ferry.optout, which is no source",
        ),
        ("legacy.things(id) as id", "legacy.things as id", 5, "counts wants"),
        ("-- counts:", "-- standardize: email\n-- counts:", 5, "standardize wants"),
        ("-- counts:", "-- standardize: legacy.things (email)\n-- counts:", 5, "standardize wants"),
        ("-- counts:", "-- index: things(email)\n-- counts:", 5, "index wants"),
        ("-- counts:", "-- sequence: shop.s\n-- counts:", 5, "does not belong into this kind of file"),
        ("-- counts:", "-- after: one/nothing\n-- counts:", 1, "after 'one/nothing': there is no such mapping"),
        (
            "JOIN legacy.things",
            "JOIN legacy.others o ON true JOIN legacy.things",
            7,
            "reads legacy.others, which is no source",
        ),
        (GOOD[GOOD.index("SELECT") :], "", 1, "there is no SELECT"),
        (
            "a.key;\n",
            "a.key;\n\n-- lineage: legacy.things\nSELECT c.id FROM changed c;\n",
            11,
            "no source without column",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    assert old in GOOD
    with pytest.raises(MappingError, match=rf"^sql/try/one/thing\.sql:{line}: .*{says}"):
        load(tmp_path, one__thing=GOOD.replace(old, new))


def test_a_lineage_stands_for_a_source_without_a_column(tmp_path: Path) -> None:
    text = GOOD.replace("legacy.things(id)\n-- counts", "legacy.things(id), legacy.parts\n-- counts")
    text += "\n-- lineage: legacy.parts\nSELECT c.thing_id FROM changed c;\n"
    (unit,) = load(tmp_path, one__thing=text).units
    assert [s.column for s in unit.sources] == ["id", None]
    assert unit.sources[1].lineage == "SELECT c.thing_id FROM changed c"
    assert unit.simple_sources == unit.sources[:1] and unit.tables == {"things", "parts"}


def test_a_cycle_is_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"cycle in `after`: .*one/a.*one/b"):
        load(
            tmp_path,
            one__a=GOOD.replace("-- counts", "-- after: one/b\n-- counts"),
            one__b=GOOD.replace("-- counts", "-- after: one/a\n-- counts"),
        )


def test_phases_that_need_one_another_are_named(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"^sql/try/\w+/\w\.sql:1: phases depend on one another"):
        load(
            tmp_path,
            one__a=GOOD,
            one__b=GOOD.replace("-- counts", "-- after: two/a\n-- counts"),
            two__a=GOOD,
            two__b=GOOD.replace("-- counts", "-- after: one/a\n-- counts"),
        )


def test_a_route_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="needs at least one"):
        Route.load("nowhere", tmp_path)


def test_an_unknown_phase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"no phase 'three': its phases are one"):
        load(tmp_path, one__thing=GOOD).of("three")


def test_an_identity_comes_before_those_who_read_it(tmp_path: Path) -> None:
    reader = GOOD.replace("-- counts", "-- source: identity.person\n-- counts")
    reader += "\n-- lineage: identity.person\nSELECT c.legacy_key FROM changed c;\n"
    route = load(tmp_path, a__thing=reader, b__person_identity=IDENTITY)
    assert [u.name for u in route.units] == ["b/person.identity", "a/thing"]
    assert route.phases == ("b", "a")
    assert isinstance(route.units[0], IdentityMapping)
    assert route.tables_of("a") == ("things",) and route.tables_of("b") == ("people",)


def test_an_identity_file_has_no_entity(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"person\.identity\.sql:1: header 'entity' does not belong"):
        load(tmp_path, a__person_identity="-- entity: shop.person\n" + IDENTITY)


def test_the_demo_route_loads_in_its_order() -> None:
    route = Route.load("demo")
    assert route.phases == ("contacts", "orders", "loyalty", "insight")
    names = [u.name for u in route.units]
    for unit in route.units:
        assert all(names.index(before) < names.index(unit.name) for before in unit.after)
