"""`shopferry pair`: what is found, shown, decided and taken back, and that everything which hangs on the accounts follows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry import cli
from shopferry.control import phases, routes
from shopferry.control.phases import State
from shopferry.cutover import undecided
from shopferry.errors import ConfigError, MappingError
from shopferry.insight import pair_files
from shopferry.privacy import copies
from shopferry.route.route import Route
from shopferry.route.settings import Terms
from shopferry.settings import routes_dir

Run = Callable[..., tuple[int, str, str]]
MAIL = "jan.kowalski"


def account(key: int, name: str, email: str, phone: str = "", *, street: str = "", more: str = "") -> str:
    return (
        "INSERT INTO customers (id, full_name, email, phone, bill_street, bill_postcode, bill_city, bill_country, active, "
        f"deleted) VALUES ({key}, '{name}', '{email}', '{phone}', '{street}', '00-950', 'Warszawa', 'PL', 'T', 'N'){more}"
    )


def order(key: int, customer: int, email: str = "") -> str:
    return (
        "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
        f"ship_name, created_at) VALUES ({key}, 'A-{key}', {customer}, '{email}', 'NEW', 1, 'PLN', 'CARD', 'DPD', "
        "'Jan Kowalski', '2020-01-01')"
    )


PEOPLE = [
    account(1, "Jan Kowalski", f"{MAIL}@gmail.com", "601 234 567", street="ul. Długa 5/7"),
    account(2, "Jan Kowalski", f"{MAIL}+shop@gmail.com", "601234567", street="Długa 5 m. 7"),
    account(
        3, "Piotr Kowalski", "piotr@example.com", "601 234 567", street="Długa 5/7"
    ),  # a brother with the same number
    account(4, "Anna Nowak", "anna.nowak@wp.pl", "602 000 000", street="Krótka 1"),
    account(5, "Anna Zielińska", "aniaz@onet.pl", "602 000 000", street="Krótka 1"),  # married
    account(6, "Ewa Lis", "ewa.lis@example.com", "603 000 000"),
    order(11, 1),
    order(12, 2),
    order(13, 0, f"{MAIL}+shop@gmail.com"),
    order(16, 6),
    "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) VALUES (2, 2, 'sms', 'T', '2020-01-01', 'v1')",
    "INSERT INTO loyalty_accounts (id, customer_id, points, card_number) VALUES (1, 1, 5, 'K-100200'), (2, 2, 7, 'K-100300')",
]


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(*words)` is `shopferry pair …` on a moved pair."""
    for name, conn in (("LEGACY", pair.legacy), ("SHOP", pair.shop)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", read_dsn(conn))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    pair.write(*PEOPLE)
    pair.pass_phases()

    def run(*words: object) -> tuple[int, str, str]:
        code = cli.main(["pair", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def kept(pair: Pair) -> dict[tuple[int, int], tuple[str, float]]:
    return {(a, b): (state, score) for a, b, state, score in pair.ask("SELECT a, b, state, score FROM ferry.pair")}


def persons(pair: Pair) -> dict[int, int]:
    return dict(pair.ask("SELECT legacy_key, shop_key FROM ferry.identity WHERE entity = 'customer'"))


def whole(pair: Pair) -> dict[str, list[tuple[object, ...]]]:
    """Every table of the new shop and what stands beside it, row by row as it is.

    But for the number that the shop draws for a row of consents, which says nothing: its key is whose it is and for what.
    """
    tables = [*ROUTE.entities, "ferry.identity", "ferry.quarantine", "ferry.left_out"]
    left = {"ferry.quarantine": " - 'since'", "shop.consent": " - 'id'"}
    return {t: pair.ask(f"SELECT (to_jsonb(t){left.get(t, '')})::text FROM {t} t ORDER BY 1") for t in tables}


def decide(run: Run, a: int, b: int, state: str = "same") -> tuple[int, str, str]:
    return run("decide", a, b, f"--{state}", "--why", "they have called", "--who", "anna")


def test_alike_accounts_are_found_and_a_brother_with_the_same_number_is_not_sure(pair: Pair, run: Run) -> None:
    code, out, err = run("find", "--who", "anna")
    assert code == 0, err
    found = kept(pair)
    assert found[1, 2] == ("new", pytest.approx(0.99))
    assert 0.65 <= found[4, 5][1] < 0.95  # the same given name, number and house
    assert (1, 3) not in found and (2, 3) not in found
    assert "4 pairs compared" in out or "compared" in out
    assert not any("kowalski" in str(row).lower() for row in pair.ask("SELECT p.* FROM ferry.pair p"))


def test_a_decision_joins_all_that_is_theirs_and_taking_it_back_leaves_every_row_as_it_was(
    pair: Pair, run: Run
) -> None:
    run("find")
    before, alone = whole(pair), persons(pair)
    assert decide(run, 2, 1) == (0, "", "")
    assert persons(pair) == alone | {2: alone[1]}
    assert pair.ask("SELECT id, customer_id FROM shop.customer_order WHERE id < 16 ORDER BY 1") == [
        (n, alone[1]) for n in (11, 12, 13)
    ]
    assert pair.ask("SELECT id, customer_id FROM shop.loyalty_account ORDER BY 1") == [(1, alone[1]), (2, alone[1])]
    assert pair.ask("SELECT FROM shop.customer_credential WHERE customer_id = %s", alone[1]) == []
    assert "password_of_several" in str(pair.one("SELECT notes FROM shop.customer WHERE id = %s", alone[1]))
    assert pair.ask(
        "SELECT legacy_customer_id, email FROM shop.customer_account WHERE customer_id = %s ORDER BY 1", alone[1]
    ) == [
        (1, None),
        (2, f"{MAIL}+shop@gmail.com"),
    ]
    pair.check()
    assert all(pair.verify(phase).clean for phase in ROUTE.phases)
    code, _, err = run("undo", 1, 2, "--why", "father and son", "--who", "ola")
    assert (code, err) == (0, "")
    assert whole(pair) == before
    assert pair.ask("SELECT state, who, why FROM ferry.pair WHERE a = 1 AND b = 2") == [
        ("new", "ola", "father and son")
    ]


def test_what_is_decided_follows_the_accounts(pair: Pair, run: Run) -> None:
    """An account that is deleted leaves the person, and one that takes the address of another joins it by that alone."""
    run("find")
    decide(run, 1, 2)
    decide(run, 2, 4)
    first = persons(pair)[1]
    assert len({persons(pair)[n] for n in (1, 2, 4)}) == 1
    pair.write("UPDATE customers SET deleted = 'T' WHERE id = 2")
    pair.sync()
    assert len({persons(pair)[n] for n in (1, 2, 4)}) == 3
    pair.write(
        "UPDATE customers SET deleted = 'N' WHERE id = 2", f"UPDATE customers SET email = 'x{MAIL}@wp.pl' WHERE id = 2"
    )
    pair.sync()
    assert len({persons(pair)[n] for n in (1, 2, 4)}) == 1
    pair.write("UPDATE customers SET email = 'ewa.lis@example.com', full_name = 'Ewa Lis' WHERE id = 4")
    pair.sync()
    assert {persons(pair)[n] for n in (1, 2, 4, 6)} == {first}
    pair.check()
    assert pair.verify("contacts").clean


def test_a_pair_is_decided_once(pair: Pair, run: Run) -> None:
    run("find")
    decide(run, 1, 2)
    code, _, err = decide(run, 1, 2, "different")
    assert code == 1 and "pair 1–2 same, by anna on" in err and "shopferry pair undo 1 2" in err
    assert decide(run, 4, 5, "later")[0] == 0
    assert decide(run, 4, 5, "different")[0] == 0  # what was left for later is open
    code, _, err = run("undo", 1, 6, "--why", "x")
    assert code == 1 and "pair 1–6 is not decided" in err


def test_same_in_a_circle_with_a_difference_inside_is_refused_and_named(pair: Pair, run: Run) -> None:
    run("find")
    assert decide(run, 1, 4, "different")[0] == 0
    assert decide(run, 1, 2)[0] == 0
    before, was = whole(pair), kept(pair)
    code, _, err = decide(run, 2, 4)
    assert code == 1 and "pair 2–4 cannot be same, since it stands against 1–4 different, by anna" in err
    assert whole(pair) == before and kept(pair) == was
    assert run("undo", 1, 4, "--why", "x")[0] == 0
    assert decide(run, 2, 4)[0] == 0
    code, _, err = decide(run, 1, 4, "different")
    assert code == 1 and "cannot be different" in err and "1–2 same" in err and "2–4 same" in err


def test_a_wall_that_data_closes_later_parts_the_person_again(pair: Pair, run: Run) -> None:
    """Account 6 takes the address of 4 after 6 and 1 were decided to be different, and 4 and 1 to be the same."""
    run("find")
    assert decide(run, 1, 6, "different")[0] == 0
    assert decide(run, 1, 4)[0] == 0
    pair.write("UPDATE customers SET email = 'anna.nowak@wp.pl', full_name = 'Anna Nowak' WHERE id = 6")
    pair.sync()
    now = persons(pair)
    assert now[4] == now[6] != now[1]
    pair.check()


def test_a_wall_keeps_accounts_of_one_address_apart(pair: Pair, run: Run) -> None:
    pair.write(account(7, "Ewa Lis", "ewa.lis@example.com"))
    pair.sync()
    before = persons(pair)
    assert before[6] == before[7]
    assert decide(run, 6, 7, "different")[0] == 0
    assert persons(pair)[6] != persons(pair)[7]
    assert pair.quarantine("shop.customer")["7"] == ["same_email_other_name"]
    pair.check()
    assert run("undo", 6, 7, "--why", "x")[0] == 0
    assert persons(pair) == before
    pair.check()


def test_a_person_of_several_has_the_address_of_an_account_whose_own_it_is(pair: Pair, run: Run) -> None:
    """Account 7 has Ewa's address and is not hers; then it is joined with 5, which has one of its own."""
    pair.write(account(7, "Ewa Lis", "ewa.lis@example.com"))
    pair.write("UPDATE customers SET created_at = '2010-01-01' WHERE id = 7")  # the oldest, who would lead
    pair.write("UPDATE customers SET created_at = '2020-01-01' WHERE id = 5")
    pair.sync()
    assert decide(run, 6, 7, "different")[0] == 0
    assert decide(run, 5, 7)[0] == 0
    assert persons(pair)[5] == persons(pair)[7] != persons(pair)[6]
    assert "shop.customer" not in {
        e for (e,) in pair.ask("SELECT entity FROM ferry.quarantine WHERE sqlstate IS NOT NULL")
    }
    led = "SELECT legacy_customer_id, email FROM shop.customer WHERE legacy_customer_id IN (5, 6, 7) ORDER BY 1"
    assert pair.ask(led) == [(5, "aniaz@onet.pl"), (6, "ewa.lis@example.com")]
    assert "7" not in pair.quarantine("shop.customer")
    assert pair.ask("SELECT reason FROM ferry.left_out WHERE row_key = '7' AND entity = 'shop.customer'") == [
        ("merged_duplicate",)
    ]
    pair.check()
    pair.write("UPDATE customers SET active = 'N' WHERE id = 5")  # who leads now has another's address
    pair.sync()
    held = pair.quarantine("shop.customer")
    assert (held["5"], held["7"]) == (["same_email_other_name"], ["same_email_other_name"])
    pair.check()
    pair.write("UPDATE customers SET active = 'T' WHERE id = 5")
    pair.sync()
    pair.write("UPDATE customers SET email = 'ewa.new@example.com' WHERE id = 6")  # so that 7 has it alone
    pair.sync()
    assert pair.ask(led) == [(6, "ewa.new@example.com"), (7, "ewa.lis@example.com")]
    pair.check()


@pytest.mark.parametrize("column", ["full_name = 'Jan Kowalski'", "phone = '609 111 222'"])
def test_a_guest_is_known_by_the_account_that_leads_though_the_order_has_the_address_of_another(
    pair: Pair, run: Run, column: str
) -> None:
    """The order is by the address of 5, which is joined with 4; then 4, which leads, changes."""
    pair.write(
        order(21, 0, "aniaz@onet.pl"), "UPDATE orders SET ship_country = 'PL', ship_phone = '609111222' WHERE id = 21"
    )
    pair.sync()
    assert decide(run, 4, 5)[0] == 0
    known = "SELECT customer_id IS NOT NULL FROM shop.customer_order WHERE id = 21"
    assert pair.one(known) is False
    pair.write(f"UPDATE customers SET {column} WHERE id = 4")
    pair.sync()
    assert pair.one(known) is True
    pair.check()


def test_an_account_that_cannot_be_carried_makes_no_pair(pair: Pair, run: Run) -> None:
    pair.write("UPDATE customers SET deleted = 'T' WHERE id = 2")
    pair.sync()
    run("find")
    assert (1, 2) not in kept(pair)
    for other in (2, 99):
        code, _, err = decide(run, 1, other)
        assert code == 1 and f"account {other} is not there, or cannot be carried" in err
    assert "one account" in decide(run, 1, 1)[2]


def test_after_the_cutover_nothing_is_decided_or_taken_back(pair: Pair, run: Run) -> None:
    run("find")
    decide(run, 4, 5)
    with pair.shop.transaction():
        for phase in ROUTE.phases:
            phases.move(pair.shop, "demo", phase, State.CUT_OVER)
    for words in (("decide", 1, 2, "--same", "--why", "x"), ("undo", 4, 5, "--why", "x"), ("find",)):
        code, _, err = run(*words)
        assert code == 1 and "the new shop is open" in err
    assert routes.find_active(pair.shop, "demo") == "legacy"
    assert kept(pair)[4, 5][0] == "same"


def test_a_rule_is_decided_only_by_who_has_seen_a_sample(pair: Pair, run: Run) -> None:
    run("find")
    rule = pair.one("SELECT rule FROM ferry.pair WHERE a = 1 AND b = 2")
    words = ("decide", "--rule", rule, "--above", 0.95, "--same", "--why", "sample was right", "--who")
    code, _, err = run(*words, "anna")
    assert code == 1 and f"pair list --rule {rule} --above 0.95 --sample" in err
    code, out, err = run("list", "--rule", rule, "--above", 0.95, "--sample")
    assert (code, out) == (1, "") and "--why" in err
    code, out, _ = run("list", "--rule", rule, "--above", 0.95, "--sample", "--why", "duplicates", "--who", "anna")
    assert code == 0 and f"{MAIL}@gmail.com" in out
    assert run(*words, "ola")[0] == 1  # who has not looked
    code, out, _ = run(*words, "anna")
    assert code == 0 and "1 pairs are decided" in out
    assert kept(pair)[1, 2][0] == "same"


def test_what_a_rule_cannot_decide_is_left_and_named(pair: Pair, run: Run) -> None:
    pair.write(account(8, "Jan Kowalski", f"{MAIL}+x@gmail.com", "601234567", street="Długa 5/7"))
    pair.sync()
    run("find")
    assert decide(run, 2, 8, "different")[0] == 0
    rule = pair.one("SELECT rule FROM ferry.pair WHERE a = 1 AND b = 2")
    run("list", "--rule", rule, "--above", 0.95, "--sample", "--why", "duplicates", "--who", "anna")
    code, out, _ = run("decide", "--rule", rule, "--above", 0.95, "--same", "--why", "w", "--who", "anna", "--json")
    told = json.loads(out)
    assert code == 1 and told["decided"] == 1 and len(told["refused"]) == 1 and "2–8 different" in told["refused"][0]
    pair.check()


def test_values_are_shown_to_who_says_why_and_are_booked(pair: Pair, run: Run) -> None:
    run("find")
    code, out, _ = run("list", "--json")
    assert code == 0 and {(p["a"], p["b"]) for p in json.loads(out)} >= {(1, 2), (4, 5)}
    assert "kowalski" not in out.lower() and pair.ask("SELECT FROM ferry.looked") == []
    assert run("list", "--values")[0] == 1
    code, out, _ = run(
        "list", "--values", "--state", "new", "--above", 0.95, "--why", "ticket 3", "--who", "anna", "--json"
    )
    [shown] = json.loads(out)
    assert code == 0 and [a["name"] for a in shown["accounts"]] == ["Jan Kowalski", "Jan Kowalski"]
    assert pair.ask("SELECT relation, keys, why FROM ferry.looked") == [("legacy.customers", ["1", "2"], "ticket 3")]


def test_what_is_found_once_more_keeps_decisions_and_drops_what_is_alike_no_more(pair: Pair, run: Run) -> None:
    run("find")
    decide(run, 1, 2)
    was = kept(pair)
    pair.write("UPDATE customers SET phone = '609 000 000', full_name = 'Zofia Wilk' WHERE id = 5")
    pair.sync()
    assert run("find")[0] == 0
    assert kept(pair) == {(1, 2): was[1, 2]}


def test_blocks_that_are_too_large_are_passed_over_and_told(pair: Pair, run: Run) -> None:
    pair.write(*(account(n, f"Osoba Numer{n}", f"firma{n}@example.com", "604 000 000") for n in range(20, 32)))
    pair.sync()
    code, out, _ = run("find")
    assert code == 0 and "phone: 1 blocks of more than 8 accounts were passed over" in out
    assert all(a < 20 for a, _ in kept(pair))


def test_the_gate_wants_each_sure_pair_decided_or_left_by_name(pair: Pair, run: Run) -> None:
    [gate] = undecided.judge(pair.stores, Terms())
    assert not gate.met and gate.evidence == "nobody has looked for pairs"
    run("find")
    [gate] = undecided.judge(pair.stores, Terms())
    assert not gate.met and gate.evidence.startswith("1 of 0.95 or more undecided, 0 decided")
    [gate] = undecided.judge(pair.stores, Terms(pairs_left_by="Anna"))
    assert gate.met and gate.evidence.endswith("left by Anna")
    decide(run, 1, 2, "later")
    assert not undecided.judge(pair.stores, Terms())[0].met  # somebody has looked, and nobody has decided
    decide(run, 1, 2, "different")
    [gate] = undecided.judge(pair.stores, Terms())
    assert gate.met and gate.evidence.startswith("0 of 0.95 or more undecided, 1 decided")


def test_a_route_without_rules_has_no_gate_and_no_verbs(
    pair: Pair, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(routes_dir(), tmp_path / "sql")
    shutil.rmtree(tmp_path / "sql" / "demo" / "pairs")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path / "sql"))
    assert undecided.judge(pair.stores, Terms()) == []
    code, _, err = run("find")
    assert code == 1 and "route demo has no rules for pairs" in err


def test_an_erasure_forgets_the_pairs_of_the_person_and_what_they_joined(pair: Pair, run: Run) -> None:
    run("find")
    decide(run, 1, 2)
    decide(run, 4, 5)
    assert copies.forget_pairs(pair.stores, "customer", ["2", "orders/12"]) == 1
    assert persons(pair)[1] != persons(pair)[2]
    assert kept(pair).keys() == {(4, 5)}
    pair.check()


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        (
            "pairs/phone.sql",
            "-- most:  8",
            "-- most: many",
            "pairs/phone.sql:3: most 'many' is no number from 2 to 100",
        ),
        ("pairs/phone.sql", "-- owner: Customer care\n", "", "header line `-- owner:` is missing"),
        (
            "pairs/card.sql",
            "-- most:  4",
            "-- most:  4\n-- score: 1",
            "card.sql:4: header 'score' is none of pairs, owner",
        ),
        (
            "pairs.sql",
            "-- identity: customer",
            "-- identity: client",
            "pairs.sql:1: identity 'client' is none of this route's",
        ),
    ],
)
def test_a_rule_that_is_wrong_is_refused_with_file_and_line(
    file: str, old: str, new: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(routes_dir(), tmp_path / "sql")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path / "sql"))
    at = tmp_path / "sql" / "demo" / file
    assert old in at.read_text()
    at.write_text(at.read_text().replace(old, new, 1))
    with pytest.raises((MappingError, ConfigError)) as refused:
        pair_files.load(Route.load("demo"))
    assert says in str(refused.value)


def test_a_rule_that_does_not_run_is_named_with_its_line_and_changes_nothing(
    pair: Pair, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("find")
    was = kept(pair)
    shutil.copytree(routes_dir(), tmp_path / "sql")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path / "sql"))
    at = tmp_path / "sql" / "demo" / "pairs" / "card.sql"
    at.write_text(at.read_text().replace("l.customer_id AS key", "l.owner AS key"))
    code, _, err = run("find")
    assert code == 1 and "demo/pairs/card.sql:4: column l.owner does not exist" in err
    at.write_text(at.read_text().replace("l.owner AS key", "l.customer_id AS account"))
    code, _, err = run("find")
    assert code == 1 and "yields the columns block, account, not block, key" in err
    assert kept(pair) == was
