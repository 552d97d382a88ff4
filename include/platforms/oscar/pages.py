"""The same through Oscar's own pages: forms, views, middleware and sessions, by Django's client."""

from __future__ import annotations

from typing import Any

from acts import Product, User, write_of
from django.test import Client
from ledger import Ledger, Write
from oscar.core.loading import get_model

Order = get_model("order", "Order")
_ADDRESS = {
    "title": "Mr",
    "first_name": "Jan",
    "last_name": "Kowalski",
    "line1": "ul. Prosta 7",
    "line4": "Warszawa",
    "postcode": "00-838",
    "country": "PL",
    "phone_number": "+48601234567",
}


class RefusedError(Exception):
    """A page did not take a form."""


def open_client() -> Client:
    """A browser without a session."""
    return Client(HTTP_HOST="127.0.0.1")


def _send(client: Client, path: str, fields: dict[str, Any]) -> None:
    """Send a form that must be taken: the page then leads to another one."""
    answer = client.post(path, fields)
    if answer.status_code != 302:
        raise RefusedError(f"{path} answered {answer.status_code}")


def visit(tag: str, ledger: Ledger) -> None:
    """Somebody registers, fills a basket and buys; each write is booked once its page has answered."""
    email, password, client = f"{tag}@Example.com", f"Tajne-Hasło-{tag}", open_client()
    fields = {"registration-email": email, "registration-password1": password, "registration-password2": password}
    _send(client, "/accounts/login/", fields | {"registration_submit": "1"})
    user = User.objects.get(email__iexact=email)
    ledger.book([Write("account", str(user.pk), {"email": user.email, "password": password})])
    _send(client, f"/basket/add/{Product.objects.order_by('pk').first().pk}/", {"quantity": 2})
    _send(client, "/checkout/shipping-address/", _ADDRESS)
    _send(client, "/checkout/shipping-method/", {"method_code": "courier"})
    _send(client, "/checkout/preview/", {"action": "place_order"})
    placed = Order.objects.get(user=user)
    paid = Write("payment", placed.number, {"paid": str(placed.total_incl_tax)})
    ledger.book([write_of(placed), paid])


def log_in(email: str, password: str) -> Client:
    """A browser that is logged in."""
    client = open_client()
    _send(client, "/accounts/login/", {"login-username": email, "login-password": password, "login_submit": "1"})
    return client


def show_orders(email: str, password: str) -> dict[str, str]:
    """The page of each order of a customer, as HTML, by its number."""
    client = log_in(email, password)
    numbers = Order.objects.filter(user__email__iexact=email).values_list("number", flat=True)
    pages = {number: client.get(f"/accounts/orders/{number}/") for number in numbers}
    assert all(page.status_code == 200 for page in pages.values()), pages
    return {number: page.content.decode() for number, page in pages.items()}
