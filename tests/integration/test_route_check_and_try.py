"""`route check` and `route try` on a small pair of stores that is in no other test: what they find, and that nothing stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from own_shop import write_route
from pair import connect
from shopferry import cli, installation
from shopferry.authoring import checking, tryout
from shopferry.authoring.joins import Ways
from shopferry.errors import ConfigError
from shopferry.route.route import Route
from shopferry.settings import Settings

MakeDb = Callable[..., str]

LEGACY = """
CREATE TABLE member (id integer PRIMARY KEY, mail text, name text, shoe_size text);
CREATE TABLE booking (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), member_id integer, state text, price numeric(10, 2));
CREATE TABLE state (code text PRIMARY KEY, word text);
CREATE TABLE forgotten (id integer PRIMARY KEY);
INSERT INTO member SELECT i, 'm' || i || '@example.com', 'Name ' || i FROM generate_series(1, 60) i;
INSERT INTO member VALUES (100, 'M7@example.com', 'Name 7'), (101, 'nonsense', 'Nobody');
INSERT INTO state VALUES ('N', 'new'), ('D', 'done');
INSERT INTO booking (member_id, state, price) SELECT 1 + i % 60, CASE i % 2 WHEN 0 THEN 'N' ELSE 'D' END, i
FROM generate_series(1, 240) i;
INSERT INTO booking (member_id, state, price) VALUES (1, 'X', 5), (999, 'N', 7);
"""
SHOP = """
CREATE SCHEMA shop;
CREATE SEQUENCE shop.client_ids START 5000;
CREATE TABLE shop.tier (name text PRIMARY KEY);
INSERT INTO shop.tier VALUES ('basic');
CREATE TABLE shop.client (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, name text, tier text NOT NULL REFERENCES shop.tier,
    legacy_id bigint);
CREATE TABLE shop.trip (id uuid PRIMARY KEY, client_id bigint NOT NULL REFERENCES shop.client DEFERRABLE INITIALLY DEFERRED,
    state text NOT NULL, price numeric NOT NULL CONSTRAINT price_is_no_gift CHECK (price > 1));
INSERT INTO shop.client VALUES (1, 'm1@example.com', 'Who was here before', 'basic', NULL);
"""
IDENTITY = """-- identity: client
-- sequence: shop.client_ids
-- source: legacy.member(id)
-- standardize: email legacy.member (mail)
SELECT m.id AS legacy_key, coalesce(e.value, '#' || m.id) AS cluster
FROM affected a JOIN legacy.member m ON m.id = a.key
LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = m.mail;
"""
CLIENT = """-- entity: shop.client
-- key: id
-- scope: id
-- source: identity.client(shop_key), legacy.member
-- counts: legacy.member(id) as legacy_id
-- standardize: email legacy.member (mail)
WITH ranked AS (
    SELECT a.key, m.id, m.name, e.value AS email, row_number() OVER (PARTITION BY a.key ORDER BY m.id) AS rank
    FROM affected a
    JOIN ferry.identity i ON i.entity = 'client' AND i.shop_key = a.key
    JOIN legacy.member m ON m.id = i.legacy_key
    LEFT JOIN ferry.standardized e ON e.kind = 'email' AND e.raw = m.mail
)
SELECT r.key AS id, r.email, r.name, 'basic' AS tier, r.id::bigint AS legacy_id,
       array_remove(ARRAY[CASE WHEN r.email IS NULL THEN 'email_invalid' END], NULL) AS problems,
       CASE WHEN r.rank > 1 THEN 'same_person' END AS left_out
FROM ranked r;

-- lineage: legacy.member
SELECT i.shop_key FROM changed c JOIN ferry.identity i ON i.entity = 'client' AND i.legacy_key = c.id;
"""
TRIP = """-- entity: shop.trip
-- key: id
-- scope: id
-- source: legacy.booking(id), legacy.state, identity.client, shop.client
-- counts: legacy.booking(id) as id
SELECT b.id, c.id AS client_id, s.word AS state, b.price,
       array_remove(ARRAY[CASE WHEN c.id IS NULL THEN 'client_missing' END,
                          CASE WHEN s.word IS NULL THEN 'state_unknown' END], NULL) AS problems
FROM affected a
JOIN legacy.booking b ON b.id = a.key
LEFT JOIN ferry.identity i ON i.entity = 'client' AND i.legacy_key = b.member_id
LEFT JOIN shop.client c ON c.id = i.shop_key
LEFT JOIN legacy.state s ON s.code = b.state;

-- lineage: legacy.state
SELECT b.id FROM changed c JOIN legacy.booking b ON b.state = c.code;

