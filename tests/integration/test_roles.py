"""Who may see what in the new shop: every role, relation and verb, over all that the database has."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from pair import ROUTE, Pair
from psycopg.sql import SQL, Identifier
from shopferry.control import looks
from shopferry.cutover import finish
from shopferry.errors import ConfigError, MappingError
from shopferry.privacy import columns, masked, person, roles
from shopferry.route import personal
from shopferry.route.personal import Category
from shopferry.settings import SQL_ROOT
from shopferry.shapes import mask

pytestmark = pytest.mark.fresh
OURS = columns.load_ours()
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
NAMES = {kind: roles.name_role(ROUTE.name, kind) for kind in roles.KINDS}
RELATIONS = """SELECT table_schema, table_name FROM information_schema.tables
               WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"""


@pytest.fixture(scope="module")
def moved_template(
    make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> tuple[str, str]:
    """A generated shop of 150 customers that has moved."""
    legacy, shop = pair_template(150)
    dsns = make_template("moved_legacy", legacy), make_template("moved_shop", shop)
    pair = Pair.open(*dsns)
    pair.pass_phases()
    pair.close()
    return dsns


@pytest.fixture
def shown(moved: Pair) -> Iterator[Pair]:
    """A moved shop with the four roles."""
    try:
        roles.create(moved.shop, ROUTE)
        yield moved
    finally:
        for name in NAMES.values():
            if moved.ask(f"SELECT FROM pg_roles WHERE rolname = '{name}'"):
                moved.shop.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def may(pair: Pair, role: str, relation: tuple[str, str], verb: str) -> bool:
    """Try it, as somebody who has this role."""
    name = SQL("{}.{}").format(*map(Identifier, relation))
    [(column,)] = pair.ask(
        "SELECT column_name FROM information_schema.columns "
        f"WHERE (table_schema, table_name) = ('{relation[0]}', '{relation[1]}') ORDER BY ordinal_position LIMIT 1"
    )
    tried = {
        "SELECT": SQL("SELECT * FROM {} LIMIT 1").format(name),
        "INSERT": SQL("INSERT INTO {} DEFAULT VALUES").format(name),
        "UPDATE": SQL("UPDATE {} SET {} = DEFAULT WHERE false").format(name, Identifier(str(column))),
        "DELETE": SQL("DELETE FROM {} WHERE false").format(name),
        "TRUNCATE": SQL("TRUNCATE {}").format(name),
    }
    if verb not in tried:
        [(found,)] = pair.shop.execute(
            "SELECT has_schema_privilege(%s, %s, 'USAGE') AND has_table_privilege(%s, format('%%I.%%I', %s::text, %s::text), %s)",
            (role, relation[0], role, *relation, verb),
        ).fetchall()
        return bool(found)
    try:
        with pair.shop.transaction(force_rollback=True):
            pair.shop.execute(SQL("SET LOCAL ROLE {}").format(Identifier(role)))
            pair.shop.execute(tried[verb])
    except psycopg.errors.InsufficientPrivilege:
        return False
    except (psycopg.errors.WrongObjectType, psycopg.errors.ObjectNotInPrerequisiteState):
        return False  # a view cannot be truncated, and one over several tables not be written
    except psycopg.Error:
        return True  # a right that PostgreSQL has judged before what else is in the way
    return True


def columns_of(pair: Pair, relation: tuple[str, str]) -> list[str]:
    """The columns of a relation."""
    rows = pair.shop.execute(
        "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = (%s, %s)", relation
    ).fetchall()
    return [str(name) for (name,) in rows]


def expected(kind: str, relation: tuple[str, str], columns_: list[str]) -> set[str]:
    """The columns that this role may read of this relation."""
    schema, table = relation
    if schema == masked.SCHEMA:
        if table == "market":
            return set(columns_) if kind == "market" else set()
        return set(columns_) if kind == "care" and not is_of_people(table) else set()
    if relation == ("ferry", "setting"):
        return set()  # secrets of the installation
    if kind == "dpo" and (schema in {"ferry", "mirror"} or f"{schema}.{table}" in ROUTE.entities):
        return set(columns_)
    if kind == "view" and schema == "ferry":
        found = {c: OURS.find(schema, table, c) for c in columns_}
        return {c for c, line in found.items() if line and line.category is Category.NONE}
    return set()


def is_of_people(table: str) -> bool:
    """Whether the data map calls a column of this table of the new shop people's."""
    lines = personal.load(ROUTE).lines
    return any(line.schema.covers("shop") and line.table.covers(table) and line.category.of_people for line in lines)


