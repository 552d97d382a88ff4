"""A django-oscar shop in use becomes a Medusa shop, and its customers notice nothing: asked of both applications.

The tests of this file are one story, in the order in which they stand.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from compare import by_number, compare_orders, find_missing, list_customers
from live import Flow
from medusa_shop import Customer, Installed, Medusa, serve
from provision import Platforms
from shopferry import phase_steps
from shopferry.backup import backup
from shopferry.cdc import slot
from shopferry.cutover import gates, switch, way_back
from shopferry.route.route import leads_back
from shopferry.settings import SQL_ROOT
from shopferry.stack.state import choose_port
from stacks import SharedStack, Shop
from trading import Booked, read_ledger, trading
from waiting import PATIENCE_S, until

pytestmark = pytest.mark.stack
ROUTE = "oscar-medusa"
ACCOUNTS, ORDERS, RATE = 30, 60, 4.0
_BETWEEN_S = 10.0  # how long people go on when all is in sync
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


def install_route(folder: Path, installed: Installed) -> None:
    """Copy the route and put this installation's settings into it, as a team does."""
    shutil.copytree(SQL_ROOT / ROUTE, folder / ROUTE)
    secret = folder / "id_secret"
    secret.write_text("a secret of this run")
    settings = folder / ROUTE / "route.toml"
    text = settings.read_text()
    for name, value in {
        "id_secret": f'{{ file = "{secret}" }}',
        "regions": f'"pln={installed.region}"',
        "sales_channel": f'"{installed.sales_channel}"',
        "stock_location": f'"{installed.stock_location}"',
    }.items():
        text, replaced = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert replaced == 1, f"route.toml has {replaced} settings {name}"
    settings.write_text(text)


@pytest.fixture(scope="module")
def story(
    platforms: Platforms, shared_stack: SharedStack, tmp_path_factory: pytest.TempPathFactory, run_home: Path
) -> Iterator[Story]:
    """The shop was moved and cut over while people traded in it; Medusa serves it."""
    ledger = tmp_path_factory.mktemp("ledger") / "oscar.jsonl"
    install_route(run_home / "routes", platforms.installed)

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
        move(platforms, flow, ledger)
        facts = json.loads(platforms.run_oscar(flow.settings.source_dsn, "facts"))
        log = tmp_path_factory.mktemp("medusa") / "log"
        with serve(platforms.medusa, flow.settings.target_dsn, choose_port(set()), log) as medusa:
            yield Story(flow, medusa, platforms.installed, facts, read_ledger(ledger))


def move(platforms: Platforms, flow: Flow, ledger: Path) -> None:
    """All phases, then the cutover, while people trade in Oscar."""
    settings = flow.settings
    with trading(platforms, settings.source_dsn, ledger, rate=RATE, seed=1) as trade:
        flow.ferry()
        time.sleep(_BETWEEN_S)
        backup.take_before_cutover(settings, "test")
        if leads_back(ROUTE):
            way_back.arm(settings)
        until(lambda: all(gate.met for gate in gates.judge(settings)))
        assert switch.cut_over(settings, "test").version == 2
        until(lambda: trade.process.poll() is not None)  # the closed store has told it
    assert trade.done["refused: SF001"] == 1, trade.done
    assert sum(trade.done.values()) > 50, trade.done


def test_every_order_is_there_to_the_minor_unit(story: Story) -> None:
    """Lines, delivery, discounts, payment and both states, as Oscar's own code and Medusa's Admin API tell them."""
    story.orders = by_number(story.medusa.admin().list_orders())

    assert list(compare_orders(story.facts["orders"], story.orders)) == []
    assert story.orders.keys() == {order["number"] for order in story.facts["orders"]}


def test_no_acknowledged_write_is_missing(story: Story) -> None:
    customers = list_customers(story.medusa.admin())

    assert list(find_missing(story.booked, story.orders, customers)) == []
    assert story.booked.writes > 200


def test_who_could_log_in_to_oscar_can_log_in_to_medusa(story: Story, platforms: Platforms, make_db: MakeDb) -> None:
    """Oscar is asked on a copy of its accounts: at a log-in it may renew the hash, and its own store is closed."""
    copy = make_db("oscar_accounts")
    platforms.load(platforms.oscar_dump, copy)
    platforms.copy_rows(story.flow.settings.source_dsn, copy, "auth_user")
    staff = {account["email"] for account in story.facts["accounts"] if account["staff"]}
    tried = [
        {"email": account["email"].upper(), "password": password}
        for account in story.booked.accounts.values()
        if account["email"] not in staff  # whose place is not the shop front
        for password in (account["password"], f"{account['password']}!")
    ]
    judged = json.loads(platforms.run_oscar(copy, "log-ins", given=tried))
    accepted = [bool(story.medusa.log_in("customer", each["email"], each["password"])) for each in judged]

    assert [each["accepted"] for each in judged] == accepted, [
        each["email"] for each, now in zip(judged, accepted, strict=True) if each["accepted"] != now
    ]
    assert sum(accepted) > ACCOUNTS
    again = [bool(story.medusa.log_in("customer", each["email"], each["password"])) for each in judged]
    assert again == accepted


def log_in(story: Story) -> Customer:
    """A customer with orders, by the password that Oscar knew."""
    numbers = {order["email"]: order["number"] for order in story.facts["orders"]}
    account = next(a for a in story.booked.accounts.values() if a["email"] in numbers and a["email"].startswith("old"))
    return Customer(
        story.medusa, story.medusa.log_in("customer", account["email"], account["password"]), story.installed
    )


def test_a_customer_sees_orders_and_addresses_and_buys_again(story: Story) -> None:
    customer = log_in(story)
    me = customer("GET", "/customers/me")["customer"]
    before = {str(order["display_id"]) for order in customer("GET", "/orders?limit=100")["orders"]}
    bought = customer.buy(2)

    assert before == {order["number"] for order in story.facts["orders"] if order["email"] == me["email"]}
    books = [address for address in story.facts["addresses"] if address["email"] == me["email"]]
    assert sorted(a["address_1"] for a in me["addresses"]) == sorted(a["line1"] for a in books)
    assert bought["display_id"] > max(int(order["number"]) for order in story.facts["orders"])
    assert len(customer("GET", "/orders?limit=100")["orders"]) == len(before) + 1
