"""Rehearsals: a sample that is whole, goes through all phases, leaves nothing behind, and tells nobody who it is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from own_shop import own_pair
from pair import ROUTE, Pair
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from shopferry import cli, db, phase_steps
from shopferry.assess import sizing
from shopferry.control import rehearsals
from shopferry.control.rehearsals import Rehearsed
from shopferry.engine import captured, mirror
from shopferry.errors import ConfigError, MappingError, PhaseError, TransientError
from shopferry.phase_steps import Options
from shopferry.privacy import retention, roles
from shopferry.rehearsal import note, rehearsal, sample
from shopferry.rehearsal.pseudonyms import Pseudonyms
from shopferry.rehearsal.rehearsal import Form
from shopferry.route import personal
from shopferry.route.personal import DataMap
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT, Settings
from shopferry.stores import scratch
from shopferry.verify import verification
from test_backfill import dsns

SCRATCH = "SELECT datname FROM pg_database WHERE datname LIKE 'shopferry%rehearsal%'"
PLAN = sample.load(ROUTE)
MAP = personal.load(ROUTE)


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rehearsal notes for the forms stays here."""
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path / "data"))


def settings_of(pair: Pair) -> Settings:
    return Settings(*dsns(pair), kafka="")


def legacy_state(pair: Pair) -> list[object]:
    return pair.legacy.execute(
        "SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM shopferry.marker), "
        "(SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_class WHERE relname = 'chosen')"
    ).fetchall()


@pytest.mark.fresh
@pytest.mark.parametrize("real_data", ["the officer", None])
def test_a_sample_passes_all_phases_and_leaves_nothing(filled: Pair, real_data: str | None) -> None:
    before = legacy_state(filled)
    filled.shop.execute("CREATE EXTENSION citext; ALTER TABLE shop.customer ADD COLUMN nickname citext")
    done = rehearsal.rehearse(settings_of(filled), "me", Form(25, real_data))
    assert done.green, done
    assert (done.who, done.customers, done.fingerprint) == ("me", 25, ROUTE.fingerprint)
    assert (done.pseudonymised, done.real_data_by) == (real_data is None, real_data)
    assert [p["phase"] for p in done.phases] == list(ROUTE.phases)
    for p in done.phases:
        assert 0 < p["rows"] <= p["legacy_rows"]
        assert p["quarantined"] + p["left_out"] > 0 or p["phase"] in {"loyalty", "insight"}, "the oddest must be in it"
        assert p["expected_s"] >= p["copy_s"] + p["merge_s"] + p["verify_s"]
    assert rehearsals.load_all(filled.shop, "demo") == [done]
    assert note.read("demo").startswith(f"25 customers and the oddest ones, {done.told}; all of legacy takes at most ")
    assert note.read("another") == "none yet"
    assert filled.ask(SCRATCH) == []
    assert legacy_state(filled) == before
    assert filled.one("SELECT count(*) FROM shop.customer") == 0
    assert filled.state("contacts") == "new"


