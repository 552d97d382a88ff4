"""What somebody is told who asks what is held on them: all of theirs, nothing of others, and nothing that opens a door."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
import pyzipper
from pair import ROUTE, Pair, read_dsn
from psycopg.sql import SQL, Identifier
from shopferry.control import backups, requests
from shopferry.control.requests import Opening
from shopferry.errors import PhaseError
from shopferry.privacy import erasure_plan, export, person
from shopferry.route import personal
from shopferry.route.personal import Category
from shopferry.settings import PROJECT, Settings
from test_requests import Run, run  # noqa: F401

PERSONS = 5
# Columns whose form leaves no room for a word, or that have a value only in somebody else's rows.
NO_WORDS = {
    "shop.consent.basis",
    "shop.communication_preference.frequency",
    "shop.customer.email_key",
    "shop.customer_segment.scheme",
    "shop.customer_address.country_code",
    "shop.customer_address.postcode",
    "shop.customer_order.guest_email",
    *(
        f"shop.{t}.currency"
        for t in ("customer_order", "order_line", "order_line_withheld", "order_invoice", "payment", "delivery")
    ),
    "shop.delivery.country_code",
}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of this test."""
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    return tmp_path


def find_settings(pair: Pair) -> Settings:
    return Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka="127.0.0.1:1")


def open_access(pair: Pair, *keys: str) -> int:
    """A granted access request about accounts of legacy."""
    together = person.follow(pair.shop, person.load(ROUTE), {"legacy": keys})
    number = requests.open_request(pair.shop, "demo", Opening("access", date(2026, 1, 2), "care", "passport"), together)
    requests.grant(pair.shop, number, "dpo", None)
    return number


def unlock(file: Path, password: str) -> tuple[dict[str, Any], str]:
    """The document and the page of a zip."""
    with pyzipper.AESZipFile(file) as made:
        assert sorted(made.namelist()) == ["person.html", "person.json"]
        made.setpassword(password.encode())
        return json.loads(made.read("person.json")), made.read("person.html").decode()


def export_now(pair: Pair, *keys: str) -> tuple[dict[str, Any], str]:
    """Export accounts of legacy; the document and the page."""
    made: list[tuple[Path, str]] = []
    export.run(find_settings(pair), open_access(pair, *keys), "care", lambda *given: made.append(given))
    return unlock(*made[0])