def look(pair: Pair, call: str, role: str | None = NAMES["care"]) -> list[tuple[object, ...]]:
    """Call a function of the masked schema as somebody who has a role."""
    with pair.shop.transaction():
        if role:
            pair.shop.execute(SQL("SET LOCAL ROLE {}").format(Identifier(role)))
        return pair.shop.execute(f"SELECT * FROM ferry_masked.{call}".encode()).fetchall()


def test_every_role_may_read_of_every_relation_what_it_should_and_do_nothing_else(shown: Pair) -> None:
    relations = [(str(s), str(t)) for s, t in shown.ask(RELATIONS)]
    assert {s for s, _ in relations} >= {"ferry", "mirror", "shop", "legacy", masked.SCHEMA}
    wrong, cells = [], 0
    for kind, role in NAMES.items():
        for relation in relations:
            there = columns_of(shown, relation)
            wanted = expected(kind, relation, there)
            readable = shown.shop.execute(
                "SELECT column_name FROM unnest(%s::text[]) AS c (column_name) WHERE has_schema_privilege(%s, %s, 'USAGE') "
                "AND has_column_privilege(%s, format('%%I.%%I', %s::text, %s::text), column_name, 'SELECT')",
                (there, role, relation[0], role, *relation),
            ).fetchall()
            if {str(c) for (c,) in readable} != wanted:
                wrong.append((kind, relation, "columns"))
            for verb in VERBS:
                cells += 1
                if may(shown, role, relation, verb) is not (verb == "SELECT" and wanted == set(there)):
                    wrong.append((kind, relation, verb))
    assert wrong == []
    assert cells == 4 * len(relations) * len(VERBS) > 1_000


def test_functions_that_run_with_the_rights_of_others_are_those_of_care_alone(shown: Pair) -> None:
    """A function that runs as its owner would be a way around every cell above; triggers cannot be called."""
    found = shown.ask(
        "SELECT p.oid::regprocedure::text, p.proname, p.proconfig FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE p.prosecdef AND p.prorettype <> 'trigger'::regtype AND n.nspname NOT LIKE 'pg_%' ORDER BY 2"
    )
    tables = [e.partition(".")[2] for e in ROUTE.entities if is_of_people(e.partition(".")[2])]
    asked = set(person.load(ROUTE).tables("shop"))
    assert [str(name) for _, name, _ in found] == sorted(
        [*(f"{t}_by_key" for t in tables), *(t for t in tables if t in asked)]
    )
    assert {str(config) for _, _, config in found} == {"['search_path=pg_catalog, pg_temp']"}
    everything = shown.ask(
        "SELECT oid::regprocedure::text, proname FROM pg_proc WHERE pronamespace = 'ferry_masked'::regnamespace"
    )
    may_run = {
        (kind, str(function))
        for kind, role in NAMES.items()
        for function, name in everything
        if name != "mask" and shown.one("SELECT has_function_privilege(%s, %s, 'EXECUTE')", role, function)
    }
    assert may_run == {("care", str(function)) for function, _, _ in found}


def test_care_sees_the_rows_of_one_person_and_no_value_of_people(shown: Pair) -> None:
    plain = shown.ask("SELECT id, email, given_name, family_name, phone, registered_at FROM shop.customer ORDER BY id")
    names = [c.name for c in shown.shop.execute("SELECT * FROM shop.customer LIMIT 0").description or ()]
    wanted = [names.index(n) for n in ("id", "email", "given_name", "family_name", "phone", "registered_at")]
    assert len(plain) > 10
    for key, *texts, since in plain[:40]:
        [row] = look(shown, f"customer('{key}', 'ticket 12')")
        key_seen, *masks, since_seen = (row[n] for n in wanted)
        assert (key, since) == (key_seen, since_seen)
        for text, shape in zip(texts, masks, strict=True):
            if text is not None:
                ascii_only = "".join(c if c.isascii() else "x" for c in str(text))
                assert shape == mask(ascii_only)
    assert shown.ask("SELECT DISTINCT hash, salt, login FROM ferry_masked.customer_credential") == [(None, None, None)]
    assert shown.ask("SELECT count(*) FROM ferry_masked.consent WHERE granted_ip IS NOT NULL") == [(0,)]
    assert shown.ask("SELECT sum(total) FROM ferry_masked.customer_order") == shown.ask(
        "SELECT sum(total) FROM shop.customer_order"
    )