@pytest.mark.fresh
def test_the_time_for_all_of_legacy_is_worked_out_from_two_samples(
    filled: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a phase a part goes with the rows, and a part does not; `assess` then tells what the rehearsal has told."""
    monkeypatch.setattr(rehearsals, "MEASURED", 25)
    monkeypatch.setattr(rehearsal, "_FEW", 3)
    few, ran = list[Rehearsed](), rehearsal._rehearse_phase

    def note_few(*args: object) -> Rehearsed:
        few.append(ran(*args))  # type: ignore[arg-type]
        return few[-1]

    monkeypatch.setattr(rehearsal, "_rehearse_phase", note_few)
    done = rehearsal.rehearse(settings_of(filled), "me", Form(25))
    assert done.green and done.is_measured and "all of legacy may take" in note.read("demo")
    for large, small, made in zip(few[len(ROUTE.phases) :], few, done.phases, strict=False):
        assert large.expect(small) == Rehearsed(**made)
    steady = replace(few[0], rows=1_000, legacy_rows=100_000, copy_s=1.0, merge_s=2.0, verify_s=1.0, expected_s=400.0)
    start = replace(steady, rows=100, merge_s=0.2, expected_s=2_200.0)
    assert steady.expect(start).expected_s == pytest.approx(4.0 + 0.002 * 99_000)
    assert steady.expect(replace(start, rows=600)).expected_s == 400.0  # hardly more rows
    assert steady.expect(replace(start, merge_s=2.1)).expected_s == 400.0  # no slower
    tables = mirror.reflect(filled.legacy, ROUTE.tables)
    told = sizing.estimate(filled.legacy, filled.shop, ROUTE, tables, tables)
    assert [p.basis for p in told.phases] == [f"as the rehearsal of {done.at:%Y-%m-%d} tells"] * len(ROUTE.phases)
    assert [p.seconds for p in told.phases] == pytest.approx([p["expected_s"] for p in done.phases])


KEPT = "shopferry_demo_rehearsal_shop"
READERS = [roles.name_role("demo", kind) for kind in roles.KINDS]


@pytest.fixture
def teams(filled: Pair) -> Iterator[Pair]:
    """A pair of stores after which neither a kept shop nor the roles of those who look are left."""
    yield filled
    filled.shop.execute(f"DROP DATABASE IF EXISTS {KEPT} WITH (FORCE)".encode())
    for name in READERS:
        filled.shop.execute(f"DROP ROLE IF EXISTS {name}".encode())


def kept_dsn(pair: Pair) -> str:
    return make_conninfo(dsns(pair)[1], dbname=KEPT)


@pytest.mark.fresh
def test_a_kept_shop_shows_pseudonyms_to_those_who_look_and_to_no_one_else(teams: Pair) -> None:
    said: list[str] = []
    done = rehearsal.rehearse(settings_of(teams), "me", Form(10, keep_hours=24), said.append)
    assert done.green and teams.ask(SCRATCH) == [(KEPT,)]
    start, _, printed = said[-1].rpartition(": ")
    [(_, end)] = scratch.find_standing(teams.shop, "demo")
    assert end and timedelta(hours=23) < end - datetime.now(UTC) <= timedelta(hours=24)
    assert start == f"kept until {end:%Y-%m-%d %H:%M} UTC for {', '.join(READERS)}"
    told = conninfo_to_dict(printed)
    assert told["dbname"] == KEPT and not {"user", "password"} & set(told)
    teams.shop.execute("CREATE ROLE passer_by")
    try:
        asked = [*READERS, "passer_by"]
        may = teams.ask("SELECT has_database_privilege(r, %s, 'CONNECT') FROM unnest(%s::text[]) r", KEPT, asked)
        assert [yes for (yes,) in may] == [True] * len(READERS) + [False]
    finally:
        teams.shop.execute("DROP ROLE passer_by")
    with db.connect(kept_dsn(teams), "test") as kept:
        left = kept.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$' ORDER BY 1")
        assert [name for (name,) in left.fetchall()] == ["public", "shop"]
        kept.execute("SET ROLE ferry_view_demo")
        emails = {e for (e,) in kept.execute("SELECT email FROM shop.customer WHERE email IS NOT NULL").fetchall()}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            kept.execute("UPDATE shop.customer SET email = 'x'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            kept.execute("CREATE TABLE shop.mine (id int)")
    real = {e for (e,) in teams.legacy.execute("SELECT lower(email) FROM customers").fetchall()}
    assert emails and not emails & real and all(e.endswith(".example.com") for e in emails)


@pytest.mark.fresh
def test_a_kept_shop_goes_with_the_first_sweep_after_its_hours_and_not_before(teams: Pair) -> None:
    settings = settings_of(teams)
    rehearsal.rehearse(settings, "me", Form(5, keep_hours=3))
    [(name, end)] = scratch.find_standing(teams.shop, "demo")
    assert name == KEPT and end
    early = retention.sweep(settings, end - timedelta(minutes=1))
    [place] = [p for p in early.places if p.place == "scratch databases"]
    assert (place.removed, place.stays, place.until) == (0, 1, f"{end:%Y-%m-%d}")
    assert teams.ask(SCRATCH) == [(KEPT,)]
    assert [h.what for h in retention.sweep(settings, end, dry=True).due if h.place == "scratch databases"] == [KEPT]
    assert scratch.drop_standing(teams.shop, KEPT, end - timedelta(hours=1)) == 0, "it is another one by now"
    with db.connect(kept_dsn(teams), "somebody still looks"):
        [place] = [p for p in retention.sweep(settings, end).places if p.place == "scratch databases"]
    assert (place.removed, place.stays) == (1, 0)
    assert teams.ask(SCRATCH) == []


@pytest.mark.fresh
def test_sessions_that_may_not_be_ended_keep_the_kept_shop_and_let_no_new_ones_in(teams: Pair) -> None:
    """Our role is no superuser in production: it may drop its database, and not end the sessions of others."""
    rehearsal.rehearse(settings_of(teams), "me", Form(5, keep_hours=3))
    [(_, end)] = scratch.find_standing(teams.shop, "demo")
    teams.shop.execute(
        f"CREATE ROLE humble LOGIN CREATEDB PASSWORD 'x'; ALTER DATABASE {KEPT} OWNER TO humble".encode()
    )
    humble = make_conninfo(dsns(teams)[1], user="humble", password="x")
    try:
        with db.connect(kept_dsn(teams), "looks"), db.connect(humble, "test") as ours:
            assert scratch.drop_standing(ours, KEPT, end) == 0
            with (
                pytest.raises(TransientError, match=r"cannot be dropped while others look at it \(1 sessions\)"),
                scratch.create(humble, KEPT),
            ):
                pass
        assert teams.ask("SELECT datconnlimit FROM pg_database WHERE datname = %s", KEPT) == [(0,)]
        with db.connect(humble, "test") as ours:
            assert scratch.drop_standing(ours, KEPT, end) == 1
    finally:
        teams.shop.execute(f"DROP DATABASE IF EXISTS {KEPT}".encode())
        teams.shop.execute("DROP OWNED BY humble; DROP ROLE humble")


@pytest.mark.fresh
def test_the_next_rehearsal_drops_the_kept_shop(
    teams: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, dsn in zip(("LEGACY_DSN", "SHOP_DSN"), dsns(teams), strict=True):
        monkeypatch.setenv(f"SHOPFERRY_{name}", dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(["rehearse", "--customers", "5", "--keep", "24h"]) == 0
    [line] = [text for text in capsys.readouterr().err.splitlines() if text.startswith("kept until ")]
    assert f"dbname={KEPT}" in line and "password" not in line
    assert cli.main(["rehearse", "--customers", "5", "--keep", "2", "--real-data", "ann"]) == 1
    [complaint] = capsys.readouterr().err.splitlines()
    assert "a rehearsal with real data is not kept, since teams look at pseudonyms only" in complaint
    assert teams.ask(SCRATCH) == [(KEPT,)], "what is refused changes nothing"
    for hours in ("0", "169"):
        with pytest.raises(SystemExit):
            cli.main(["rehearse", "--keep", hours])
    assert cli.main(["rehearse", "--customers", "5"]) == 0
    assert teams.ask(SCRATCH) == []


def carried(pair: Pair, scratch_dsn: str, customers: int, pseudonyms: Pseudonyms | None) -> db.Connection:
    """The sample as it lies in a scratch database."""
    scratch = db.connect(scratch_dsn, "test")
    tables = mirror.load(pair.shop)
    with pair.legacy.transaction(), scratch.transaction():
        pair.legacy.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert sample.choose(pair.legacy, PLAN, tables, customers) > 0
        rows = sample.carry(pair.legacy, scratch, PLAN, tables, sample.find_kinds(MAP, tables), pseudonyms)
    assert set(rows) == set(ROUTE.tables)
    return scratch


def test_a_sample_is_whole_in_itself(filled: Pair, make_db: object) -> None:
    with carried(filled, make_db("scratch"), 10, None) as scratch:  # type: ignore[operator]
        chosen = {r[0] for r in scratch.execute("SELECT id FROM customers").fetchall()}
        assert 10 <= len(chosen) < 150
        # Everything of the chosen is there, as it is in legacy.
        for table, owner in (
            ("addresses", "customer_id"),
            ("consents", "customer_id"),
            ("orders", "customer_id"),
            ("loyalty_accounts", "customer_id"),
            ("loyalty_rewards", "customer_id"),
        ):
            query = f"SELECT id FROM {table} WHERE {owner} = ANY(%s) ORDER BY id".encode()
            assert (
                scratch.execute(query, [list(chosen)]).fetchall()
                == filled.legacy.execute(query, [list(chosen)]).fetchall()
            )
        for child, parent, key in (
            ("order_items", "orders", "order_id"),
            ("order_status_log", "orders", "order_id"),
            ("order_invoices", "orders", "order_id"),
            ("loyalty_log", "loyalty_accounts", "account_id"),
        ):
            parents = [r[0] for r in scratch.execute(f"SELECT id FROM {parent}".encode()).fetchall()]
            query = f"SELECT count(*) FROM {child} WHERE {key} = ANY(%s)".encode()
            assert scratch.execute(query, [parents]).fetchone() == filled.legacy.execute(query, [parents]).fetchone()
        # Nobody's other account is missing.
        alike = b"SELECT count(*) FROM customers WHERE lower(replace(email, ' ', '')) = ANY(%s)"
        emails = [
            r[0]
            for r in scratch.execute(
                "SELECT lower(replace(email, ' ', '')) FROM customers WHERE email LIKE '%@%'"
            ).fetchall()
        ]
        assert scratch.execute(alike, [emails]).fetchone() == filled.legacy.execute(alike, [emails]).fetchone()


def test_no_persons_data_is_in_a_pseudonymised_sample_and_what_belonged_together_still_does(
    filled: Pair, make_db: object
) -> None:
    filled.write(
        "INSERT INTO customers (id, email, full_name, phone) VALUES "
        "(900001, 'Jan.Kowalski@Poczta.pl', 'Jan Kowalski', '601 987 123'), "
        "(900002, ' jan.kowalski@poczta.pl', 'KOWALSKI Jan', '+48601987123')",
        "INSERT INTO orders (id, number, customer_id, email, ship_name) VALUES "
        "(900001, 'A-77', 0, 'jan.kowalski@poczta.pl ', 'Jan Kowalski')",
    )
    pseudonyms = Pseudonyms(
        bytes(32)
    )  # with a key by chance some pseudonym is, once in many runs, another's real number
    with carried(filled, make_db("scratch"), 200, pseudonyms) as scratch:  # type: ignore[operator]
        text = "\n".join(
            str(r[0])
            for table in ROUTE.tables
            for r in scratch.execute(f"SELECT lower(t::text) FROM {table} t".encode()).fetchall()
        )
        known: set[str] = set()
        for column, of in (
            ("email", "customers"),
            ("full_name", "customers"),
            ("phone", "customers"),
            ("ship_phone", "orders"),
            ("email", "orders"),
            ("street", "addresses"),
            ("tax_number", "order_invoices"),
            ("ip", "consents"),
            ("pass_hash", "customers"),
            ("card_number", "loyalty_accounts"),
            ("code", "loyalty_rewards"),
        ):
            query = f"SELECT DISTINCT lower(btrim({column})) FROM {of} WHERE length(btrim({column})) > 9".encode()
            known |= {r[0] for r in filled.legacy.execute(query).fetchall()}
        known -= {"000000000", "123456789"}
        assert len(known) > 800
        assert [k for k in known if k in text] == []
        accounts = scratch.execute(
            "SELECT lower(btrim(email)), string_agg(lower(w), ' ' ORDER BY lower(w)), "
            "right(regexp_replace(phone, '[^0-9]', '', 'g'), 9) "
            "FROM customers, regexp_split_to_table(full_name, ' ') AS w WHERE id > 900000 GROUP BY id, email, phone"
        ).fetchall()
        assert len(accounts) == 2 and accounts[0] == accounts[1]
        (order,) = scratch.execute("SELECT lower(btrim(email)) FROM orders WHERE id = 900001").fetchone() or ("",)
        assert order == accounts[0][0]


def test_pseudonyms_change_no_outcome_that_counts(filled: Pair) -> None:
    """All customers, with and without: the same rows get in, are held back, are left out."""
    plain, masked = (rehearsal.rehearse(settings_of(filled), "me", Form(10_000, p)) for p in ("the officer", None))
    outcomes = [[(p["rows"], p["quarantined"], p["left_out"]) for p in r.phases] for r in (plain, masked)]
    assert plain.green and masked.green
    assert outcomes[0] == outcomes[1]


def test_what_is_wrong_makes_it_red(filled: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    real = verification.judge

    def with_a_breach(legacy: db.Connection, shop: db.Connection, route: Route, phase: str) -> Any:
        if phase == "orders":
            with shop.transaction():
                shop.execute("SET LOCAL shopferry.writer = 'ferry'")
                shop.execute("DELETE FROM shop.order_event WHERE id = (SELECT min(id) FROM shop.order_event)")
        return real(legacy, shop, route, phase)

    monkeypatch.setattr(verification, "judge", with_a_breach)
    done = rehearsal.rehearse(settings_of(filled), "me", Form(10))
    assert not done.green
    assert (
        "orders has 1 differences and 1 broken rules (accounting: order_status_log all rows unaccounted; check: "
        in done.told
    )
    assert "orders_histories" in done.told
    with pytest.raises(PhaseError, match=r"the last one, .*orders has 1 differences and 1 broken rules"):
        phase_steps.begin(settings_of(filled), "contacts", "test", Options())


@pytest.mark.fresh
def test_what_breaks_it_off_is_booked_and_scratch_is_dropped(filled: Pair) -> None:
    filled.shop.execute("ALTER TABLE shop.customer_order DROP COLUMN note")
    with pytest.raises(MappingError, match="has no column 'note'"):
        rehearsal.rehearse(settings_of(filled), "me", Form(10))
    filled.shop.execute("CREATE DATABASE shopferry_demo_rehearsal_shop")  # what a killed one would have left
    with pytest.raises(MappingError, match="has no column 'note'"):
        rehearsal.rehearse(settings_of(filled), "me", Form(10))
    booked, _ = rehearsals.load_all(filled.shop, "demo")
    assert booked.problem and "has no column 'note'" in booked.problem and not booked.green
    assert filled.ask(SCRATCH) == []


def test_the_first_phase_wants_a_green_rehearsal_of_these_mappings_or_a_name(filled: Pair) -> None:
    settings = settings_of(filled)
    with pytest.raises(PhaseError, match=r"without a green rehearsal \(there was none\).*--without-rehearsal NAME"):
        phase_steps.begin(settings, "contacts", "test", Options())
    assert filled.state("contacts") == "new"
    rehearsal.rehearse(settings, "me", Form(5))
    filled.shop.execute("UPDATE ferry.rehearsal SET fingerprint = 'another'")
    with pytest.raises(PhaseError, match="there was none since a mapping changed"):
        phase_steps.begin(settings, "contacts", "test", Options())
    filled.shop.execute("UPDATE ferry.rehearsal SET fingerprint = %s", (ROUTE.fingerprint,))
    phase_steps.begin(settings, "contacts", "test", Options())
    assert filled.one("SELECT without_rehearsal FROM ferry.phase WHERE phase = 'contacts'") is None


def test_who_starts_without_one_is_booked_and_asked_once(filled: Pair) -> None:
    settings = settings_of(filled)
    phase_steps.begin(settings, "contacts", "test", Options(sample=50))  # to look at: nobody needs a rehearsal for it
    with pytest.raises(PhaseError, match="green rehearsal"):
        phase_steps.begin(settings, "contacts", "test", Options())
    phase_steps.begin(settings, "contacts", "test", Options(without_rehearsal="ann"))
    phase_steps.begin(settings, "contacts", "test", Options())
    assert filled.one("SELECT without_rehearsal FROM ferry.phase WHERE phase = 'contacts'") == "ann"


def without(data_map: DataMap, *names: str) -> DataMap:
    """The map without its lines about these columns."""
    return replace(data_map, lines=tuple(line for line in data_map.lines if line.written not in names))


def test_a_text_column_that_nobody_named_goes_to_no_tester(filled: Pair, tmp_path: Path) -> None:
    full = mirror.reflect(filled.legacy, ROUTE.tables)
    tables = captured.cut_to_read(filled.shop, ROUTE, full)  # with the types as a rehearsal sees them
    kinds = sample.find_kinds(MAP, tables)
    assert kinds["customers", "phone"] == "phone" and kinds["orders", "note"] == "words"
    assert ("orders", "status_code") not in kinds and ("consents", "granted_at") not in kinds
    short = without(MAP, "legacy.consents.wording", "legacy.orders.note", "legacy.orders.total")
    with pytest.raises(
        ConfigError, match=r"legacy\.consents\.wording, legacy\.orders\.note: say what a rehearsal makes"
    ):
        sample.find_kinds(short, tables)
    file = tmp_path / personal.FILE
    file.write_text((SQL_ROOT / "demo" / personal.FILE).read_text().replace("contact; pseudonym phone", "contact"))
    with pytest.raises(ConfigError, match=r"personal\.txt: legacy\.customers\.phone: say what"):
        sample.find_kinds(personal.read(file, "demo/personal.txt"), tables)


def test_a_rehearsal_for_testers_is_refused_while_a_text_column_is_not_named(
    filled: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal, "load", lambda *_: without(MAP, "legacy.consents.wording"))
    with pytest.raises(ConfigError, match=r"consents\.wording: say what a rehearsal makes of each, `pseudonym KIND`"):
        rehearsal.rehearse(settings_of(filled), "me", Form(5))


@pytest.mark.parametrize(
    ("kind", "wordless"),
    [
        ("INTEGER", True),
        ("numeric(12,2)", True),
        ("TIMESTAMP WITH TIME ZONE", True),
        ("TIMESTAMP(3) WITH TIME ZONE", True),
        ("DOUBLE PRECISION", True),
        ("UUID", True),
        ("INTEGER[]", True),
        ("DATE", True),
        ("BIT VARYING(5)", True),
        ("TEXT", False),
        ("VARCHAR(255)", False),
        ("CHAR(3)", False),
        ("text", False),
        ("CITEXT", False),
        ("JSONB", False),
        ("TEXT[]", False),
        ("BYTEA", False),
        ("INET", False),
        ("DATERANGE", False),
    ],
)
def test_every_type_that_may_hold_words_wants_a_word(kind: str, wordless: bool) -> None:
    assert bool(sample._WORDLESS.fullmatch(kind)) == wordless


def test_where_temporary_tables_are_not_allowed_it_says_what_to_grant(filled: Pair) -> None:
    with filled.legacy.transaction(force_rollback=True):
        filled.legacy.execute("SET TRANSACTION READ ONLY")  # as on a standby
        with pytest.raises(ConfigError, match="GRANT TEMPORARY ON DATABASE"):
            sample.choose(filled.legacy, PLAN, mirror.load(filled.shop), 5)


def test_what_is_wrong_with_a_sample_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sql" / "demo" / "sample.sql"
    file.parent.mkdir(parents=True)
    text = (SQL_ROOT / "demo" / "sample.sql").read_text()
    file.write_text(text.replace("-- name: consents\n", "-- name: agreements\n"))
    with pytest.raises(MappingError, match=r"sql/demo/sample\.sql:1: there is no query `-- name: consents`"):
        sample.load(ROUTE, tmp_path / "sql")
    with pytest.raises(ConfigError, match="says what belongs to a customer"):
        sample.load(ROUTE, tmp_path)


def test_the_command_line(filled: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, dsn in zip(("LEGACY_DSN", "SHOP_DSN"), dsns(filled), strict=True):
        monkeypatch.setenv(f"SHOPFERRY_{name}", dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(["rehearse", "--customers", "5", "--json", "--who", "ann"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [p["phase"] for p in shown] == list(ROUTE.phases)
    assert cli.main(["rehearse", "--customers", "5", "--real-data", "jan", "--json", "--who", "ann"]) == 0
    booked = [(r.who, r.pseudonymised, r.real_data_by) for r in rehearsals.load_all(filled.shop, "demo")]
    assert booked == [("ann", False, "jan"), ("ann", True, None)]
    with pytest.raises(SystemExit):
        cli.main(["rehearse", "--real-data", " "])


def test_customers_whose_keys_are_uuids_are_chosen_too(make_db: Callable[..., str], tmp_path: Path) -> None:
    legacy = """
        CREATE TABLE people (id uuid PRIMARY KEY, name text);
        CREATE TABLE deeds (id uuid PRIMARY KEY, person uuid, what text);
        INSERT INTO people SELECT gen_random_uuid(), 'n' || i FROM generate_series(1, 50) i;
        INSERT INTO deeds SELECT gen_random_uuid(), id, 'w' FROM people;
    """
    shop = "CREATE SCHEMA shop; CREATE TABLE shop.person (id uuid PRIMARY KEY, name text)"
    files = {
        "all/person.sql": "-- entity: shop.person\n-- key: id\n-- scope: id\n-- source: legacy.people(id)\n"
        "SELECT p.id, p.name, '{}'::text[] AS problems FROM affected a JOIN legacy.people p ON p.id = a.key",
        "sample.sql": "-- name: everybody\nSELECT id FROM people;\n"
        "-- name: people\nSELECT p.* FROM people p JOIN chosen c ON c.id = p.id;\n",
    }
    with own_pair(make_db, tmp_path, legacy, shop, files) as pair, pair.legacy.transaction():
        plan = sample.load(pair.route, tmp_path)
        assert sample.choose(pair.legacy, plan, mirror.load(pair.shop), 7) == 7
        assert pair.legacy.execute("SELECT count(*) FROM pg_temp.sample_people").fetchone() == (7,)
