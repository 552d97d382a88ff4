"""Each look at people's values is booked before it is printed, and what is booked stays."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from pair import Pair, read_dsn
from shopferry import cli, phase_steps
from shopferry.control import looks
from shopferry.control.differences import Difference
from shopferry.cutover import finish
from showing import SHOWING
from test_erasure import PEOPLE

pytestmark = pytest.mark.fresh
Run = Callable[..., tuple[int, str, str]]
EWA = "ewa.lis@example.com"


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`run(*words)` is `shopferry` on a moved pair: exit code, what it prints, what it complains of."""
    monkeypatch.chdir(tmp_path)  # where the files of activations go
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", read_dsn(pair.legacy))
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", read_dsn(pair.shop))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    pair.write(*PEOPLE)
    pair.sync()
    pair.pass_phases()
    pair.shop.execute(
        "INSERT INTO ferry.pair (route, entity, a, b, score, features, rule) "
        "VALUES ('demo', 'customer', 1, 9, 0.9, '{}', 'email')"
    )
    pair.shop.execute("UPDATE mirror.customers SET email = 'other@example.com' WHERE id = 1")
    pair.verify("contacts")
    # What the verb asks of the broker is not of interest here.
    monkeypatch.setattr(
        phase_steps,
        "read_values",
        lambda *_: [Difference("mirror", "customers", "1", "differs", "email", "1", EWA, "other@example.com")],
    )

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(EWA + "\n"))
        code = cli.main([*words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def booked(pair: Pair) -> list[tuple[str, str, str, list[str], str]]:
    found = pair.ask("SELECT who, verb, relation, keys, why FROM ferry.looked ORDER BY id")
    return [(str(who), str(verb), str(relation), keys, str(why)) for who, verb, relation, keys, why in found]  # type: ignore[misc]


def arguments(pair: Pair, verb: str) -> list[str]:
    """The words that have the verb show Ewa."""
    customer = str(pair.one("SELECT id FROM shop.customer WHERE legacy_customer_id = 1"))
    words = [customer if word == "1" else word for word in SHOWING[verb]]
    return [*verb.split(), *words, *(["--keys", "1"] if verb == "route try" else [])]


@pytest.mark.parametrize("verb", SHOWING)
def test_a_look_is_booked_and_then_printed(pair: Pair, run: Run, verb: str) -> None:
    assert booked(pair) == []
    code, out, err = run(*arguments(pair, verb), "--why", "ticket 12", "--who", "anna")
    assert code == 0 and out, err
    found = booked(pair)
    assert found and {(who, what, why) for who, what, _, _, why in found} == {("anna", verb, "ticket 12")}
    assert all(keys for _, _, _, keys, _ in found)
    assert not any(EWA in str(row) or "Lisowska" in str(row) for row in found)


@pytest.mark.parametrize("verb", SHOWING)
def test_what_cannot_be_booked_is_not_printed(pair: Pair, run: Run, verb: str) -> None:
    words = arguments(pair, verb)
    pair.shop.execute("ALTER TABLE ferry.looked ADD CONSTRAINT full_up CHECK (false)")
    code, out, err = run(*words, "--why", "ticket 12")
    assert (code, out) == (1, "") and "full_up" in err


def test_what_is_booked_is_neither_changed_nor_deleted(pair: Pair, run: Run) -> None:
    assert run(*arguments(pair, "person find"), "--why", "ticket 12")[0] == 0
    before = booked(pair)
    for statement in ("UPDATE ferry.looked SET why = 'x'", "DELETE FROM ferry.looked", "TRUNCATE ferry.looked"):
        with pytest.raises(psycopg.Error, match="is refused, what is booked stays"):
            pair.shop.execute(statement.encode())
    assert booked(pair) == before != []


def test_the_officer_sees_the_newest_first_and_how_many_were_taken_back(pair: Pair, run: Run) -> None:
    assert run(*arguments(pair, "person find"), "--why", "first")[0] == 0
    with pair.shop.transaction(force_rollback=True):
        looks.book(pair.shop, "demo", "eve", "by hand", "nothing", {"shop.customer": ["1"]})
    assert run(*arguments(pair, "consent show"), "--why", "second")[0] == 0
    code, out, err = run("privacy", "looks", "--json")
    told = json.loads(out)
    assert code == 0 and [t["why"] for t in told] == ["second", "first", "first"]
    assert told[0]["role"] == pair.one("SELECT session_user::text")
    assert err.startswith("1 numbers are missing")


def test_nobody_found_is_nothing_booked(pair: Pair, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    global EWA
    kept, EWA = EWA, "who@example.com"
    try:
        assert run("person", "find", "--why", "ticket 12")[:2] == (1, "")
    finally:
        EWA = kept
    assert booked(pair) == []


def test_a_mapping_is_tried_with_shapes_and_before_anything_is_installed_values_are_booked(
    pair: Pair, run: Run
) -> None:
    code, out, _ = run("route", "try", "customer", "--keys", "1")
    assert code == 0 and "xxx.xxx@xxxxxxx.xxx" in out and EWA not in out and "Lisowska" not in out
    assert booked(pair) == []
    pair.shop.execute("DROP SCHEMA ferry CASCADE; DROP SCHEMA mirror CASCADE; DROP SCHEMA IF EXISTS legacy CASCADE")
    code, out, err = run("route", "try", "customer", "--keys", "1", "--values", "--why", "writing it", "--who", "anna")
    assert code == 0 and EWA in out, err
    assert booked(pair) == [("anna", "route try", "shop.customer", ["1"], "writing it")]
    assert pair.ask("SELECT relname FROM pg_class WHERE relnamespace = 'ferry'::regnamespace AND relkind = 'r'") == [
        ("looked",)
    ]
    assert run("phase", "init")[0] in {0, 1}  # what it lacks in this pair is no schema of others
    assert "has a schema" not in run("phase", "init")[2]


def test_after_the_end_the_audit_log_has_the_looks_and_takes_new_ones(pair: Pair, run: Run) -> None:
    words = arguments(pair, "consent show")
    assert run(*words, "--why", "before")[0] == 0
    given = {"route": "demo", "who": "a, b"}
    with pair.shop.transaction():
        pair.shop.execute(finish._Q["audit"].encode())
        pair.shop.execute(finish._Q["gather"], given)
        pair.shop.execute("DROP SCHEMA ferry CASCADE")
    with pair.shop.transaction():
        looks.book(pair.shop, "demo", "anna", "consent show", "after", {"shop.person": ["101"]})
    assert pair.ask(
        "SELECT detail->>'why', detail->'keys' FROM shopferry_audit.entry WHERE what = 'look' ORDER BY id"
    ) == [("before", [words[-1]]), ("after", ["101"])]