-- lineage: identity.client
SELECT b.id FROM changed c JOIN legacy.booking b ON b.member_id = c.legacy_key;

-- lineage: shop.client
SELECT b.id FROM changed c JOIN ferry.identity i ON i.entity = 'client' AND i.shop_key = c.id
JOIN legacy.booking b ON b.member_id = i.legacy_key;
"""
FILES = {"people/client.identity.sql": IDENTITY, "people/client.sql": CLIENT, "trips/trip.sql": TRIP}


@pytest.fixture
def stores(make_db: MakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Both stores, nothing installed, and a route that is right."""
    settings = Settings(make_db("legacy"), make_db("shop"), "127.0.0.1:1", "own")
    with connect(settings.source_dsn) as legacy, connect(settings.target_dsn) as shop:
        legacy.execute(LEGACY.encode())
        shop.execute(SHOP.encode())
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    monkeypatch.setenv("SHOPFERRY_ROUTE", "own")
    for name, dsn in (("LEGACY", settings.source_dsn), ("SHOP", settings.target_dsn)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", settings.kafka)
    write_route(tmp_path, FILES)
    return settings


def told(settings: Settings) -> dict[str, str]:
    """What the check says, by file and line."""
    return {
        f"{f.severity} {f.subject.partition('own/')[2]}": f"{f.text} → {f.remedy}" for f in checking.check(settings)
    }


def rewrite(folder: Path, file: str, old: str, new: str) -> None:
    """Change one file of the route."""
    path = folder / "own" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def list_relations(dsn: str) -> list[str]:
    """All that stands in a database."""
    with connect(dsn) as conn:
        return [
            r
            for (r,) in conn.execute(
                "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname !~ '^(pg_|information)' ORDER BY 1"
            ).fetchall()
        ]


def test_a_right_route_has_only_what_it_leaves_out_and_nothing_stays(stores: Settings) -> None:
    before = [list_relations(dsn) for dsn in (stores.source_dsn, stores.target_dsn)]
    found = told(stores)
    assert "no mapping reads shoe_size of member" in found["warning people/client.identity.sql:3"]
    assert any("no mapping reads table forgotten" in text for text in found.values())
    assert not [where for where in found if where.startswith("blocking") and "personal.txt" not in where], found
    assert [list_relations(dsn) for dsn in (stores.source_dsn, stores.target_dsn)] == before


def test_each_fault_of_each_file_is_named_with_its_line(stores: Settings, tmp_path: Path) -> None:
    rewrite(tmp_path, "people/client.sql", "r.name, 'basic'", "r.nome, 'basic'")
    rewrite(tmp_path, "people/client.identity.sql", "m.mail;", "m.post;")
    (tmp_path / "own" / "signed_off.txt").write_text("# left\nforgotten without a reason\n")
    found = told(stores)
    assert found["blocking people/client.identity.sql:7"].startswith("column m.post does not exist")
    assert "wants `table.column -- reason`" in found["blocking signed_off.txt:2"]
    rewrite(tmp_path, "people/client.identity.sql", "m.post;", "m.mail;")
    assert told(stores)["blocking people/client.sql:14"].startswith("column r.nome does not exist")


def test_two_wrong_headers_are_found_at_once(stores: Settings, tmp_path: Path) -> None:
    rewrite(tmp_path, "people/client.sql", "-- scope: id\n", "")
    rewrite(tmp_path, "trips/trip.sql", "legacy.booking(id), legacy.state,", "legacy.booking(id),")
    found = told(stores)
    assert "`-- scope:` is missing" in found["blocking people/client.sql:1"]
    assert any(w.startswith("blocking trips/trip.sql") and "no source" in text for w, text in found.items()), found


def test_sources_indexes_and_reasons_that_are_missing_are_named(stores: Settings, tmp_path: Path) -> None:
    rewrite(tmp_path, "trips/trip.sql", ", shop.client\n", "\n")
    text = (tmp_path / "own/trips/trip.sql").read_text()
    (tmp_path / "own/trips/trip.sql").write_text(text[: text.index("\n-- lineage: shop.client")])
    rewrite(
        tmp_path,
        "trips/trip.sql",
        "CASE WHEN s.word IS NULL THEN 'state_unknown' END",
        "CASE WHEN s.word IS NULL THEN 'state_unknown' WHEN s.word IS NULL THEN 'never' END",
    )
    (tmp_path / "own/route.toml").write_text(
        'owner = "Ada"\ncontact = "ada@example.com"\n[[cutover.quarantine]]\nreason = "state_unknwon"\nrows = 3\nwho = "Ada"\n'
        '[[cutover.quarantine]]\nreason = "email_invalid"\nrows = 3\nwho = "Ada"\n'
    )
    with connect(stores.source_dsn) as legacy:
        legacy.execute("INSERT INTO booking (member_id) SELECT 1 FROM generate_series(1, 2000)")
        legacy.execute("ANALYZE booking")
    found = told(stores)
    assert "reads shop.client, which is no source" in found.get("warning trips/trip.sql:6", ""), found
    assert "`-- index: legacy.booking(" in "".join(found.values())
    assert "'state_unknwon', which no mapping gives" in found["warning route.toml:4"]
    assert len([t for t in found.values() if "no mapping gives" in t]) == 1
    assert "stands twice in one CASE" in "".join(found.values())
    with connect(stores.target_dsn) as shop:
        shop.execute("ALTER TABLE shop.trip DROP CONSTRAINT trip_pkey, ADD UNIQUE (state, id)")
    found = told(stores)
    assert any(w.startswith("blocking trips/trip.sql") and "ON CONFLICT" in t for w, t in found.items()), found


def test_the_joins_of_a_mapping_say_what_belongs_together(stores: Settings) -> None:
    route = Route.load("own")
    ways, trip = Ways(route), route.mappings[-1]
    units = ways.find_units(trip)
    assert [u.name for u in units] == ["people/client.identity", "people/client", "trips/trip"]
    edges = ways.find_edges(units)
    assert (("booking", "member_id"), ("member", "id")) in edges
    assert (("booking", "state"), ("state", "code")) in edges
    assert (("member", "mail"), ("member", "mail")) not in edges  # no join looks for others of one e-mail


def test_a_mapping_is_tried_with_all_that_it_needs_and_nothing_stays(stores: Settings) -> None:
    before = [list_relations(dsn) for dsn in (stores.source_dsn, stores.target_dsn)]
    with connect(stores.source_dsn) as legacy, connect(stores.target_dsn) as shop:
        keys = [str(k) for (k,) in legacy.execute("SELECT id FROM booking WHERE price IN (5, 7, 1, 12)").fetchall()]
        tried = tryout.try_mapping(stores, tryout.Wanted("trip", tuple(keys)))
        assert shop.execute("SELECT last_value, is_called FROM shop.client_ids").fetchone() == (5000, False)
    assert [list_relations(dsn) for dsn in (stores.source_dsn, stores.target_dsn)] == before
    assert tried.tried == len(keys) == 6
    assert tried.reasons == {"state_unknown": 1, "client_missing": 1, "refused_by_constraint": 1}
    assert tried.rows == 3
    good = [k for k in tried.keys if k.rows]
    assert {r["state"] for k in good for r in k.rows} == {"new", "done"}
    assert all(k.sources["legacy.booking"][0]["price"] == k.rows[0]["price"] for k in good)
    assert tried.ran_before == ("identity.client", "shop.client")
    held = next(codes for k in tried.keys for codes in k.held.values() if "refused_by_constraint" in codes)
    assert "price_is_no_gift" in held


def test_keys_are_those_of_legacy_and_some_at_random_are_counted(
    stores: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["route", "try", "shop.client", "--keys", "7,101", "--explain"]) == 0
    out = capsys.readouterr().out
    assert "legacy.member: id=7 mail=m7@example.com" in out
    assert "→ shop.client: id=" in out
    assert "email_invalid" in out
    assert "Index Scan" in out
    assert cli.main(["route", "try", "client", "--json", "--sample", "3"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tried"] >= 61
    assert len(said["keys"]) == 3
    assert said["reasons"] == {"email_invalid": 1}


@pytest.mark.parametrize(
    ("name", "keys", "says"), [("nothing", (), "no mapping 'nothing'"), ("client", ("seven",), "no integer")]
)
def test_a_wrong_name_or_key_gets_one_clear_error(
    stores: Settings, name: str, keys: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        tryout.try_mapping(stores, tryout.Wanted(name, keys))


def test_a_route_is_checked_and_tried_while_it_is_installed(stores: Settings) -> None:
    with connect(stores.source_dsn) as legacy, connect(stores.target_dsn) as shop:
        installation.install(legacy, shop, Route.load("own"))
        with shop.transaction():  # as a merge under way
            shop.execute("LOCK TABLE ferry.route, shop.client IN ROW EXCLUSIVE MODE")
            assert not [w for w in told(stores) if w.startswith("blocking") and "personal" not in w]
    assert tryout.try_mapping(stores, tryout.Wanted("trip", ())).rows > 100