def require_form(document: dict[str, Any]) -> None:
    schema = json.loads((PROJECT / "docs" / "reference" / "person.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


def test_the_verb_writes_a_zip_that_its_password_alone_opens_and_says_the_password_once(
    pair: Pair,
    run: Run,  # noqa: F811
    data: Path,
) -> None:
    number = run("request", "open", "access", "legacy:1", "--how", "passport", "--who", "anna")[1].strip()
    code, _, err = run("request", "run", number)
    assert code == 1 and f"request {number} is access, open" in err
    assert run("request", "decide", number, "--grant", "--who", "the-dpo")[0] == 0  # points on a card are no obstacle
    code, out, err = run("request", "run", number)
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (code, err) == (0, "")
    assert re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", said["password"])
    file = data / "requests" / f"{number}.zip"
    assert said["file"] == str(file)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert [p.name for p in file.parent.iterdir()] == [file.name]
    with pytest.raises(RuntimeError, match="Bad password"):
        unlock(file, "another")
    document, page = unlock(file, said["password"])
    require_form(document)
    assert pair.ask("SELECT verb, relation, why FROM ferry.looked ORDER BY relation") == [
        ("request run", f"{store}.person", f"request {number}") for store in ("legacy", "shop")
    ]
    assert "Ewa Lisowska" in page and "dzwonić do Ewy" in page and "Kotarsk" not in page
    assert "<script" not in page and "http" not in page.replace('http-equiv="', "")

    done = run("request", "show", number)[1]
    certificate = json.loads(done)["certificate"]
    assert certificate["rows"]["legacy.customers"] == 1 and certificate["rows"]["shop.order_line"] == 2
    assert certificate["named, not told"]["legacy.customers.pass_hash"] == "it is what you sign in with"
    for word in ("Lisowska", "ewa.lis", "601234567", said["password"]):
        assert word not in done
    before = file.read_bytes()
    code, out, err = run("request", "run", number)
    assert code == 0 and f"request {number} is done" in err and json.loads(out) == certificate
    assert file.read_bytes() == before


def test_everything_has_its_place_in_the_answer(pair: Pair, run: Run) -> None:  # noqa: F811
    pair.legacy.execute("UPDATE customers SET pass_hash = 'sha-of-ewa', last_ip = '192.0.2.9' WHERE id = 1")
    pair.legacy.execute("UPDATE orders SET currency = 'grzywna' WHERE id = 20")
    pair.legacy.execute("UPDATE customers SET phone = '(0) 601-234-567' WHERE id = 1")
    pair.legacy.execute(
        "INSERT INTO order_status_log (id, order_id, status_code, changed_by, note, changed_at) "
        "VALUES (70, 20, 'DONE', 'kasia.obsluga', 'wydano', '2020-01-03')"
    )
    pair.sync()
    pair.legacy.execute("UPDATE addresses SET street = 'Nowa 8' WHERE id = 5")
    backups.record(
        pair.shop,
        "demo",
        store="legacy",
        reason="by_hand",
        method="pg_dump",
        file="x",
        size=1,
        sha256="0" * 64,
        taken=pair.one("SELECT now()"),
        seconds=1,
        who="t",
        tables={},
        keep_until=pair.one("SELECT now() + interval '30 days'"),
        encrypted=False,
    )
    document, page = export_now(pair, "1")
    require_form(document)
    rows = {(t["store"], t["table"]): t["rows"] for t in document["data"]}
    [ewa] = rows["legacy", "customers"]
    assert ewa["email"] == "ewa.lis@example.com" and "pass_hash" not in ewa
    assert rows["legacy", "order_items"][0]["unit_price"] == "10.0000"  # as exact as it is held
    assert {o["number"] for o in rows["legacy", "orders"]} == {"A1", "A2"}  # hers, and the one without signing in
    assert rows["shop", "loyalty_account"][0]["balance"] == 5
    [moving] = document["mirror"]
    assert (moving["table"], moving["key"], moving["values"]["street"]) == ("legacy.addresses", "5", "Krótka 3")
    [waiting] = [q for q in document["quarantine"] if q["entity"] == "shop.customer_order"]
    assert (waiting["row"], waiting["reasons"]) == ("20", ["currency_unknown"])
    assert waiting["values"]["currency"] == "grzywna"
    assert {"legacy.customers", "legacy.addresses"} <= {c["table"] for c in document["corrections"]}
    assert ("(0) 601-234-567", "+48601234567") in {
        (c["raw"].rpartition("|")[2], c["value"]) for c in document["corrections"]
    }
    assert "601234567" in {s["values"]["phone"] for s in document["history"] if s["table"] == "legacy.customers"}
    assert [(x["entity"], x["row"], x["reasons"]) for x in document["left_out"]] == [
        ("shop.customer_address", "6", ["soft_deleted"]),
        ("shop.customer_credential", "1", ["password_scheme_unknown"]),
    ]
    [consents] = document["consents"]
    assert [(a["act"], a["ip"]) for a in consents["chain"]] == [("granted", "192.0.2.7")]
    assert consents["texts"][0]["text_version"] == "v1"
    assert document["derived"]["joined"][0]["account"] == "1"
    assert "may be written to by email for marketing, by consent" in document["derived"]["concluded"]
    assert {r["recipient"] for r in document["recipients"]} == {"the carrier", "the payment provider"}
    assert [c["place"] for c in document["copies"] if "backup" in c["place"]] == ["backup 1 of the old shop"]
    assert [(r["kind"], r["state"]) for r in document["requests"]] == [("access", "running")]
    assert document["columns"]["legacy.customers.phone"] == {
        "category": "contact",
        "purposes": ["contract", "delivery"],
        "basis": "contract",
        "kept": "as long as the account",
        "recipients": [],
    }
    why = {n["column"]: n["why"] for n in document["not_told"]}
    assert why["legacy.customers.last_ip"] == "no line of the data map says what it holds"
    assert why["legacy.order_status_log.changed_by"] == "it is data of staff"
    mine = {(t["table"], c) for t in document["provided_by_you"] for row in t["rows"] for c in row}
    assert {("customers", "email"), ("addresses", "street"), ("orders", "note")} <= mine
    assert not {c for _, c in mine} & {"id", "points", "deleted", "buyer_name"}
    for text in (json.dumps(document, ensure_ascii=False), page):
        assert not [w for w in ("sha-of-ewa", "kasia.obsluga", "192.0.2.9", "Kotarsk", "jan.kot") if w in text]


def test_what_was_somebody_elses_before_is_not_told(pair: Pair, run: Run) -> None:  # noqa: F811
    pair.write("UPDATE consents SET customer_id = 2, ip = '192.0.2.8' WHERE id = 8")
    pair.sync()
    pair.legacy.execute(
        "UPDATE addresses SET customer_id = 2, full_name = 'Jan K', street = 'Nowa 2', phone = NULL WHERE id = 5"
    )
    jan, page = export_now(pair, "2", "3")
    told = json.dumps(jan, ensure_ascii=False) + page
    assert "192.0.2.8" in told and "Nowa 2" in told
    assert not [w for w in ("192.0.2.7", "Krótka 3", "Ewa", "ewa.lis", "601234567") if w in told]
    ewa = json.dumps(export_now(pair, "1")[0], ensure_ascii=False)
    assert "Krótka 3" in ewa  # the mirror still has it of her
    assert not [w for w in ("192.0.2.8", "Nowa 2", "Kotarsk") if w in ewa]


def test_a_guest_is_told_of_the_rows_that_were_named(pair: Pair, run: Run) -> None:  # noqa: F811
    pair.write(
        "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
        "delivery_cost, ship_name, ship_street, ship_postcode, ship_city, ship_country, created_at) VALUES "
        "(23, 'A4', 0, 'ola@example.com', 'DONE', 10, 'PLN', 'BLIK', 'INPOST', 0, 'Ola Mak', 'Polna 4', '00-001', 'Łódź', 'PL', "
        "'2020-01-01')",
        "INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) "
        "VALUES (33, 23, 'S', 'Kubek', 1, 10, 23, 10)",
    )
    pair.sync()
    found = json.loads(run("person", "find", "--json", "--why", "she asks", typed="ola@example.com")[1])
    number = run("request", "open", "access", *(a["key"] for a in found), "--how", "a code by e-mail")[1].strip()
    run("request", "decide", number, "--grant")
    told = json.loads(run("request", "run", number, "--json")[1])
    document, page = unlock(Path(told["file"]), told["password"])
    require_form(document)
    assert {(t["store"], t["table"]) for t in document["data"]} >= {
        ("legacy", "orders"),
        ("legacy", "order_items"),
        ("shop", "customer_order"),
        ("shop", "order_line"),
        ("shop", "delivery"),
    }
    assert "Polna 4" in page and "Kubek" in page and "Lisowsk" not in page and "Kotarsk" not in page


def test_after_the_cutover_what_may_be_taken_along_comes_from_the_new_shop(pair: Pair, run: Run) -> None:  # noqa: F811
    pair.shop.execute("UPDATE ferry.route SET active = 'shop'")
    document, page = export_now(pair, "1")
    assert {t["store"] for t in document["provided_by_you"]} == {"shop"}
    assert "In the new shop, which is open now" in page


def test_an_answer_that_died_before_it_was_handed_over_is_made_again(pair: Pair, run: Run, data: Path) -> None:  # noqa: F811
    number = open_access(pair, "1")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export.run(find_settings(pair), number, "care", die)
    assert requests.load(pair.shop, "demo", number).state == "running"
    code, out, _ = run("request", "run", str(number), "--json")
    told = json.loads(out)
    assert code == 0
    assert unlock(data / "requests" / f"{number}.zip", told["password"])[0]["request"]["number"] == number
    assert told["certificate"]["request"] == number


def test_what_people_do_in_the_shop_is_closed_by_hand_with_what_was_done(pair: Pair, run: Run) -> None:  # noqa: F811
    for kind in ("rectification", "restriction", "objection"):
        number = run("request", "open", kind, "legacy:1", "--how", "passport")[1].strip()
        close = ("request", "close", number, "--what", "the street is corrected in legacy", "--who", "anna")
        code, _, err = run(*close)
        assert code == 1 and f"request {number} is open: only a granted one is closed" in err
        run("request", "decide", number, "--grant")
        code, _, err = run("request", "run", number)
        assert code == 1 and f"request {number} is {kind}: people do that in the shop" in err
        code, out, _ = run(*close)
        assert code == 0 and json.loads(out)["what"] == "the street is corrected in legacy"
        assert json.loads(run("request", "show", number)[1])["state"] == "done"
        assert run(*close)[0] == 1
    number = str(open_access(pair, "1"))
    code, _, err = run("request", "close", number, "--what", "x")
    assert code == 1 and f"`shopferry request run {number}` does it" in err


def test_only_a_granted_access_request_is_exported(pair: Pair, run: Run) -> None:  # noqa: F811
    number = run("request", "open", "erasure", "legacy:1", "--how", "passport")[1].strip()
    with pytest.raises(PhaseError, match=f"request {number} is erasure, open"):
        export.run(find_settings(pair), int(number), "care", lambda *_: None)


def test_an_answer_waits_while_a_phase_is_merged(pair: Pair) -> None:
    """An order of the new shop may be another person's in legacy by then, and its merge waits for the load."""
    number = open_access(pair, "1")
    pair.shop.execute("UPDATE ferry.phase SET state = 'merging' WHERE phase = 'orders'")
    with pytest.raises(PhaseError, match="phase orders is merging: an answer waits until it is in sync"):
        export.run(find_settings(pair), number, "care", lambda *_: None)
    assert requests.load(pair.shop, "demo", number).state == "granted"


def test_every_column_that_an_erasure_takes_or_keeps_is_told_or_named(pair: Pair, run: Run) -> None:  # noqa: F811
    document, _ = export_now(pair, "1")
    known = {*document["columns"], *(n["column"] for n in document["not_told"])}
    told_tables = {(t["store"], t["table"]) for t in document["data"]}
    asked, data_map = person.load(ROUTE), personal.load(ROUTE)
    for store, conn, schema in (("legacy", pair.legacy, "public"), ("shop", pair.shop, "shop")):
        for plan in erasure_plan.draw(conn, data_map, store, schema, asked.tables(store)):
            columns = {*plan.clears, *plan.contacts, *(k.column for k in plan.kept)}
            if (store, plan.table[1]) in told_tables:
                assert {f"{store}.{plan.table[1]}.{c}" for c in columns} <= known


# Unique words, planted wherever people's data may stand.


@dataclass
class Planted:
    """The words of each person, by number, and the columns that took none."""

    words: dict[int, dict[str, str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def make(self, number: int, store: str, table: str, column: str, limit: int, turn: int) -> str:
        """A word of its own, in the form that the column wants, and no longer than it takes."""
        serial = 1 + sum(len(w) for w in self.words.values())
        mine = self.words.setdefault(number, {})
        if "phone" in column:
            word = f"+4860{serial:07d}"
        elif column in {"ip", "granted_ip"}:
            word = f"2001:db8::{0x1000 + serial:x}"  # none is the beginning of another
        else:
            word = f"{number}w{turn}q{serial:x}q"
            if "email" in column:
                word += "@example.com"
        word = word[:limit]
        mine[f"{store}.{table}.{column} {turn}"] = word
        return word


def plant(pair: Pair, planted: Planted, store: str, turn: int, keys: dict[int, list[str]]) -> None:
    """Plant a word in each personal column of each of their rows of a store; what a constraint refuses stays as it was."""
    conn, schema, named = (pair.legacy, "public", "legacy") if store == "legacy" else (pair.shop, "shop", "shop")
    data_map, asked = personal.load(ROUTE), person.load(ROUTE)
    columns = conn.execute(
        "SELECT table_name, column_name, coalesce(character_maximum_length, 99), udt_name FROM information_schema.columns "
        "WHERE table_schema = %s AND udt_name IN ('text', 'varchar', 'inet') ORDER BY 1, ordinal_position",
        (schema,),
    ).fetchall()
    for table, column, limit, kind in columns:
        line = data_map.find(named, table, column)
        if (
            table not in asked.tables(store)
            or line is None
            or not line.category.of_people
            or line.people != "customers"
        ):
            continue
        if line.category is Category.CREDENTIAL or limit < 12:
            continue
        for number in keys:
            word = planted.make(number, store, table, column, limit, turn)
            try:
                with conn.transaction():
                    person.stage(conn, asked, store, keys[number])
                    conn.execute("SET LOCAL shopferry.writer = 'ferry'")
                    done = conn.execute(
                        SQL(
                            "UPDATE {} t SET {} = %s::{} WHERE EXISTS (SELECT FROM {} p WHERE to_jsonb(p) <@ to_jsonb(t))"
                        ).format(
                            Identifier(schema, table), Identifier(column), SQL(kind), Identifier(f"their_{table}")
                        ),
                        (word,),
                    ).rowcount
            except (psycopg.IntegrityError, psycopg.errors.GeneratedAlways):
                done = 0
            if not done:
                planted.refused.add(f"{store}.{table}.{column}")
                del planted.words[number][f"{store}.{table}.{column} {turn}"]


def people(number: int) -> list[str]:
    """One person with a row in each table of legacy."""
    n = number * 10
    return [
        "INSERT INTO customers (id, login, email, full_name, phone, bill_company, bill_street, bill_postcode, bill_city, "
        "bill_country, newsletter, created_at) "
        f"VALUES ({number}, 'login{n}', 'first{n}@example.com', 'Ewa Firstname{n}', '60123{n:04d}', 'Firm{n}', 'Street{n}', "
        f"'00-001', 'City{n}', 'PL', 'N', '2015-01-01')",
        "INSERT INTO addresses (id, customer_id, full_name, street, postcode, city, country, deleted) VALUES "
        f"({n}, {number}, 'Ewa At{n}', 'Way{n}', '00-001', 'Town{n}', 'PL', 'N'), "
        f"({n + 1}, {number}, 'Ewa Gone{n}', 'Gone{n}', '00-001', 'Gone{n}', 'PL', 'T')",
        "INSERT INTO consents (id, customer_id, email, channel, granted, granted_at, wording, ip) "
        f"VALUES ({n}, {number}, NULL, 'email', 'T', '2019-01-01', 'v1', '192.0.2.{number}')",
        "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
        "delivery_cost, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone, note, created_at) VALUES "
        f"({n}, 'O{n}', {number}, 'first{n}@example.com', 'DONE', 10, 'PLN', 'BLIK', 'INPOST', 0, 'Ewa Ship{n}', 'Quay{n}', "
        f"'00-001', 'Port{n}', 'PL', '60123{n:04d}', 'note{n}', '2020-01-01')",
        f"INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) "
        f"VALUES ({n}, {n}, 'S', 'Thing{n}', 1, 10, 23, 10)",
        "INSERT INTO order_status_log (id, order_id, status_code, changed_by, note, changed_at) "
        f"VALUES ({n}, {n}, 'DONE', 'staff', 'said{n}', '2020-01-03')",
        "INSERT INTO order_invoices (id, order_id, number, buyer_name, buyer_street, buyer_postcode, buyer_city, buyer_country, "
        f"total, currency, issued_at) VALUES ({n}, {n}, 'F{n}', 'Ewa Bill{n}', 'Bill{n}', '00-001', 'Bill{n}', 'PL', 10, 'PLN', "
        "'2020-01-02')",
        "INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) "
        f"VALUES ({n}, {number}, '28000000{n:05d}', 5, 'standard', '2020-01-01')",
        "INSERT INTO loyalty_log (id, account_id, kind, points, note, created_at) "
        f"VALUES ({n}, {n}, 'E', 5, 'for{n}', '2020-01-01')",
        f"INSERT INTO loyalty_redemptions (id, account_id, order_id, reward, points, status, created_at) "
        f"VALUES ({n}, {n}, {n}, 'Mug{n}', 1, 'DONE', '2020-01-01')",
        "INSERT INTO loyalty_rewards (id, customer_id, code, reward, points, earned_at, valid_until, state) "
        f"VALUES ({n}, {number}, 'code{n}', 'Gift{n}', 1, '2020-01-01', '2021-01-01', 'O')",
    ]


def test_all_words_of_a_person_are_in_their_own_answer_and_none_in_anybody_elses(pair: Pair) -> None:
    numbers = range(1, PERSONS + 1)
    pair.write(*(statement for number in numbers for statement in people(number)))
    pair.sync()
    pair.pass_phases()
    keys = {number: [str(number)] for number in numbers}
    shop = {n: person.follow(pair.shop, person.load(ROUTE), {"legacy": keys[n]})["shop"] for n in numbers}
    for number in numbers:
        pair.shop.execute(
            "INSERT INTO shop.consent_act (customer_id, purpose, channel, act, happened_at, wording_version) "
            "SELECT id, 'newsletter', 'email', 'granted', now(), 'v4' FROM shop.customer WHERE legacy_customer_id = %s",
            (number,),
        )
    planted = Planted()
    plant(pair, planted, "shop", 1, shop)  # written in the new shop alone
    plant(pair, planted, "legacy", 2, keys)
    pair.sync()  # into mirror, verdicts and quarantine
    assert pair.one("SELECT count(*) FROM ferry.quarantine") >= PERSONS
    plant(pair, planted, "legacy", 3, keys)  # not carried yet: the mirror holds what was planted before
    assert planted.refused == NO_WORDS
    # What was merged anew by then was planted before that; of it the new shop holds nothing.
    standing = json.dumps(pair.ask("SELECT to_jsonb(t) FROM shop.customer t"), default=str)
    assert "w1q" in standing or "w2q" in standing
    answers = {n: export_now(pair, str(n)) for n in numbers}
    for number, (document, page) in answers.items():
        require_form(document)
        told = json.dumps(document, ensure_ascii=False)
        words = planted.words[number]
        live = {place: word for place, word in words.items() if not place.endswith(" 1") or _stands(pair, place, word)}
        assert len(live) > 80
        assert {place: word for place, word in live.items() if word not in told} == {}
        assert {place: word for place, word in live.items() if word not in page} == {}
        first = f"first{number * 10}@example.com"  # in history alone
        assert first in told
        for other in numbers:
            if other != number:
                theirs = [w for w in planted.words[other].values() if w in told + page]
                assert theirs == [], f"words of {other} in the answer to {number}"
                assert f"first{other * 10}@" not in told


def _stands(pair: Pair, place: str, word: str) -> bool:
    """Whether the new shop still holds a word that was planted there: a row that was merged since says what legacy says."""
    _, table, column = place.partition(" ")[0].split(".")
    query = SQL("SELECT count(*) FROM {} WHERE {}::text LIKE %s").format(Identifier("shop", table), Identifier(column))
    row = pair.shop.execute(query, (f"{word}%",)).fetchone()
    return bool(row and row[0])
