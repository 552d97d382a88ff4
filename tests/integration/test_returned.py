"""Who was erased and stands in a store again is found, by every verification and by the gates; nothing else is."""

from __future__ import annotations

import pytest
from pair import ROUTE, Pair
from psycopg.sql import SQL
from shopferry import phase_steps
from shopferry.control import erasures, mark_key, requests
from shopferry.control.erasures import Erased
from shopferry.cutover import gates
from shopferry.engine import erased, marks
from shopferry.errors import ConfigError, PhaseError
from shopferry.keys import match_keys
from shopferry.privacy import erasing, restored
from shopferry.privacy.erasure_plan import TableErasure
from shopferry.verify import returned
from shopferry.verify.verification import judge
from test_erasure import PEOPLE, erase, open_erasure


@pytest.fixture
def moved(pair: Pair) -> Pair:
    pair.write(*PEOPLE)
    pair.sync()
    pair.pass_phases()
    return pair


@pytest.fixture
def gone(moved: Pair) -> Pair:
    """Ewa was erased."""
    one = open_erasure(moved)
    for _ in erase(moved, one):
        pass
    return moved


def breaches(pair: Pair) -> set[tuple[str, str, str | None]]:
    found = [d for phase in ROUTE.phases for d in judge(pair.legacy, pair.shop, ROUTE, phase)[1]]
    return {(d.target, d.key, d.found) for d in found if d.column == returned.CHECK}


def bring_back(pair: Pair) -> None:
    """Legacy holds Ewa again, as a dump of before has her."""
    pair.legacy.execute(
        "UPDATE customers SET email = 'ewa.lis@example.com', full_name = 'Ewa Lisowska', deleted = 'N' WHERE id = 1"
    )