def test_care_sees_of_each_table_what_is_the_person_s_and_nothing_of_others(shown: Pair) -> None:
    [(person_,)] = shown.ask(
        "SELECT customer_id FROM shop.customer_order WHERE customer_id IS NOT NULL GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    )
    asked, seen = person.load(ROUTE), 0
    with shown.shop.transaction():
        person.stage(shown.shop, asked, "shop", [str(person_)])
        counts = {t: shown.one(f'SELECT count(*) FROM "their_{t}"') for t in asked.tables("shop")}
    for table in asked.tables("shop"):
        if f"shop.{table}" in ROUTE.entities and is_of_people(table):
            rows = look(shown, f"{table}('{person_}', 'ticket 12')")
            assert len(rows) == counts[table], table
            seen += len(rows)
    assert seen > 5
    assert look(shown, "customer_order('999999999', 'ticket 12')") == []
    order = shown.one("SELECT min(id) FROM shop.customer_order WHERE customer_id = %s", person_)
    assert len(look(shown, f"order_line_by_key('{shown.one('SELECT min(id) FROM shop.order_line')}', 'x')")) == 1
    assert look(shown, f"customer_order_by_key('{order}', 'x')")[0][0] == order
    customer, channel = shown.ask(
        "SELECT customer_id, channel FROM shop.communication_preference ORDER BY 1, 2 LIMIT 1"
    )[0]
    assert len(look(shown, f"communication_preference_by_key('{customer}/{channel}', 'x')")) == 1


def test_each_look_of_care_is_booked_and_one_that_is_taken_back_is_missed(shown: Pair) -> None:
    [(key,)] = shown.ask("SELECT min(id) FROM shop.customer")
    look(shown, f"customer('{key}', 'ticket 12')")
    [found] = looks.load(shown.shop, 10)
    assert (found.verb, found.relation, found.keys, found.why) == (
        "ferry_masked.customer",
        "shop.customer",
        [str(key)],
        "ticket 12",
    )
    assert found.who == found.role == shown.one("SELECT session_user::text")
    for nothing in ("''", "'  '", "NULL"):
        with pytest.raises(psycopg.Error, match=r"say whose rows, and why: SELECT \* FROM ferry_masked.customer\('7'"):
            look(shown, f"customer('{key}', {nothing})")
    with pytest.raises(psycopg.Error, match="say whose rows"):
        look(shown, "customer(NULL, 'ticket 12')")
    with shown.shop.transaction(force_rollback=True):
        shown.shop.execute(SQL("SET LOCAL ROLE {}").format(Identifier(NAMES["care"])))
        shown.shop.execute(f"SELECT * FROM ferry_masked.customer('{key}', 'secretly')".encode())
    look(shown, f"customer('{key}', 'ticket 13')")
    assert [(one.why, one.taken_back > 0) for one in looks.load(shown.shop, 10)] == [
        ("ticket 13", True),
        ("ticket 12", False),
    ]


@pytest.mark.parametrize("function", ["customer", "customer_order_by_key"])
def test_no_join_over_keys_shows_everybody(shown: Pair, function: str) -> None:
    for statement in (
        f"generate_series(100, 200) k, LATERAL ferry_masked.{function}(k::text, 'all of them')",
        f"ferry_masked.{function}('101', 'a') x, ferry_masked.{function}('102', 'b') y",
    ):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="one person at a time"),
            shown.shop.transaction(),
        ):
            shown.shop.execute(SQL("SET LOCAL ROLE {}").format(Identifier(NAMES["care"])))
            shown.shop.execute(f"SELECT * FROM {statement}".encode())
    assert shown.one("SELECT count(*) FROM ferry.looked") == 0
    with shown.shop.transaction():  # one after the other
        shown.shop.execute(SQL("SET LOCAL ROLE {}").format(Identifier(NAMES["care"])))
        for key in ("101", "102"):
            shown.shop.execute(f"SELECT * FROM ferry_masked.{function}(%s, 'ticket 12')".encode(), (key,))
    assert shown.one("SELECT count(*) FROM ferry.looked") == 2


