"""A django-oscar shop in use becomes a Medusa shop, and its customers notice nothing: asked of both applications.

The tests of this file are one story, in the order in which they stand.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from live import Flow
from selling import ACTS, Acknowledged, Seller, find_missing_in_oscar, selling
from shopferry import phase_steps
from shopferry.cdc import slot
from shopferry.cutover import gates, switch
from shopferry.cutover.rollback import roll_back
from shopferry.demo.platforms.compare import (
    by_number,
    compare_orders,
    find_missing,
    list_customers,
    to_minor,
    try_log_ins,
)
from shopferry.demo.platforms.medusa import Customer, Installed, Medusa, serve
from shopferry.demo.platforms.provision import ROUTE, Platforms, install_route
from shopferry.demo.platforms.run import measure_gap
from shopferry.demo.platforms.trading import Booked, read_ledger, trading
from shopferry.errors import VerificationError
from shopferry.stack.state import choose_port
from stacks import SharedStack, Shop
from waiting import PATIENCE_S, until

pytestmark = pytest.mark.stack
ACCOUNTS, ORDERS, RATE = 30, 60, 4.0
_BETWEEN = 40  # writes that people make when all is in sync
_WRONG = 5  # accounts that are tried with a wrong password as well: each takes a second
_AGAIN = 10  # that log in a second time, by Medusa's own hash
SELLERS, SOLD, PACE_S = (
    3,
    120,
    0.2,
)  # who sell in Medusa, how much before the rollback begins, and the pause after each write
TWINS = "TWINS@EXAMPLE.COM"
MakeDb = Callable[..., str]


@dataclass
class Story:
    """What the tests share: the moved shop, and what both applications said of it."""

    flow: Flow
    medusa: Medusa
    installed: Installed
    facts: dict[str, Any]  # Oscar's own, after it had closed
    booked: Booked
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)  # Medusa's, by number
    bought: dict[str, Any] = field(default_factory=dict)  # the order that was placed in Medusa

    @property
    def staff(self) -> set[str]:
        """The e-mails of those whose place is not the shop front."""
        return {account["email"] for account in self.facts["accounts"] if account["staff"]}


@pytest.fixture(scope="module")
def story(
    platforms: Platforms,
    shared_stack: SharedStack,
    tmp_path_factory: pytest.TempPathFactory,
    run_home: Path,
    say: Callable[[str], None],
) -> Iterator[Story]:
    """The shop was moved and cut over while people traded in it; Medusa serves it."""
    ledger = tmp_path_factory.mktemp("ledger") / "oscar.jsonl"
    install_route(run_home / "routes", platforms.installed, "A test")

    def fill(flow: Flow) -> None:
        platforms.load(platforms.oscar_dump, flow.settings.source_dsn)
        platforms.load(platforms.medusa_dump, flow.settings.target_dsn)
        sizes = ("--accounts", str(ACCOUNTS), "--orders", str(ORDERS))
        platforms.run_oscar(flow.settings.source_dsn, "seed", *sizes, "--ledger", str(ledger))
        phase_steps.install(flow.settings)
        streams = slot.await_reader(flow.legacy, flow.route.publication, patience_s=PATIENCE_S)
        assert streams, flow.log("connector")[-3000:]

    environment = {"SHOPFERRY_ROUTE": ROUTE, "SHOPFERRY_ROUTES": str(run_home / "routes")}
    with shared_stack.lent(Shop("oscar", fill, environment)) as flow:
        say(f"cutover: nobody could write for {move(platforms, flow, ledger):.0f} ms")
        facts = json.loads(platforms.run_oscar(flow.settings.source_dsn, "facts"))
        log = tmp_path_factory.mktemp("medusa") / "log"
        with serve(platforms.medusa, flow.settings.target_dsn, choose_port(set()), log) as medusa:
            yield Story(flow, medusa, platforms.installed, facts, read_ledger(ledger))


def count_writes(ledger: Path) -> int:
    """How many writes the ledger has by now."""
    return ledger.read_text().count("\n")


def move(platforms: Platforms, flow: Flow, ledger: Path) -> float:
    """All phases, then the cutover, while people trade in Oscar; returns for how long nobody could write."""
    settings = flow.settings
    with trading(platforms, settings.source_dsn, ledger, rate=RATE, seed=1) as trade:
        flow.ferry()
        written = count_writes(ledger)
        until(lambda: count_writes(ledger) >= written + _BETWEEN)
        assert flow.prepare_switch() > 0
        until(lambda: all(gate.met for gate in gates.judge(settings)))
        done = switch.cut_over(settings, "test")
        until(lambda: trade.process.poll() is not None)  # the closed store has told it
    assert trade.done["refused: SF001"] == 1, trade.done
    assert sum(trade.done.values()) > 50, trade.done
    return measure_gap(done)


def test_every_order_is_there_to_the_minor_unit(story: Story, say: Callable[[str], None]) -> None:
    """Lines, delivery, discounts, payment and both states, as Oscar's own code and Medusa's Admin API tell them."""
    story.orders = by_number(story.medusa.admin().list_orders())

    differing, oscar = list(compare_orders(story.facts["orders"], story.orders)), story.facts["orders"]
    named = sum(to_minor(order["rounding"]) != 0 for order in oscar)
    say(f"orders: {len(oscar)}, values that differ: {len(differing)}; {named} totals beyond the lines' are named")
    assert differing == []
    assert story.orders.keys() == {order["number"] for order in story.facts["orders"]}


def test_no_acknowledged_write_is_missing(story: Story, say: Callable[[str], None]) -> None:
    customers = list_customers(story.medusa.admin())

    missing = list(find_missing(story.booked, story.orders, customers, story.staff))
    say(f"customers: {len(customers)}; writes acknowledged by Oscar: {story.booked.writes}, missing: {len(missing)}")
    assert missing == []
    assert story.booked.writes > 200


def test_who_could_log_in_to_oscar_can_log_in_to_medusa(
    story: Story, platforms: Platforms, make_db: MakeDb, say: Callable[[str], None]
) -> None:
    """Oscar is asked on a copy of its accounts: at a log-in it may renew the hash, and its own store is closed."""
    copy = make_db("oscar_accounts")
    platforms.load(platforms.oscar_dump, copy)
    platforms.copy_rows(story.flow.settings.source_dsn, copy, "auth_user")
    accounts = [a for a in story.booked.accounts.values() if a["email"] not in story.staff]
    tried = [(a["email"].upper(), a["password"]) for a in accounts]
    tried += [(a["email"], f"{a['password']}!") for a in accounts[:_WRONG]]
    judged = try_log_ins(platforms, copy, story.medusa, tried)

    differing = [each.email for each in judged if each.oscar != each.medusa]
    taken = [each for each in judged if each.medusa]
    say(f"log-ins tried: {len(judged)}, Oscar takes {sum(each.oscar for each in judged)}, Medusa {len(taken)}")
    # Oscar took the password of each of the twins. One customer now, they have none: an account that somebody else has made
    # with that e-mail must not open what is theirs. A new password is set by e-mail, which proves whose it is.
    assert differing == [TWINS, TWINS]
    assert len(taken) >= ACCOUNTS
    assert all(story.medusa.log_in("customer", each.email, each.password) for each in taken[:_AGAIN])


def find_customer(story: Story) -> dict[str, Any]:
    """An account that has orders since long: its e-mail and password."""
    ordered = {order["email"] for order in story.facts["orders"]}
    return next(a for a in story.booked.accounts.values() if a["email"] in ordered and a["email"].startswith("old"))


def test_a_customer_sees_orders_and_addresses_and_buys_again(story: Story) -> None:
    account = find_customer(story)
    token = story.medusa.log_in("customer", account["email"], account["password"])
    customer = Customer(story.medusa, token, story.installed)
    me = customer("GET", "/customers/me")["customer"]
    before = {str(order["display_id"]) for order in customer("GET", "/orders?limit=100")["orders"]}
    story.bought = customer.buy(2)

    guests = [order["number"] for order in story.facts["orders"] if order["email"] == me["email"] and order["guest"]]
    of_account = {order["number"] for order in story.facts["orders"] if order["email"] == me["email"]} - set(guests)
    assert before == of_account
    books = [address for address in story.facts["addresses"] if address["email"] == me["email"]]
    assert sorted(a["address_1"] for a in me["addresses"]) == sorted(a["line1"] for a in books)
    assert story.bought["display_id"] > max(int(order["number"]) for order in story.facts["orders"])
    assert len(customer("GET", "/orders?limit=100")["orders"]) == len(before) + 1


def test_admin_refunds_an_old_order_and_takes_a_line_back(story: Story) -> None:
    admin = story.medusa.admin()
    paid = [o for o in story.facts["orders"] if o["events"] == ["delivered", "shipped"] and o["refunded"] == "0.00"]
    number = next(order["number"] for order in paid if to_minor(order["paid"]) > 100)
    order = story.orders[number]
    [payment] = order["payment_collections"][0]["payments"]
    admin("POST", f"/payments/{payment['id']}/refund", {"amount": 1})
    item = order["items"][0]["id"]
    returned = admin("POST", "/returns", {"order_id": order["id"]})["return"]["id"]
    for step in ("request-items", "request", "receive", "receive-items", "receive/confirm"):
        body = {"items": [{"id": item, "quantity": 1}]} if step.endswith("items") else {}
        admin("POST", f"/returns/{returned}/{step}", body)

    after = by_number(admin.list_orders())[number]
    assert after["payment_status"] == "partially_refunded"
    # Medusa lists an order's lines in no fixed order.
    assert {i["id"]: i["detail"]["return_received_quantity"] for i in after["items"]}[item] == 1


def recruit_sellers(story: Story) -> tuple[Acknowledged, list[Seller]]:
    """Sellers who share what is acknowledged, with old accounts and paid old orders that nobody else of this file touches."""
    acknowledged, visited = Acknowledged(), find_customer(story)
    old = [a for a in story.booked.accounts.values() if a["email"].startswith("old") and a is not visited]
    paid = [order for order in story.orders.values() if order["payment_status"] == "captured" and order["email"]]
    return acknowledged, [
        Seller(f"seller{n}-", story.medusa, story.installed, acknowledged, old[n::SELLERS], paid[n::SELLERS])
        for n in range(SELLERS)
    ]


def test_every_write_that_medusa_acknowledged_is_in_oscar_after_the_rollback(
    story: Story, platforms: Platforms, say: Callable[[str], None]
) -> None:
    """People go on buying, paying and changing until Medusa's store is closed to them."""
    settings = story.flow.settings
    acknowledged, sellers = recruit_sellers(story)
    with selling(sellers, PACE_S) as threads:
        until(lambda: acknowledged.writes >= SOLD or not all(t.is_alive() for t in threads), 5 * PATIENCE_S)
        until(lambda: all(gate.met for gate in gates.judge_back(settings)))
        assert [seller.refused for seller in sellers if seller.refused] == []
        before = time.time()
        say(f"rollback: nobody could write for {measure_gap(roll_back(settings, 'test')):.0f} ms")
        # A request that the closed store broke off may get no answer from Medusa: its client gives up after two minutes.
        until(lambda: not any(thread.is_alive() for thread in threads), 5 * PATIENCE_S)
    facts = json.loads(platforms.run_oscar(settings.source_dsn, "facts"))

    missing = find_missing_in_oscar(acknowledged, facts)
    say(f"writes acknowledged by Medusa: {acknowledged.writes}, missing in Oscar: {len(missing)}")
    say(f"of each kind: {', '.join(f'{kind} {count}' for kind, count in sorted(acknowledged.kinds.items()))}")
    assert missing == []
    assert all(seller.refused and seller.ended > before for seller in sellers)
    assert acknowledged.kinds.keys() == set(ACTS)


