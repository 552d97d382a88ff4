"""Medusa in use after the cutover: customers and staff at its Store and Admin APIs, and what Oscar must hold of it afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shopferry.demo.platforms.compare import to_minor
from shopferry.demo.platforms.medusa import ADDRESS, Admin, Customer, Installed, Medusa
from shopferry.errors import StackError

ACTS = (
    "account",
    "name",
    "address",
    "address changed",
    "address removed",
    "order",
    "payment",
    "refund",
    "packed",
    "sent",
    "delivered",
    "completed",
    "order edited",
    "order's address",
    "cancelled",
    "old order's address",
    "deletion",
)
Key = tuple[str, str]  # a kind, and which one
Fact = dict[str, Any] | str | int | None


@dataclass
class Acknowledged:
    """What Medusa has said is done: of each thing the last word, and how many words there were."""

    facts: dict[Key, Fact] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> int:
        """How many writes were acknowledged."""
        return sum(self.kinds.values())

    def note(self, act: str, facts: dict[Key, Fact]) -> None:
        """Take in an act that was acknowledged, and what must be found from then on."""
        with self._lock:
            self.facts |= facts
            self.kinds[act] = self.kinds.get(act, 0) + 1


@dataclass
class Seller:
    """One life after the other: a new customer, an old one, a guest, and the staff who serve them.

    Nobody else touches what is theirs, so of each thing the last word is known.
    """

    name: str
    medusa: Medusa
    installed: Installed
    acknowledged: Acknowledged
    old_accounts: list[dict[str, Any]]  # e-mail and password
    old_orders: list[dict[str, Any]]  # paid, as the Admin API shows them
    refused: str = ""
    ended: float = 0.0

    def run(self, stopped: threading.Event, pace_s: float) -> None:
        """Live until told to stop, or until Medusa refuses, as it does once its store is closed."""
        number = 0
        try:
            while True:
                number += 1
                for _ in self._live(f"{self.name}{number}"):
                    if stopped.wait(pace_s):
                        return
        except StackError as error:
            self.refused = str(error)
        finally:
            self.ended = time.time()

    def _note(self, act: str, *facts: tuple[str, object, Fact]) -> None:
        self.acknowledged.note(act, {(kind, str(which)): fact for kind, which, fact in facts})

    def _live(self, tag: str) -> Iterator[None]:
        admin = self.medusa.admin()
        email = f"{tag}@example.com"
        customer = self._register(email)
        yield
        yield from self._keep_address_book(customer, email, tag)
        yield from self._edit_name(customer, email, f"Żółć-{tag}")
        yield from self._pay_and_refund(admin, customer.buy(2), email)
        yield from self._send(admin, customer.buy(1), email)
        yield from self._change(admin, customer.buy(3), email, tag)
        yield from self._cancel(admin, customer.buy(1), email)
        guest = Customer(self.medusa, "", self.installed)
        yield from self._pay_and_refund(admin, guest.buy(1, email=f"guest-{email}"), f"guest-{email}")
        if self.old_accounts:
            account = self.old_accounts.pop()
            token = self.medusa.log_in("customer", account["email"], account["password"])
            old = Customer(self.medusa, token, self.installed)
            yield from self._keep_address_book(old, account["email"].lower(), f"old-{tag}")
            yield from self._edit_name(old, account["email"].lower(), f"Dawna-{tag}")
        if self.old_orders:
            yield from self._serve_old(admin, self.old_orders.pop(), tag)
        admin("DELETE", f"/customers/{customer('GET', '/customers/me')['customer']['id']}")
        # Its address book goes with the account.
        self._note("deletion", ("active", email, False), ("address", f"{email}/Jasna {tag}", None))
        yield

    def _register(self, email: str) -> Customer:
        password = {"email": email, "password": f"Hasło-{email}"}
        token = self.medusa.call("POST", "/auth/customer/emailpass/register", password)["token"]
        named = {"email": email, "first_name": "Zofia", "last_name": "Nowa"}
        Customer(self.medusa, token, self.installed)("POST", "/customers", named)
        self._note("account", ("name", email, "Zofia Nowa"), ("active", email, True))
        return Customer(self.medusa, self.medusa.log_in("customer", **password), self.installed)

    def _edit_name(self, customer: Customer, email: str, last: str) -> Iterator[None]:
        customer("POST", "/customers/me", {"first_name": "Ewa", "last_name": last})
        self._note("name", ("name", email, f"Ewa {last}"))
        yield

    def _keep_address_book(self, customer: Customer, email: str, tag: str) -> Iterator[None]:
        """Add two addresses, move from one, and remove the other."""
        ids = []
        for line in (f"Jasna {tag}", f"Krótka {tag}"):
            body = ADDRESS | {"address_1": line, "phone": "+48601234567"}
            held = customer("POST", "/customers/me/addresses?fields=*addresses", body)["customer"]["addresses"]
            ids.append(next(address["id"] for address in held if address["address_1"] == line))
            self._note("address", ("address", f"{email}/{line}", "Warszawa 00-001"))
            yield
        customer("POST", f"/customers/me/addresses/{ids[0]}", {"city": "Łódź", "postal_code": "90-001"})
        self._note("address changed", ("address", f"{email}/Jasna {tag}", "Łódź 90-001"))
        yield
        customer("DELETE", f"/customers/me/addresses/{ids[1]}")
        self._note("address removed", ("address", f"{email}/Krótka {tag}", None))
        yield

    def _note_order(self, act: str, admin: Admin, order: str, email: str) -> dict[str, Any]:
        """Note the order as Medusa shows it now; returns that."""
        shown = admin.read_order(order)
        address = shown["shipping_address"]
        goods = sum(to_minor(item["total"]) for item in shown["items"])
        delivery = sum(to_minor(method["total"]) for method in shown["shipping_methods"])
        beyond = to_minor(((shown["metadata"] or {}).get("legacy") or {}).get("total_difference", 0))
        fact = {
            "email": email,
            "total": goods + delivery + beyond,
            "lines": sorted((item["title"], item["quantity"], to_minor(item["total"])) for item in shown["items"]),
            "address": f"{address['address_1']}, {address['city']} {address['postal_code']}",
        }
        self._note(act, ("order", _number_of(shown), fact))
        return shown

    def _pay_and_refund(self, admin: Admin, order: dict[str, Any], email: str) -> Iterator[None]:
        """The order is paid, a part goes back, then another."""
        shown = self._note_order("order", admin, order["id"], email)
        yield
        yield from self._capture(admin, shown)
        yield from self._refund(admin, shown, 500, 500)
        yield from self._refund(admin, shown, 123, 623)

    def _capture(self, admin: Admin, shown: dict[str, Any]) -> Iterator[None]:
        [payment] = shown["payment_collections"][0]["payments"]
        admin("POST", f"/payments/{payment['id']}/capture", {})
        self._note("payment", ("paid", _number_of(shown), to_minor(shown["total"])))
        yield

    def _refund(self, admin: Admin, shown: dict[str, Any], amount: int, in_all: int) -> Iterator[None]:
        """Give an amount back, in minor units; `in_all` is what then has gone back of the order."""
        [payment] = shown["payment_collections"][0]["payments"]
        admin("POST", f"/payments/{payment['id']}/refund", {"amount": amount / 100})
        self._note("refund", ("refunded", _number_of(shown), in_all))
        yield

    def _send(self, admin: Admin, order: dict[str, Any], email: str) -> Iterator[None]:
        """The order is packed, sent and delivered; then it is complete."""
        shown = self._note_order("order", admin, order["id"], email)
        yield
        items = [{"id": item["id"], "quantity": item["quantity"]} for item in shown["items"]]
        path = f"/orders/{order['id']}/fulfillments"
        packed = admin("POST", f"{path}?fields=*fulfillments", {"items": items})["order"]["fulfillments"][0]["id"]
        self._note("packed", ("status", _number_of(shown), "Pending"))
        yield
        admin("POST", f"{path}/{packed}/shipments", {"items": items})
        self._note("sent", ("status", _number_of(shown), "Shipped"))
        yield
        admin("POST", f"{path}/{packed}/mark-as-delivered", {})
        self._note("delivered", ("status", _number_of(shown), "Shipped"))
        yield
        admin("POST", f"/orders/{order['id']}/complete", {})
        self._note("completed", ("status", _number_of(shown), "Complete"))
        yield

    def _change(self, admin: Admin, order: dict[str, Any], email: str, tag: str) -> Iterator[None]:
        """The staff take a piece out of the order, and send it to another place."""
        shown = self._note_order("order", admin, order["id"], email)
        yield
        [item] = shown["items"]
        admin("POST", "/order-edits", {"order_id": order["id"]})
        admin("POST", f"/order-edits/{order['id']}/items/item/{item['id']}", {"quantity": 2})
        admin("POST", f"/order-edits/{order['id']}/request", {})
        admin("POST", f"/order-edits/{order['id']}/confirm", {})
        self._note_order("order edited", admin, order["id"], email)
        yield
        elsewhere = ADDRESS | {"address_1": f"Nowa {tag}", "city": "Gdańsk", "postal_code": "80-001"}
        admin("POST", f"/orders/{order['id']}", {"shipping_address": elsewhere})
        self._note_order("order's address", admin, order["id"], email)
        yield

    def _cancel(self, admin: Admin, order: dict[str, Any], email: str) -> Iterator[None]:
        """A paid order is cancelled: Medusa gives the money back."""
        shown = self._note_order("order", admin, order["id"], email)
        yield
        yield from self._capture(admin, shown)
        admin("POST", f"/orders/{order['id']}/cancel", {})
        number, total = _number_of(shown), to_minor(shown["total"])
        self._note("cancelled", ("status", number, "Cancelled"), ("refunded", number, total))
        yield

    def _serve_old(self, admin: Admin, shown: dict[str, Any], tag: str) -> Iterator[None]:
        """An order that was placed in Oscar: some money goes back, and it gets another address."""
        refunded = sum(to_minor(payment["refunded_amount"] or 0) for payment in shown["payment_collections"])
        yield from self._refund(admin, shown, 100, refunded + 100)
        elsewhere = ADDRESS | {"address_1": f"Dawna {tag}", "city": "Kraków", "postal_code": "31-147"}
        admin("POST", f"/orders/{shown['id']}", {"shipping_address": elsewhere})
        self._note_order("old order's address", admin, shown["id"], shown["email"])
        yield


def _number_of(shown: dict[str, Any]) -> str:
    """The order's number in Oscar: its own, or one of Medusa's with a mark."""
    return shown["custom_display_id"] or f"M-{shown['display_id']}"


@contextmanager
def selling(sellers: list[Seller], pace_s: float) -> Iterator[list[threading.Thread]]:
    """Let them all live at the same time for as long as the block lasts, or until Medusa's store is closed."""
    stopped = threading.Event()
    threads = [threading.Thread(target=seller.run, args=(stopped, pace_s), name=seller.name) for seller in sellers]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def find_missing_in_oscar(acknowledged: Acknowledged, facts: dict[str, Any]) -> list[str]:
    """List each fact that Oscar's own models do not show after the rollback, with what they show."""
    held = _read_oscar(facts)
    return [
        f"{kind} of {which}: acknowledged {fact}, Oscar {held.get((kind, which))}"
        for (kind, which), fact in acknowledged.facts.items()
        if held.get((kind, which)) != fact
    ]


def _read_oscar(facts: dict[str, Any]) -> dict[Key, Fact]:
    """The same facts, as Oscar's models tell them."""
    held: dict[Key, Fact] = {}
    for account in facts["accounts"]:
        email = account["email"].lower()
        held |= {("name", email): account["name"], ("active", email): account["active"]}
    for address in facts["addresses"]:
        held["address", f"{address['email'].lower()}/{address['line1']}"] = f"{address['town']} {address['postcode']}"
    for order in facts["orders"]:
        number, address = order["number"], order["address"]
        held["order", number] = {
            "email": order["email"].lower(),
            "total": to_minor(order["total"]),
            "lines": sorted((n["title"], n["quantity"], to_minor(n["total"])) for n in order["lines"]),
            "address": address and f"{address['line1']}, {address['town']} {address['postcode']}",
        }
        held |= {
            ("paid", number): to_minor(order["paid"]),
            ("refunded", number): to_minor(order["refunded"]),
            ("status", number): order["status"],
        }
    return held