@pytest.mark.parametrize("kind", ["view", "market", "dpo"])
def test_nobody_else_asks_care_s_functions_and_nobody_writes_the_book(shown: Pair, kind: str) -> None:
    for call in ("customer('1', 'x')", "customer_by_key('1', 'x')", "note_look('a', 'b', 'c', 'd')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            look(shown, call, NAMES[kind])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        look(shown, "note_look('a', 'b', 'c', 'd')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        look(shown, "customer")


def test_a_query_of_person_sql_that_does_not_run_is_named(
    shown: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    file = tmp_path / "demo" / "person.sql"
    file.write_text(
        file.read_text().replace(
            "SELECT a.id FROM shop.customer_address a", "SELECT a.nix FROM shop.customer_address a"
        )
    )
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    with pytest.raises(MappingError, match=r"person\.sql: query shop\.customer_address: column"):
        roles.create(shown.shop, ROUTE)
    file.unlink()
    roles.create(shown.shop, ROUTE)
    assert shown.ask("SELECT to_regproc('ferry_masked.customer')") == [(None,)]
    assert len(look(shown, f"customer_by_key('{shown.one('SELECT min(id) FROM shop.customer')}', 'x')")) == 1


def test_every_column_of_people_is_masked_or_of_what_they_have_bought_or_agreed_to(shown: Pair) -> None:
    data_map = personal.load(ROUTE)
    open_ = {Category.PURCHASE, Category.LOYALTY, Category.CONSENT}
    for entity in ROUTE.entities:
        schema, _, table = entity.partition(".")
        text = shown.ask(f"SELECT pg_get_viewdef('ferry_masked.{table}'::regclass, true)")[0][0]
        for column in columns_of(shown, (schema, table)):
            line = data_map.find(schema, table, column)
            assert line
            shows = [s.strip(" ,") for s in str(text).partition("FROM")[0].removeprefix(" SELECT").splitlines()]
            if line.category.of_people and line.category not in open_:
                assert column not in shows, f"{entity}.{column}"


def test_a_mask_says_nothing_in_any_locale(shown: Pair) -> None:
    [(found,)] = shown.shop.execute(
        "SELECT ferry_masked.mask(%s)", ("Żółta 7/9, ul. Dr. O'Neill <a.b+c@x.pl> " + "z" * 60,)
    ).fetchall()
    assert found == "xxxxx 9/9, xx. Xx. X'Xxxxx <x.x+x@x.xx> xxxxxxxxxxxxxxxxxxxx… (100 characters)"


def test_market_sees_those_alone_who_may_be_written_to(shown: Pair) -> None:
    seen = shown.ask("SELECT purpose::text, channel::text, customer_id FROM ferry_masked.market ORDER BY 1, 2, 3")
    assert seen == shown.ask("SELECT purpose::text, channel::text, customer_id FROM shop.audience ORDER BY 1, 2, 3")
    assert seen
    shown.shop.execute("ALTER TABLE shop.consent DISABLE TRIGGER USER; UPDATE shop.consent SET state = 'withdrawn'")
    assert shown.ask("SELECT count(*) FROM ferry_masked.market") == [(0,)]


def test_made_twice_the_rights_are_the_same(shown: Pair) -> None:
    acl = (
        "SELECT c.oid::regclass::text, c.relacl::text, (SELECT string_agg(a.attname || a.attacl::text, ' ' ORDER BY attnum) "
        "FROM pg_attribute a WHERE a.attrelid = c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname IN ('ferry', 'mirror', 'shop', 'ferry_masked') ORDER BY 1"
    )
    before = shown.ask(acl)
    shown.shop.execute(f"GRANT SELECT, DELETE ON ferry.identity TO {NAMES['view']}".encode())
    assert shown.ask(acl) != before
    roles.create(shown.shop, ROUTE)
    assert shown.ask(acl) == before


def test_a_role_of_others_is_refused_and_nothing_is_made(pair: Pair) -> None:
    pair.shop.execute(f"CREATE ROLE {NAMES['dpo']}".encode())
    try:
        with pytest.raises(ConfigError, match=f"role {NAMES['dpo']} exists and is not of shopferry: rename it"):
            roles.create(pair.shop, ROUTE)
        assert pair.ask("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ferry\\_%'") == [(NAMES["dpo"],)]
        assert pair.ask("SELECT to_regnamespace('ferry_masked')") == [(None,)]
    finally:
        pair.shop.execute(f"DROP ROLE {NAMES['dpo']}".encode())


def test_what_others_have_built_on_the_views_is_named_and_kept(shown: Pair) -> None:
    shown.shop.execute("CREATE VIEW public.theirs AS SELECT id FROM ferry_masked.customer")
    with pytest.raises(ConfigError, match=r"drop it first: .*view theirs"):
        roles.create(shown.shop, ROUTE)
    assert any("view theirs" in what for what in finish.find_dependents(shown.shop))
    shown.shop.execute("DROP VIEW public.theirs")
    assert finish.find_dependents(shown.shop) == []


def test_at_the_end_views_and_roles_go_and_a_role_that_owns_something_stays(shown: Pair) -> None:
    shown.shop.execute(
        f"CREATE TABLE public.list (id int); ALTER TABLE public.list OWNER TO {NAMES['market']}".encode()
    )
    with shown.shop.transaction():
        done = roles.drop(shown.shop, ROUTE)
    assert done.dropped == ["schema ferry_masked", *(f"role {NAMES[kind]}" for kind in ("view", "care", "dpo"))]
    [left] = done.left
    assert left.startswith(f"role {NAMES['market']} is left, for it is used elsewhere: owns something in ")
    assert shown.ask("SELECT to_regclass('public.list') IS NOT NULL") == [(True,)]
    with shown.shop.transaction():
        assert roles.drop(shown.shop, ROUTE).dropped == []