def test_after_the_rollback_oscars_own_pages_show_what_was_sold_meanwhile(
    story: Story, platforms: Platforms, tmp_path: Path
) -> None:
    settings, account, ledger = story.flow.settings, find_customer(story), tmp_path / "after.jsonl"
    pages = json.loads(platforms.run_oscar(settings.source_dsn, "pages", account["email"], account["password"]))
    with trading(platforms, settings.source_dsn, ledger, rate=RATE, seed=2) as trade:
        until(lambda: ledger.exists() and len(ledger.read_text().splitlines()) > 10)
    facts = json.loads(platforms.run_oscar(settings.source_dsn, "facts"))

    sold = next(order for order in facts["orders"] if order["number"] == f"M-{story.bought['display_id']}")
    assert to_minor(sold["total"]) == to_minor(story.bought["total"])
    assert [(n["title"], n["quantity"]) for n in sold["lines"]] == [("Kubek biały", 2)]
    assert sold["number"] in pages
    assert "Prosta 1" in pages[sold["number"]]
    assert sum(trade.done.values()) > 10
    kept = {order["number"]: order["total"] for order in story.facts["orders"]}
    assert kept.keys() <= {order["number"] for order in facts["orders"]}
    with suppress(VerificationError):
        phase_steps.run_again(settings, "test", lambda _: None)
    # What Medusa has made beside its orders comes of no row of Oscar's, and a refund is there twice: Medusa's and Oscar's own.
    for phase in story.flow.route.phases:
        phase_steps.repair(settings, phase, "test")
    assert [str(d) for d in story.flow.differences()] == []
