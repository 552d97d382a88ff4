"""`route check` and `route try` on a small pair of stores that is in no other test: what they find, and that nothing stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_shop import MakeDb
from pair import connect
from shopferry import cli, installation
from shopferry.authoring import checking, tryout
from shopferry.authoring.joins import Ways
from shopferry.errors import ConfigError
from shopferry.route.route import Route
from shopferry.settings import Settings
from trips import make_stores


@pytest.fixture
def stores(make_db: MakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return make_stores(make_db, tmp_path, monkeypatch)


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
    assert tried.read == {"booking": 6, "member": 5, "state": 2}  # by the joins, and no row more
    good = [k for k in tried.keys if k.rows]
    assert {r["state"] for k in good for r in k.rows} == {"new", "done"}
    assert all(k.sources["legacy.booking"][0]["price"] == k.rows[0]["price"] for k in good)
    assert tried.ran_before == ("identity.client", "shop.client")
    held = next(codes for k in tried.keys for codes in k.held.values() if "refused_by_constraint" in codes)
    assert "price_is_no_gift" in held


def test_keys_are_those_of_legacy_and_some_at_random_are_counted(
    stores: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["route", "try", "shop.client", "--keys", "7,101", "--explain", "--values", "--why", "test"]) == 0
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