def test_where_nobody_was_erased_it_costs_a_look_at_two_ledgers(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOPFERRY_MARK_KEY", raising=False)
    asked: list[str] = []
    moved.shop.before = moved.legacy.before = asked.append
    assert returned.find(moved.legacy, moved.shop, ROUTE) == []
    moved.shop.before = moved.legacy.before = None
    assert len(asked) == 4
    gate = gates._erased(moved.stores)
    assert (gate.met, gate.evidence) == (True, "nobody was erased")


def test_after_an_erasure_nothing_is_complained_of_although_rows_stay(gone: Pair) -> None:
    assert gone.legacy.execute("SELECT count(*) FROM orders WHERE id IN (20, 21)").fetchall() == [(2,)]
    assert breaches(gone) == set()
    gate = gates._erased(gone.stores)
    assert (gate.met, gate.evidence) == (True, "no erased row stands in either store")


def test_a_legacy_that_was_restored_is_a_breach_and_refused_until_reapplied(gone: Pair) -> None:
    bring_back(gone)
    gone.legacy.execute("UPDATE orders SET ship_phone = '601234567' WHERE id = 20")
    assert breaches(gone) == {
        ("legacy.customers", "1", "stands again in legacy"),
        ("legacy.orders", "20", "stands again in legacy"),
    }
    assert {(d.target, d.column) for d in gone.verify("contacts").differences} >= {("legacy.orders", returned.CHECK)}
    gate = gates._erased(gone.stores)
    assert not gate.met and "shopferry request reapply" in gate.remedy
    assert gate.evidence == (
        "legacy holds 1 erased rows of legacy.customers; legacy holds 1 erased rows of legacy.orders"
    )
    one = open_erasure(gone)
    assert restored.reapply(one.settings) == {"legacy": 2, "shop": 0}
    gone.sync()
    assert breaches(gone) == set() and gates._erased(gone.stores).met
    assert restored.reapply(one.settings) == {"legacy": 0, "shop": 0}


def test_a_new_shop_that_was_restored_has_lost_its_ledger_and_is_found_by_the_other(gone: Pair) -> None:
    gone.shop.execute("DELETE FROM shopferry.erased; DELETE FROM ferry.request")
    gone.shop.execute(
        "UPDATE mirror.customers SET _gone = false, email = 'ewa.lis@example.com', full_name = 'Ewa Lisowska' WHERE id = 1"
    )
    assert breaches(gone) == {("legacy.customers", "1", "stands again in shop's mirror")}
    gate = gates._erased(gone.stores)
    assert not gate.met and gate.evidence.startswith("shop's ledger lacks ")
    assert "shop holds 1 erased rows of legacy.customers" in gate.evidence
    for s in (gone.stores, gone.stores.back):
        assert s
        with pytest.raises(PhaseError, match="not in the ledger of the new shop, which was restored from a backup"):
            erased.require_joined(s.source, s.target, s.route)
    settings = open_erasure(gone).settings
    with pytest.raises(PhaseError, match="shopferry request reapply"):
        phase_steps.finish_resync(settings, "test")
    restored.reapply(settings)
    erased.require_joined(gone.legacy, gone.shop, ROUTE)


def test_a_number_given_out_again_and_a_request_at_work_are_no_breach(gone: Pair) -> None:
    gone.legacy.execute(
        "DELETE FROM customers WHERE id = 1; INSERT INTO customers (id, email, full_name, newsletter, created_at) "
        "VALUES (1, 'ala@example.com', 'Ala Nowa', 'N', now())"
    )
    assert breaches(gone) == set()
    gone.legacy.execute("UPDATE customers SET email = 'ewa.lis@example.com' WHERE id = 1")
    assert len(breaches(gone)) == 1
    [number] = erasures.load(gone.shop, "demo")
    requests.begin(gone.shop, number)
    assert breaches(gone) == set() and gates._erased(gone.stores).met


def test_without_the_key_of_marks_nothing_is_verified_and_the_gate_says_why(
    gone: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_key.record(gone.shop, marks.require_same(gone.shop))
    for key, says in (("", "SHOPFERRY_MARK_KEY is not set"), ("x" * 40, "SHOPFERRY_MARK_KEY is not the key")):
        monkeypatch.setattr(marks, "read_mark_key", lambda key=key: key)
        with pytest.raises(ConfigError, match=says):
            gone.verify("contacts")
        gate = gates._erased(gone.stores)
        assert not gate.met and says in gate.evidence
    assert gone.ask("SELECT count(*) FROM ferry.verification WHERE finished IS NULL") == [(0,)]


def test_rows_are_found_by_the_key_s_index_also_by_keys_of_several_columns(pair: Pair) -> None:
    pair.legacy.execute(
        'CREATE TABLE public.wishes (customer int, "what/for" text, since date, note text, '
        'PRIMARY KEY ("what/for", customer, since)); '
        "INSERT INTO wishes SELECT n, 'a/b~' || n, DATE '2020-01-01' + n, 'note ' || n FROM generate_series(1, 5000) n; "
        "ANALYZE wishes"
    )
    [place] = erased.list_places(pair.legacy, "legacy", "public", ["legacy.wishes"])
    assert place.key == ("what/for", "customer", "since") and place.texts == ("note",)
    key = "a~1b~07/7/2020-01-08"
    noted = {
        k: Erased("legacy.wishes", k, erased.mark_row({"note": note}, ["note"], []), None)
        for k, note in ((key, "note 7"), ("a~1b~08/8/2020-01-09", "another note"), ("a~1b~09/9/1999-01-01", "note 9"))
    }
    assert erased.find_holding(pair.legacy, place, noted) == [key]
    told = pair.legacy.execute(
        SQL("EXPLAIN SELECT FROM wishes t WHERE {}").format(match_keys(place.key, place.types, noted, "t"))
    ).fetchall()
    assert any("Index" in str(line) for line in told) and not any("Seq Scan on wishes" in str(line) for line in told)
    plan = TableErasure("legacy.wishes", ("public", "wishes"), place.key, place.texts, (), True, {}, ())
    with pair.legacy.transaction():
        assert erasing.erase_noted(pair.legacy, plan, {("legacy.wishes", k): row for k, row in noted.items()}) == 1
    assert pair.legacy.execute("SELECT count(*) FROM wishes WHERE customer BETWEEN 7 AND 9").fetchall() == [(2,)]
    pair.legacy.execute("DROP TABLE wishes")
