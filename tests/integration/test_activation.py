"""`shopferry activate` and `campaign`: what is handed over, refused, booked, and told to the person whose data it is."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry import cli, db
from shopferry.assess.findings import Finding
from shopferry.authoring import queries
from shopferry.control import activations, requests
from shopferry.control.requests import Opening
from shopferry.engine import marks
from shopferry.errors import GateError, MappingError, PhaseError
from shopferry.insight import activation, activation_file, campaigns, delivery, handover, permission
from shopferry.insight.activation import Draft
from shopferry.insight.selects import Select
from shopferry.privacy import erasure, optout_files, optouts
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.route.settings import RouteSettings, Terms
from shopferry.settings import SQL_ROOT
from shopferry.stores import origin
from test_erasure import PEOPLE, erase, open_erasure
from test_export import export_now, require_form

KLAVIYO, SMS = "marketing_email_klaviyo", "marketing_sms_csv"
EWA, JAN = "ewa.lis@example.com", "jan.kot@example.com"


@pytest.fixture
def moved(pair: Pair) -> Pair:
    """Ewa and Jan, who may both be written to by e-mail, and Ewa by SMS."""
    pair.write(
        *PEOPLE,
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        "VALUES (10, 1, 'sms', 'T', '2021-01-01', 'v1')",
    )
    pair.sync()
    pair.pass_phases()
    return pair


@contextmanager
def session(pair: Pair) -> Iterator[db.Connection]:
    """A session of its own, since a run has its lock until its session ends."""
    with db.connect(read_dsn(pair.shop), "test") as shop:
        yield shop


def number(pair: Pair, account: int) -> str:
    """The new shop's key of an account of legacy."""
    found = pair.one(f"SELECT customer_id FROM shop.customer_account WHERE legacy_customer_id = {account}")
    return str(found)


def draw(shop: db.Connection, name: str = KLAVIYO, body: str = "") -> Draft:
    one = activation_file.find(activation_file.load(ROUTE), name)
    if body:
        one = activation_file.Activation(**{**vars(one), "select": Select(Path("x.sql"), 3, body)})
    return activation.draw(shop, ROUTE, permission.load(ROUTE), one)


def hand(shop: db.Connection, drawn: Draft, folder: Path, approved_by: str | None = "Ada") -> list[Path]:
    asked = permission.load(ROUTE)
    done = delivery.hand_over(shop, ROUTE, asked, drawn, folder, who="test", why="test", approved_by=approved_by)
    return list(done.files)


def in_shop(pair: Pair, *statements: str) -> None:
    """One transaction of the shop's application."""
    with pair.shop.transaction():
        pair.shop.execute(f"SELECT {origin.WRITER}".encode())
        for statement in statements:
            pair.shop.execute(statement.encode())


def kinds(files: list[Path]) -> list[str]:
    return [file.name.partition("-")[2].partition("-")[2] for file in files]


def addresses(file: Path) -> list[str]:
    """The addresses of a Klaviyo's import, or the first column of a CSV."""
    if file.suffix == ".json":
        profiles = json.loads(file.read_text())["data"]["attributes"]["profiles"]["data"]
        return [p["attributes"]["email"] for p in profiles]
    return [row[0] for row in list(csv.reader(file.read_text().splitlines()))[1:]]


