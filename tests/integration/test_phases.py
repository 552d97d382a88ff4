"""The phase state machine: legal steps only, in order, one holder at a time."""

from __future__ import annotations

import itertools

import pytest
from pair import ROUTE, Pair
from shopferry.control import phases
from shopferry.control.phases import TRANSITIONS, State
from shopferry.errors import PhaseError


@pytest.mark.parametrize(("source", "target"), list(itertools.product(State, State)))
def test_only_legal_steps_are_taken(pair: Pair, source: State, target: State) -> None:
    pair.shop.execute("UPDATE ferry.phase SET state = %s WHERE phase = 'contacts'", (source,))
    if source in TRANSITIONS.get(target, ()):
        phases.move(pair.shop, ROUTE.name, "contacts", target)
        assert pair.state("contacts") is target
    elif target in TRANSITIONS:
        with pytest.raises(PhaseError, match=f"phase contacts is {source}, it can become {target} only from"):
            phases.move(pair.shop, ROUTE.name, "contacts", target)
        assert pair.state("contacts") is source


def test_a_phase_out_of_order_is_refused_and_told_what_is_missing(pair: Pair) -> None:
    with pytest.raises(PhaseError, match="orders cannot start: contacts comes first and is new, not verified"):
        pair.start("orders")
    assert pair.state("orders") is State.NEW


def test_a_phase_that_is_cut_over_does_not_start_again(pair: Pair) -> None:
    pair.shop.execute("UPDATE ferry.phase SET state = 'cut_over'")
    with pytest.raises(PhaseError, match="contacts is cut over"):
        phases.require_start(pair.shop, ROUTE.name, "contacts")


def test_a_phase_that_nobody_knows_is_refused(pair: Pair) -> None:
    for ask in (phases.load, phases.require_start):
        with pytest.raises(PhaseError, match="'returns' of route 'demo' is not known"):
            ask(pair.shop, ROUTE.name, "returns")


def test_a_phase_has_one_holder_who_may_take_it_again(pair: Pair) -> None:
    phases.hold(pair.shop, ROUTE.name, "contacts", "run 1")
    with pytest.raises(PhaseError, match="phase contacts is held by run 1 since 20"):
        phases.hold(pair.shop, ROUTE.name, "contacts", "run 2")
    phases.hold(pair.shop, ROUTE.name, "contacts", "run 1")
    phases.release(pair.shop, ROUTE.name, "contacts", "run 2")  # not theirs to let go
    with pytest.raises(PhaseError, match="held by run 1"):
        phases.hold(pair.shop, ROUTE.name, "contacts", "run 2")
    phases.release(pair.shop, ROUTE.name, "contacts", "run 1")
    phases.hold(pair.shop, ROUTE.name, "contacts", "run 2")


def test_a_holder_that_died_loses_the_phase_when_its_lease_ends(pair: Pair) -> None:
    phases.hold(pair.shop, ROUTE.name, "contacts", "dead")
    pair.shop.execute("UPDATE ferry.phase SET held_until = now() - interval '1 second'")
    phases.hold(pair.shop, ROUTE.name, "contacts", "next")
    assert phases.load(pair.shop, ROUTE.name, "contacts").holder == "next"


def test_a_phase_that_is_not_live_is_not_merged_by_the_stream(pair: Pair) -> None:
    pair.start("contacts")
    pair.copy("contacts")
    pair.write("INSERT INTO customers (id, email) VALUES (1, 'jan@example.com')")
    pair.sync()
    assert pair.ask("SELECT id FROM legacy.customers") == [(1,)]
    assert pair.ask("SELECT id FROM shop.customer") == [] == pair.ask("SELECT 1 FROM ferry.identity")
    pair.merge("contacts")
    assert pair.one("SELECT count(*) FROM shop.customer") == 1
