"""What Oscar's own code says of its shop, beside what Medusa's APIs say of theirs; differences as sentences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from shopferry.demo.platforms.medusa import Admin, Medusa
from shopferry.demo.platforms.provision import Platforms
from shopferry.demo.platforms.trading import Booked
from shopferry.errors import StackError

_STATES = {"Pending": "pending", "Being processed": "pending", "Shipped": "pending"}
_STATES |= {"Complete": "completed", "Returned": "completed", "Cancelled": "canceled"}

Order = dict[str, Any]


def to_minor(amount: object) -> int:
    """An amount in the currency's minor unit."""
    return int((Decimal(str(amount)) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def by_number(orders: list[Order]) -> dict[str, Order]:
    """Medusa's orders by the number that the customer knows; two of one number are an error."""
    found = {str(order["display_id"]): order for order in orders}
    if len(found) != len(orders):
        raise StackError("two orders of Medusa have one number")
    return found


def compare_orders(oscar: Iterable[Order], medusa: dict[str, Order]) -> Iterator[str]:
    """Yield each difference between Oscar's orders and Medusa's."""
    for order in oscar:
        shown = medusa.get(order["number"])
        if shown is None:
            yield f"{order['number']}: is not in Medusa"
            continue
        expected, found = _of_oscar(order), _of_medusa(shown)
        for what, value in expected.items():
            if found[what] != value:
                yield f"{order['number']}: {what}: Oscar {value}, Medusa {found[what]}"


def _of_oscar(order: Order) -> dict[str, Any]:
    return {
        # Medusa adds up the lines; what Oscar's own total has beyond them is named by the route.
        "total": to_minor(order["total"]) - to_minor(order["rounding"]),
        "difference": to_minor(order["rounding"]),
        "currency": order["currency"].lower(),
        "email": order["email"].lower(),
        "lines": Counter((n["title"], n["quantity"], to_minor(n["total"])) for n in order["lines"]),
        "shipping": to_minor(order["shipping"]),
        "status": _STATES[order["status"]],
        "paid": to_minor(order["paid"]),
        "refunded": to_minor(order["refunded"]),
        "payment": _payment_status(order),
        "delivery": _delivery_status(order),
        "address": order["address"],
        "vouchers": order["vouchers"],
    }


def _payment_status(order: Order) -> str:
    paid, refunded = to_minor(order["paid"]), to_minor(order["refunded"])
    if not paid:
        return "canceled" if order["status"] == "Cancelled" else "not_paid"
    return "captured" if not refunded else "refunded" if refunded == paid else "partially_refunded"


def _delivery_status(order: Order) -> str:
    events = order["events"]
    return "delivered" if "delivered" in events else "shipped" if "shipped" in events else "not_fulfilled"


def _of_medusa(order: Order) -> dict[str, Any]:
    payments = order["payment_collections"]
    address = order["shipping_address"]
    discounts = [a for n in (*order["items"], *order["shipping_methods"]) for a in n.get("adjustments") or []]
    return {
        "total": to_minor(order["total"]),
        "difference": to_minor(order["metadata"]["legacy"].get("total_difference", 0)),
        "currency": order["currency_code"],
        "email": order["email"] or "",
        "lines": Counter((n["title"], n["quantity"], to_minor(n["total"])) for n in order["items"]),
        "shipping": sum(to_minor(method["total"]) for method in order["shipping_methods"]),
        "status": order["status"],
        "paid": sum(to_minor(payment["captured_amount"] or 0) for payment in payments),
        "refunded": sum(to_minor(payment["refunded_amount"] or 0) for payment in payments),
        "payment": order["payment_status"],
        "delivery": order["fulfillment_status"],
        "address": address
        and {"line1": address["address_1"], "town": address["city"], "postcode": address["postal_code"]},
        "vouchers": sorted({discount["code"] for discount in discounts if discount["code"]}),
    }


def find_missing(
    booked: Booked, orders: dict[str, Order], customers: Iterable[dict[str, Any]], staff: set[str]
) -> Iterator[str]:
    """Yield each acknowledged write of the ledger that Medusa does not show; accounts of staff stay behind."""
    shown = {number: _of_medusa(order) for number, order in orders.items() if number in booked.orders}
    for number, values in booked.orders.items():
        if number not in shown:
            yield f"order {number}"
        elif shown[number]["total"] + shown[number]["difference"] != to_minor(values["total"]):
            yield f"order {number}: total"
    for number in booked.orders.keys() & shown.keys():
        yield from _missing_of_order(number, booked, shown[number], orders[number])
    accounts = {c["email"]: c for c in customers if c["has_account"]}
    for account in booked.accounts.values():
        if account["email"].lower() not in accounts and account["email"] not in staff:
            yield f"account {account['email']}"
    for email in booked.deleted - {a["email"] for a in booked.accounts.values()}:
        if email.lower() in accounts:
            yield f"deletion of {email}"
    for address in (a for a in booked.addresses.values() if a["email"] not in staff):
        held = accounts.get(address["email"].lower(), {"addresses": []})["addresses"]
        wanted = (address["line1"], address["town"], address["postcode"])
        if wanted not in [(a["address_1"], a["city"], a["postal_code"]) for a in held]:
            yield f"address {wanted} of {address['email']}"


def _missing_of_order(number: str, booked: Booked, shown: dict[str, Any], order: Order) -> Iterator[str]:
    if (state := booked.states.get(number)) and _STATES[state] != shown["status"]:
        yield f"order {number}: state {state}"
    for what, amounts in (("paid", booked.paid), ("refunded", booked.refunded)):
        if number in amounts and to_minor(amounts[number]) != shown[what]:
            yield f"order {number}: {what} {amounts[number]}"
    events = {e["event"].lower() for e in order["metadata"]["legacy"].get("shipping_events", [])}
    for event in booked.events.get(number, set()) - events:
        yield f"order {number}: {event}"


@dataclass(frozen=True)
class LogIn:
    """An e-mail and password that were tried, and which application takes them."""

    email: str
    password: str
    oscar: bool
    medusa: bool


def try_log_ins(platforms: Platforms, accounts: str, medusa: Medusa, tried: Iterable[tuple[str, str]]) -> list[LogIn]:
    """Ask both applications of each e-mail and password.

    Oscar is asked on the database `accounts`, a copy of its accounts: at a log-in it may renew the hash, and its store is closed.
    """
    given = [{"email": email, "password": password} for email, password in tried]
    judged = json.loads(platforms.run_oscar(accounts, "log-ins", given=given))
    return [
        LogIn(
            each["email"],
            each["password"],
            each["accepted"],
            bool(medusa.log_in("customer", each["email"], each["password"])),
        )
        for each in judged
    ]


def list_customers(admin: Admin) -> list[dict[str, Any]]:
    """All of Medusa's customers, with their address books."""
    return admin.list_all("/customers", "customers", "%2Bhas_account,*addresses")
