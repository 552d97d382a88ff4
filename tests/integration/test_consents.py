"""`shopferry consent show` and `consent receipt`: one person's consents, and the whole chain of acts that led to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry import cli
from shopferry.engine import marks
from shopferry.privacy import consents, optout_files, optouts
from shopferry.route import route as routes
from shopferry.settings import PROJECT, SQL_ROOT

Run = Callable[..., tuple[int, str, str]]
PEOPLE = (
    "INSERT INTO customers (id, email, full_name, phone, bill_country, newsletter, created_at, deleted) VALUES "
    "(1, 'ewa@example.com', 'Ewa Lis', '601234567', 'PL', 'N', '2015-01-01', 'N'), "
    "(2, 'iza@example.com', 'Iza Sowa', NULL, 'PL', 'N', '2015-01-01', 'T')",
    "INSERT INTO consents (id, customer_id, email, channel, granted, granted_at, wording, ip) VALUES "
    "(5, 1, NULL, 'email', 'T', '2019-03-01 12:00', 'v1', '192.0.2.7'), "
    "(6, 2, NULL, 'fax', 'N', '2022-01-01 12:00', NULL, NULL), "
    "(7, 2, NULL, 'sms', 'T', '2021-01-01 12:00', 'v2', NULL), "
    "(8, 0, 'guest@example.com', 'email', 'N', '2023-01-01 12:00', NULL, NULL)",
)


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(*words)` is `shopferry consent` on the pair: exit code, what it prints, what it complains of."""
    for name, conn in (("LEGACY", pair.legacy), ("SHOP", pair.shop)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", read_dsn(conn))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["consent", *words, "--why", "test"])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def live(pair: Pair) -> str:
    """Ewa says yes, takes it back, and legacy forgets that; her mail tool and the new shop know more. Returns her number."""
    pair.write(*PEOPLE)
    pair.sync()
    pair.pass_phases(["contacts"])
    pair.write("UPDATE consents SET withdrawn_at = '2024-05-01 12:00' WHERE id = 5")
    pair.write("UPDATE consents SET withdrawn_at = NULL WHERE id = 5")
    pair.sync()
    file = optout_files.read(b"email,channel,reason,at\newa@example.com,email,unsubscribed,2024-06-01\n", "f", "csv")
    optouts.take(pair.stores, file, "list", "csv", "test")
    ewa = pair.one("SELECT customer_id FROM shop.customer_account WHERE legacy_customer_id = 1")
    pair.shop.execute(
        "INSERT INTO shop.consent_act (customer_id, purpose, channel, act, happened_at, wording_version) "
        "VALUES (%s, 'newsletter', 'email', 'granted', '2025-01-01', 'v4')",
        (ewa,),
    )
    return str(ewa)


def acts(told: dict[str, Any]) -> list[tuple[str, str | None, str, str | None, bool]]:
    return [(a["purpose"], a["channel"], a["act"], a["text_version"], a["overwritten"]) for a in told["chain"]]


def test_the_chain_is_shown_oldest_first_whatever_legacy_still_says(pair: Pair, run: Run) -> None:
    ewa = live(pair)
    code, out, _ = run("show", ewa, "--json")
    told = json.loads(out)
    assert code == 0 and told["person"] == ewa
    assert acts(told) == [
        ("marketing", "email", "granted", "v1", False),
        ("marketing", "email", "withdrawn", "v1", True),
        ("marketing", "email", "objected", None, False),
        ("newsletter", "email", "granted", "v4", False),
    ]
    assert [a["source"].partition(":")[0] for a in told["chain"]] == ["consents", "consents", "optout", "here"]
    [state] = told["state"]
    assert (state["purpose"], state["channel"], state["state"], state["basis"]) == (
        "marketing",
        "email",
        "withdrawn",
        "consent",
    )
    assert state["why"] == pair.one("SELECT why FROM shop.consent")
    mark = marks.make("ewa@example.com")
    assert state["address_mark"] == f"{mark[:8]}…" and told["chain"][0]["address_mark"] == state["address_mark"]
    for same in ("legacy:1", f" 0{ewa}"):
        assert run("show", same, "--json")[1] == out


def test_what_is_printed_masks_ip_addresses(pair: Pair, run: Run) -> None:
    ewa = live(pair)
    _, out, _ = run("show", ewa)
    assert "999.9.9.9" in out and "192.0.2.7" not in out
    assert all(word in out for word in ("objected", "2019-03-01 11:00:00 UTC", "opted_out"))
    assert "ewa@" not in out and "601234567" not in out
    assert "192.0.2.7" in run("show", ewa, "--values")[1]
    assert "192.0.2.7" not in run("show", ewa, "--json")[1]


def test_a_deleted_account_has_its_chain(pair: Pair, run: Run) -> None:
    live(pair)
    assert pair.ask("SELECT legacy_customer_id FROM shop.customer") == [(1,)]
    code, out, _ = run("show", "legacy:2", "--json")
    told = json.loads(out)
    assert code == 0 and told["state"] == []
    assert acts(told) == [
        ("marketing", "sms", "granted", "v2", False),
        ("marketing", None, "withdrawn", None, False),
    ]
    assert run("show", told["person"], "--json")[1] == out
    [record] = receipt(run, "legacy:2")["consent_records"]
    assert [e["act"] for e in record["events"]] == ["granted", "withdrawn"]  # what cannot be read refuses all


def test_an_unknown_person_is_one_sentence(pair: Pair, run: Run) -> None:
    live(pair)
    keys = ["999999", "Ewa@example.com", "9" * 30, "legacy:9", "legacy:x", "legacy:", "legacy:0", "1; DROP TABLE x"]
    for key in keys:
        for verb in ("show", "receipt"):
            code, out, err = run(verb, key)
            assert (code, out) == (1, ""), key
            assert err.startswith("shopferry: no such person") and len(err.splitlines()) == 1
            assert key == "legacy:" or key not in err  # it may be an address


def receipt(run: Run, key: str) -> dict[str, Any]:
    code, out, _ = run("receipt", key)
    assert code == 0
    made: dict[str, Any] = json.loads(out)
    schema = json.loads((PROJECT / "docs" / "reference" / "consent-receipt.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(made)
    return made


def test_a_receipt_holds_a_record_per_purpose_and_channel(pair: Pair, run: Run) -> None:
    ewa = live(pair)
    made = receipt(run, ewa)
    marketing, newsletter = made["consent_records"]
    [purpose] = marketing["pii_processing"]["purposes"]
    assert purpose["pii_information"] == [
        {"pii_type": "pd:EmailAddress", "pii_attribute_id": marks.make("ewa@example.com")}
    ]
    assert purpose["lawful_basis"] == "dpv:Consent"
    assert [(e["event_state"], e["event_type"]) for e in marketing["events"]] == [
        ("dpv:ConsentGiven", "explicit"),
        ("dpv:ConsentWithdrawn", "explicit"),
        ("dpv:ConsentRefused", "explicit"),
    ]
    assert marketing["events"][0]["event_time"] == "2019-03-01T11:00:00+00:00"
    assert marketing["consent_status"]["status"] == "dpv:ConsentWithdrawn"
    assert "consent_status" not in newsletter
    [notice] = marketing["pii_processing"]["privacy_notices"]
    assert (notice["text_version"], notice["language"]) == ("v1", "pl")
    assert notice["sha256"] == pair.one(
        "SELECT encode(sha256(convert_to(body, 'UTF8')), 'hex') FROM shop.consent_text WHERE version = 'v1'"
    )
    [party] = marketing["party_identification"]
    assert party["party_name"] == "Sklep Demo sp. z o.o." and purpose["pii_controllers"] == [party["party_id"]]
    again = receipt(run, "legacy:1")
    assert [r["record_id"] for r in again["consent_records"]] == [r["record_id"] for r in made["consent_records"]]
    assert again["receipt_id"] != made["receipt_id"]


def test_a_receipt_names_nobody_but_by_number_and_mark(pair: Pair, run: Run) -> None:
    written = json.dumps(receipt(run, live(pair)))
    assert "@" not in written and "601234567" not in written and "192.0.2.7" not in written and "Lis" not in written


def test_a_yes_to_a_text_that_nobody_knows_is_implied(pair: Pair, run: Run) -> None:
    pair.write(PEOPLE[0], "UPDATE customers SET newsletter = 'T', newsletter_date = '2012-01-01' WHERE id = 1")
    pair.pass_phases(["contacts"])
    [record] = receipt(run, "legacy:1")["consent_records"]
    assert [e["event_type"] for e in record["events"]] == ["implied"]
    assert record["consent_status"]["status"] == "dpv:ConsentUnknown"


def test_every_person_of_a_whole_shop_has_a_receipt(filled: Pair) -> None:
    from shopferry.privacy import receipt as receipts

    filled.pass_phases(["contacts"])
    schema = json.loads((PROJECT / "docs" / "reference" / "consent-receipt.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    people = filled.ask(
        "SELECT customer_id FROM shop.consent_chain WHERE source NOT LIKE 'consents:%/0:%' "  # guests are nobody alone
        "UNION SELECT customer_id FROM shop.consent ORDER BY 1"
    )
    shown = 0
    for (person,) in people[:: max(1, len(people) // 40)]:
        with filled.shop.transaction():
            found = consents.read(filled.shop, ROUTE, str(person))
        validator.validate(receipts.make(found))
        shown += len(found.chain)
    assert shown > 40


@pytest.fixture
def rewrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """`rewrite(old, new)` changes the route's consents.sql; an empty `new` with an empty `old` takes it away."""
    file = tmp_path / "demo" / consents.FILE
    file.parent.mkdir()
    monkeypatch.setattr(consents, "find_folder", lambda name: routes.find_folder(name, tmp_path))

    def rewrite(old: str, new: str) -> None:
        text = (SQL_ROOT / "demo" / consents.FILE).read_text()
        assert old in text
        if old:
            file.write_text(text.replace(old, new))

    return rewrite


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("", "", "route demo has no consents.sql: write the queries person, state, chain, texts"),
        ("-- name: texts", "-- name: wordings", "demo/consents.sql:1: there is no query `-- name: texts`"),
        ("c.known_at, ", "", "demo/consents.sql: query chain lacks known_at: it must yield happened_at"),
        ("s.why, s.basis, ", "", "query state lacks why, basis"),
        (
            "SELECT id FROM shop.customer",
            "SELECT id AS number FROM shop.customer",
            'query person: column "id" does not exist',
        ),
        ("FROM shop.consent s", "FROM shop.nothing s", 'query state: relation "shop.nothing" does not exist'),
        ("ELSE s.state::text END", "ELSE 'maybe' END", "query state: a value of state is none of granted"),
        ("c.happened_at, ", "c.happened_at::date, ", "query chain: happened_at must be a timestamptz"),
        ("SELECT version AS", "SELECT 1 / 0, version AS", "query texts: DivisionByZero"),
        (
            "SELECT version",
            "WITH gone AS (DELETE FROM shop.consent_act RETURNING id) SELECT version",
            "query texts: ReadOnlySqlTransaction",
        ),
        (
            "-- identity: customer",
            "-- identity: client",
            "demo/consents.sql:1: identity 'client' is none of this route's",
        ),
        ("-- identity: customer", "-- prose", "demo/consents.sql has no line `-- identity:`"),
    ],
)
def test_a_file_that_is_wrong_is_named(
    pair: Pair, run: Run, rewrite: Callable[[str, str], None], old: str, new: str, says: str
) -> None:
    live(pair)
    rewrite(old, new)
    code, out, err = run("show", "legacy:1")
    assert (code, out) == (1, "")
    assert says in err and len(err.splitlines()) == 1


def test_after_finish_the_new_shops_number_is_asked_for(pair: Pair, run: Run) -> None:
    ewa = live(pair)
    with pair.shop.transaction(force_rollback=True):
        pair.shop.execute("ALTER TABLE ferry.identity RENAME TO identity_gone")
        with pytest.raises(consents.ConfigError, match="give the new shop's number"):
            consents.read(pair.shop, ROUTE, "legacy:1")
        assert len(consents.read(pair.shop, ROUTE, ewa).chain) == 4
