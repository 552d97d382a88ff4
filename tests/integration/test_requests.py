"""Requests as people bring them: who is found, what is opened, what is refused, and that nothing of them is stored."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pair import Pair, read_dsn
from shopferry import assess, cli
from shopferry.errors import PhaseError
from shopferry.privacy import person, reception
from shopferry.settings import SQL_ROOT, Settings
from test_erasure import PEOPLE

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(*words, typed=…)` is `shopferry` on the pair: exit code, what it prints, what it complains of."""
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", read_dsn(pair.legacy))
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", read_dsn(pair.shop))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    pair.write(*PEOPLE)
    pair.write(
        "INSERT INTO customers (id, email, full_name, newsletter, created_at) VALUES "
        "(3, 'jan.kot@example.com', 'Jan Kotarski', 'N', '2016-01-01')"
    )
    pair.sync()
    pair.pass_phases()

    def run(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
        code = cli.main([*words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_somebody_is_found_by_what_they_call_themselves_and_shown_as_a_shape(run: Run) -> None:
    for typed in (" Ewa.Lis@Example.com", "+48 601 234 567"):
        code, out, _ = run("person", "find", "--json", "--why", "she has asked", typed=typed)
        assert code == 0
        found = [(a["key"], a["called"]) for a in json.loads(out) if "/" not in a["key"]]
        assert [(key.partition(":")[0], called) for key, called in found] == [
            ("legacy", "Xxx Xxxxxxxx"),
            ("shop", "Xxx Xxxxxxxx"),
        ]


def test_who_is_not_there_is_one_sentence_and_nothing_is_stored(pair: Pair, run: Run) -> None:
    for words, typed, says in (
        (("person", "find", "--why", "test"), "who@example.com", "no account and no guest has that e-mail or number"),
        (("person", "find", "--why", "test"), "", "nothing was typed"),
        (("request", "open", "erasure", "legacy:99", "--how", "passport"), "", "there is no legacy:99"),
        (("request", "open", "erasure", "ewa", "--how", "passport"), "", "'ewa' is no key"),
        (("request", "run", "7"), "", "there is no request 7"),
    ):
        code, out, err = run(*words, typed=typed)
        assert (code, out) == (1, "") and says in err and len(err.splitlines()) == 1
    assert pair.one("SELECT count(*) FROM ferry.request") == 0
    assert pair.one("SELECT count(*) FROM ferry.looked") == 0
    assert pair.one("SELECT count(*) FROM shopferry.erased") == 0


def test_accounts_that_are_one_customer_are_named_together(pair: Pair, run: Run) -> None:
    code, _, err = run("request", "open", "erasure", "legacy:2", "--how", "passport")
    assert code == 1 and "is one customer with legacy:3" in err
    code, out, _ = run("request", "open", "erasure", "legacy:2", "legacy:3", "--how", "passport")
    assert code == 0
    assert pair.ask("SELECT store FROM ferry.request_person WHERE request = %s ORDER BY 1", int(out)) == [
        ("legacy",),
        ("legacy",),
        ("shop",),
    ]


def test_what_stands_in_the_way_is_listed_until_somebody_says_why_not(pair: Pair, run: Run) -> None:
    number = run("request", "open", "erasure", "legacy:1", "--how", "passport", "--who", "anna")[1].strip()
    code, _, err = run("request", "run", number)
    assert code == 1 and f"request {number} is erasure, open" in err
    code, _, err = run("request", "decide", number, "--grant")
    assert code == 1 and "card 50 has 5 points" in err
    assert run("request", "decide", number, "--grant", "--despite", "she gives them up", "--who", "the-dpo")[0] == 0
    code, _, err = run("request", "decide", number, "--refuse", "too late")
    assert code == 1 and f"request {number} is granted already, by the-dpo" in err
    [told] = json.loads(run("request", "list", "--json")[1])
    assert (told["state"], told["despite"], told["verified_by"]) == ("granted", "she gives them up", "anna")
    assert told["due"] > told["received"]


def test_without_the_key_of_marks_nothing_begins(pair: Pair, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    number = run("request", "open", "erasure", "legacy:1", "--how", "passport")[1].strip()
    run("request", "decide", number, "--grant", "--despite", "test")
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", "another key than before, long enough for marks")
    code, _, err = run("request", "run", number)
    assert code == 1 and "SHOPFERRY_MARK_KEY is not the key" in err
    assert pair.one("SELECT count(*) FROM shopferry.erased") == 0
    assert pair.one("SELECT email FROM shop.customer WHERE legacy_customer_id = 1") == "ewa.lis@example.com"


def test_a_table_with_peoples_data_that_no_query_is_about_is_named(
    pair: Pair, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    file = tmp_path / "demo" / "person.sql"
    file.write_text(re.sub(r"-- name: legacy\.addresses\n.*?\n\n", "", file.read_text(), flags=re.DOTALL))
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    code, out, err = run("request", "open", "erasure", "legacy:1", "--how", "passport")
    assert (code, out) == (1, "")
    assert "demo/person.sql:1: there is no query about legacy.addresses" in err
    [found] = [f for f in assess.find_obstacles(Settings.load()) if f.subject == person.FILE]
    assert found.blocking and "there is no query about legacy.addresses" in found.text  # and no phase starts


def test_who_approves_an_erasure_is_told_what_is_asked_and_of_whom_nothing(pair: Pair, run: Run) -> None:
    number = int(run("request", "open", "erasure", "legacy:1", "--how", "passport of Ewa", "--who", "anna")[1])
    with pytest.raises(PhaseError, match=rf"stand in the way \(1\); `shopferry request decide {number}"):
        reception.review(pair.stores, number)
    pair.write("UPDATE loyalty_accounts SET points = 0")
    told = reception.review(pair.stores, number)
    for words in (f"Request {number}: erasure", "days are left", "open", "by anna", "1 in legacy, 1 in shop"):
        assert words in told
    assert not [word for word in ("Ewa", "passport", "ewa.lis", "601234567", "A1") if word in told]
    reception.approve(pair.stores, number, "the-dpo")
    reception.approve(pair.stores, number, "another")  # of a task that is run again
    assert "granted, decided by the-dpo" in reception.review(pair.stores, number)
    pair.shop.execute("UPDATE ferry.request SET due = received - 3")
    assert "it is late by 3 days" in reception.review(pair.stores, number)
    for kind, says in (("access", "its file is shown once"), ("objection", "people do that in the shop")):
        other = int(run("request", "open", kind, "legacy:1", "--how", "passport")[1])
        with pytest.raises(PhaseError, match=says):
            reception.review(pair.stores, other)
    other = run("request", "open", "erasure", "legacy:1", "--how", "passport")[1].strip()
    run("request", "decide", other, "--refuse", "a double", "--who", "the-dpo")
    with pytest.raises(PhaseError, match="was refused by the-dpo"):
        reception.review(pair.stores, int(other))


def test_a_query_that_does_not_run_is_named(
    pair: Pair, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    file = tmp_path / "demo" / "person.sql"
    file.write_text(file.read_text().replace("FROM addresses a JOIN", "FROM adresses a JOIN"))
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    number = run("request", "open", "access", "legacy:1", "--how", "passport")[1].strip()
    run("request", "decide", number, "--grant")
    code, out, err = run("request", "run", number)
    assert (code, out) == (1, "")
    assert 'demo/person.sql: query legacy.addresses: relation "adresses" does not exist' in err


def test_a_table_of_the_new_shop_that_no_query_is_about_is_named(
    pair: Pair, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    file = tmp_path / "demo" / "person.sql"
    file.write_text(re.sub(r"-- name: shop\.payment\n.*?\n\n", "", file.read_text(), flags=re.DOTALL))
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    assert (
        "there is no query about shop.payment" in run("request", "open", "access", "legacy:1", "--how", "passport")[2]
    )


def test_a_request_that_nobody_has_granted_does_not_run(pair: Pair, run: Run) -> None:
    _, number, _ = run("request", "open", "erasure", "legacy:1", "--how", "passport")
    code, out, err = run("request", "run", number.strip())
    assert (code, out) == (1, "") and "is erasure, open: only a granted erasure runs" in err
    assert pair.one("SELECT count(*) FROM shopferry.erased") == 0