def test_the_first_run_wants_an_approval_and_names_the_counts(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop, pytest.raises(PhaseError) as refused:
        hand(shop, draw(shop), tmp_path, approved_by=None)
    assert (
        "first run of marketing_email_klaviyo to Klaviyo Inc., Boston: 2 people come in, 0 have changed, 0 leave"
        in str(refused.value)
    )
    assert "--approve NAME" in str(refused.value) and not list(tmp_path.iterdir())
    with session(moved) as shop:
        files = hand(shop, draw(shop), tmp_path)
    assert kinds(files) == ["2-suppressed.csv", "3-members.json"]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert sorted(addresses(files[-1])) == [EWA, JAN]
    with session(moved) as shop:  # the second needs none, and has nothing to say
        assert kinds(hand(shop, draw(shop), tmp_path, approved_by=None)) == ["2-suppressed.csv"]


def test_leavers_come_first_and_changes_alone_after_them(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop:
        hand(shop, draw(shop), tmp_path)
    ewa, jan = number(moved, 1), number(moved, 2)
    in_shop(
        moved,
        f"UPDATE shop.consent SET state = 'withdrawn', withdrawn_at = now() WHERE customer_id = {jan} AND channel = 'email'",
        f"UPDATE shop.customer SET given_name = 'Ewelina' WHERE id = {ewa}",
    )
    with session(moved) as shop:
        files = hand(shop, draw(shop), tmp_path)
    assert kinds(files) == ["1-leavers.csv", "2-suppressed.csv", "3-members.json"]
    assert [addresses(file) for file in files] == [[JAN], [JAN], [EWA]]
    booked = moved.ask("SELECT gained, changed, lost, suppressed FROM ferry.activation_run ORDER BY id DESC LIMIT 1")
    assert booked == [(0, 1, 1, 1)]


def test_who_left_with_an_old_address_is_named_by_that_address(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop:
        hand(shop, draw(shop), tmp_path)
    moved.write("UPDATE customers SET email = 'ewa.nowa@example.com' WHERE id = 1")
    moved.sync()
    with session(moved) as shop:
        files = hand(shop, draw(shop), tmp_path)
    assert kinds(files) == ["1-leavers.csv", "2-suppressed.csv"]  # the consent was for the old one
    assert addresses(files[0]) == [EWA]


def test_where_hashes_are_taken_all_who_refuse_are_named_and_no_address(moved: Pair, tmp_path: Path) -> None:
    moved.write(
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at) VALUES (11, 2, 'sms', 'N', '2022-01-01')"
    )
    moved.sync()
    with session(moved) as shop:
        files = hand(shop, draw(shop, SMS), tmp_path)
    suppressed, members = files
    assert kinds(files) == ["2-suppressed.csv", "3-members.csv"]
    [line] = csv.DictReader(suppressed.read_text().splitlines())
    assert len(line["sha256"]) == 64 and line["customer_id"] == number(moved, 2)
    assert "+48601234568" not in suppressed.read_text() and addresses(members) == ["+48601234567"]


def test_control_tables_hold_no_address(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop:
        hand(shop, draw(shop), tmp_path)
    held = str(moved.ask("SELECT * FROM ferry.activation_member")) + str(
        moved.ask("SELECT * FROM ferry.activation_run")
    )
    assert "@example" not in held and marks.make(EWA) in held


@pytest.mark.parametrize("kind", ["restriction", "objection", "erasure"])
@pytest.mark.parametrize("store", ["legacy", "shop"])
def test_who_has_asked_to_be_left_in_peace_leaves_and_a_refused_request_bars_nobody(
    moved: Pair, kind: str, store: str
) -> None:
    key = "1" if store == "legacy" else number(moved, 1)
    asked = requests.open_request(
        moved.shop, "demo", Opening(kind, date(2026, 1, 2), "care", "passport"), {store: [key]}
    )
    with session(moved) as shop:
        assert [row.address for row in draw(shop).present.values()] == [JAN]
        requests.refuse(moved.shop, asked, "dpo", "not theirs")
        assert len(draw(shop).present) == 2


def test_an_opt_out_counts_at_once_and_whatever_the_shop_says(moved: Pair) -> None:
    file = optout_files.read(f"email,channel,reason,at\n{JAN},email,bounced,2015-01-01\n".encode(), "f", "csv")
    optouts.take(moved.stores, file, "list", "csv", "test")
    assert moved.one("SELECT count(*) FROM shop.audience WHERE channel = 'email'") == 2  # the grant is later
    with session(moved) as shop:
        assert [row.address for row in draw(shop).present.values()] == [EWA]


def test_consent_is_looked_at_once_more_when_it_is_handed_over(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop:
        drawn = draw(shop)
        moved.write("UPDATE consents SET withdrawn_at = '2024-01-01' WHERE id = 9")
        moved.sync()
        files = hand(shop, drawn, tmp_path)
    assert addresses(files[-1]) == [EWA]
    assert moved.one("SELECT withheld FROM ferry.activation_run") == 1


def test_a_run_that_was_broken_off_is_done_again_and_lets_go_whom_it_may_have_handed_over(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = handover.write

    def die(*given: Any) -> list[Path]:
        whole(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(handover, "write", die)
    with session(moved) as shop, pytest.raises(KeyboardInterrupt):
        hand(shop, draw(shop), tmp_path)
    assert moved.ask("SELECT DISTINCT state FROM ferry.activation_member") == [("failed",)]
    monkeypatch.setattr(handover, "write", whole)
    moved.write("UPDATE consents SET withdrawn_at = '2024-01-01' WHERE id = 9")
    moved.sync()
    with session(moved) as shop:
        files = hand(shop, draw(shop), tmp_path)
    assert [addresses(file) for file in files] == [[JAN], [JAN], [EWA]]
    assert moved.ask("SELECT state FROM ferry.activation_member ORDER BY 1") == [("in",), ("out",)]


def test_two_sessions_do_not_hand_over_the_same(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop, session(moved) as other:
        hand(shop, draw(shop), tmp_path)
        with pytest.raises(PhaseError, match="is handed over by somebody else now"):
            hand(other, draw(other), tmp_path)


def test_old_lists_of_opt_outs_refuse_a_run(moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def require(terms: Terms) -> None:
        monkeypatch.setattr(route_settings, "load", lambda *_: RouteSettings(cutover=terms))

    require(Terms(optout_sources=("mailchimp",)))
    with session(moved) as shop, pytest.raises(GateError, match="mailchimp: never imported"):
        hand(shop, draw(shop), tmp_path)
    assert not list(tmp_path.iterdir()) and moved.one("SELECT count(*) FROM ferry.activation_run") == 0
    file = optout_files.read(b"email,channel,reason,at\nx@example.com,email,bounced,\n", "f", "csv")
    optouts.take(moved.stores, file, "mailchimp", "csv", "test")
    with session(moved) as shop:
        assert hand(shop, draw(shop), tmp_path)
    moved.shop.execute("UPDATE ferry.optout_import SET imported_at = now() - interval '25 hours'")
    with session(moved) as shop, pytest.raises(GateError, match=r"mailchimp: 25\.0 h old"):
        hand(shop, draw(shop), tmp_path)
    require(Terms(optout_sources=("mailchimp",), optout_waived_by={"mailchimp": "Ada"}))
    with session(moved) as shop:
        assert hand(shop, draw(shop), tmp_path)


def test_nothing_is_handed_over_while_the_shop_is_filled(moved: Pair) -> None:
    moved.shop.execute("UPDATE ferry.phase SET state = 'copying' WHERE phase = 'loyalty'")
    with session(moved) as shop, pytest.raises(PhaseError, match="phase loyalty is copying"):
        draw(shop)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "SELECT id AS customer_id,\n  nothing AS email FROM shop.customer",
            'x.sql:4: column "nothing" does not exist',
        ),
        ("SELECT id AS customer_id FROM shop.customer", "klaviyo wants the address as column 'email'"),
        ("SELECT email FROM shop.customer", "yields no column customer_id"),
        ("SELECT id AS customer_id, email, 1 AS a, 2 AS a FROM shop.customer", "yields column 'a' twice"),
        ("SELECT c.id AS customer_id, c.email FROM shop.customer c, generate_series(1, 2)", "twice: one row a person"),
        (
            "SELECT NULL::bigint AS customer_id, ''::text AS email FROM shop.customer",
            "does not run|without customer_id|^$",
        ),
        (
            f"SELECT id AS customer_id, '{EWA}'::text AS email FROM shop.customer",
            "is not the address that query `people` has",
        ),
        (
            "SELECT id AS customer_id, NULL::text AS email FROM shop.customer",
            "is not the address that query `people` has",
        ),
        (
            "SELECT id AS customer_id, email, repeat('x', 100001) AS note FROM shop.customer",
            "column 'note' of customer",
        ),
    ],
)
def test_what_a_select_may_not_yield_is_named_by_line_and_key(moved: Pair, body: str, says: str) -> None:
    with session(moved) as shop:
        if "NULL::bigint" in body:  # a row of nobody is nobody's
            assert not draw(shop, body=body).present
            return
        with pytest.raises(MappingError, match=says) as refused:
            draw(shop, body=body)
    assert str(refused.value).startswith("x.sql:") and "@example.com" not in str(refused.value)


def test_a_file_cannot_write(moved: Pair) -> None:
    moved.shop.execute(
        "CREATE FUNCTION pg_temp_write() RETURNS text LANGUAGE sql AS $$ UPDATE shop.customer SET phone = NULL RETURNING email $$"
    )
    with session(moved) as shop, pytest.raises(MappingError, match="writes: it may only read"):
        draw(shop, body="SELECT id AS customer_id, email, pg_temp_write() AS x FROM shop.customer")
    moved.shop.execute("DROP FUNCTION pg_temp_write")


def test_verbs_list_preview_and_run(moved: Pair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    for name, conn in (("LEGACY", moved.legacy), ("SHOP", moved.shop)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", read_dsn(conn))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(["activate", "preview", KLAVIYO, "--json", "--why", "the first run"]) == 0
    shown = capsys.readouterr().out
    told = json.loads(shown)
    assert (told["gained"], told["present"], len(told["rows"])) == (2, 2, 2)
    assert EWA not in shown and told["rows"][0]["email"].endswith(".xxx")
    assert cli.main(["activate", "run", KLAVIYO, "--to", str(tmp_path / "out"), "--why", "weekly"]) == 1
    assert "--approve NAME" in capsys.readouterr().err
    words = ["--to", str(tmp_path / "out"), "--why", "weekly", "--approve", "Ada", "--who", "Jo", "--json"]
    assert cli.main(["activate", "run", KLAVIYO, *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [Path(f).exists() for f in told["files"]] == [True, True]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert cli.main(["activate", "list", "--json"]) == 0
    listed = {one["activation"]: one for one in json.loads(capsys.readouterr().out)}
    assert (listed[KLAVIYO]["people"], listed[SMS]["people"], listed[SMS]["last_run"]) == (2, 0, None)
    assert moved.ask("SELECT who, verb, why FROM ferry.looked ORDER BY id DESC LIMIT 1") == [
        ("Jo", "activate run", "weekly")
    ]
    assert cli.main(["activate", "preview", "nothing", "--why", "x"]) == 1
    assert "there is no activation 'nothing'" in capsys.readouterr().err


def test_an_answer_and_a_certificate_name_who_was_handed_what(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop:
        hand(shop, draw(shop), tmp_path)
    document, page = export_now(moved, "1")
    require_form(document)
    [klaviyo] = [r for r in document["recipients"] if "Klaviyo" in r["recipient"]]
    [handed] = klaviyo["handed_over"]
    assert (handed["by"], handed["let_go"], handed["fields"][:2]) == (KLAVIYO, False, ["email", "first_name"])
    assert "Klaviyo Inc., Boston" in page and handed["first"][:10] in page
    found = activations.load_handed_over(moved.shop, "demo", [number(moved, 1)])
    one = open_erasure(moved, "shop", number(moved, 1))
    certificate = erasure._write_certificate(one, "dpo", {})
    [told] = certificate["recipients to be told"]
    assert (told["recipient"], told["activation"], told["told to let go"]) == (found[0].recipient, KLAVIYO, False)
    assert EWA not in json.dumps(certificate)


def test_who_was_erased_leaves_by_the_number(moved: Pair, tmp_path: Path) -> None:
    with session(moved) as shop:
        hand(shop, draw(shop), tmp_path)
    ewa = number(moved, 1)
    for _ in erase(moved, open_erasure(moved)):
        pass
    with session(moved) as shop:
        files = hand(shop, draw(shop), tmp_path)
    assert kinds(files) == ["1-leavers.csv", "2-suppressed.csv"]
    assert files[0].read_text().splitlines()[1] == f",{ewa}"


def ask(pair: Pair, name: str) -> dict[str, tuple[str, str]]:
    """Of each customer on a list how they may be asked, and how the file would have it."""
    with session(pair) as shop:
        campaign = campaigns.find(campaigns.load(ROUTE), name)
        drawn = campaigns.draw(shop, ROUTE, permission.load(ROUTE), campaign)
    return {one.customer_id: (one.may_ask_by, one.proposed) for one in drawn}


def test_the_demos_lists_ask_by_e_mail_only_whom_they_may(moved: Pair) -> None:
    moved.write("UPDATE customers SET phone = NULL", "UPDATE consents SET granted_at = NULL WHERE id = 9")
    moved.sync()
    ewa, jan = number(moved, 1), number(moved, 2)
    assert ask(moved, "contact_data_incomplete") == {ewa: ("email", "email"), jan: ("next_sign_in", "email")}
    assert ask(moved, "consent_to_ask_again") == {jan: ("next_sign_in", "next_sign_in")}
    assert ask(moved, "password_to_be_set") == {ewa: ("order_mail", "order_mail"), jan: ("order_mail", "order_mail")}
    assert ask(moved, "inactive_to_be_warned").keys() == {ewa, jan}
    moved.write("UPDATE consents SET withdrawn_at = '2024-01-01' WHERE id IN (8, 9)")
    moved.sync()
    assert ask(moved, "contact_data_incomplete")[jan] == ("nobody", "email")
    assert ask(moved, "consent_to_ask_again") == {}
    opening = Opening("restriction", date(2026, 1, 2), "care", "passport")
    requests.open_request(moved.shop, "demo", opening, {"shop": [ewa]})
    assert ask(moved, "password_to_be_set")[ewa] == ("nobody", "order_mail")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("SELECT id AS customer_id, 'x' AS why, 'pigeon' AS may_ask_by FROM shop.customer", "is none of email, sms"),
        ("SELECT id AS customer_id, NULL AS why, 'post' AS may_ask_by FROM shop.customer", "why of customer"),
        ("SELECT id AS customer_id, 'email' AS may_ask_by FROM shop.customer", "not customer_id, why, may_ask_by"),
    ],
)
def test_a_list_that_says_something_else_is_refused(moved: Pair, body: str, says: str) -> None:
    campaign = campaigns.Campaign("x", "x", "x", "marketing", Select(Path("x.sql"), 2, body))
    with session(moved) as shop, pytest.raises(MappingError, match=says):
        campaigns.draw(shop, ROUTE, permission.load(ROUTE), campaign)


def test_route_check_plans_them_and_names_the_line(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    route = Route.load("demo")

    def check() -> list[Finding]:
        with pair.shop.transaction(force_rollback=True):
            return list(queries._judge_activations(pair.shop, route))

    assert check() == []
    file = tmp_path / "demo" / activation_file.FOLDER / f"{SMS}.sql"
    file.write_text(file.read_text().replace("c.given_name", "c.first_name"))
    other = tmp_path / "demo" / campaigns.FOLDER / "password_to_be_set.sql"
    other.write_text(other.read_text().replace("AS why", "AS reason"))
    asked = tmp_path / "demo" / permission.FILE
    asked.write_text(
        asked.read_text().replace("SELECT id AS customer_id, email, phone", "SELECT id AS customer_id, email")
    )
    found = {f.subject: f.text for f in check()}
    assert {where.rpartition("/")[2] for where in found} == {
        f"{SMS}.sql:8",
        "password_to_be_set.sql:5",
        "activation.sql:6",
    }
    assert found[f"demo/activate/{SMS}.sql:8"] == "column c.first_name does not exist"
