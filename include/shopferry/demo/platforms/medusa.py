"""Medusa as the new shop: its server on a database, and its Admin and Store APIs as people and shop fronts use them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from shopferry.errors import StackError

ADMIN = ("admin@example.com", "a password of the admin")
_BOOT_S = 180.0  # ten seconds on an idle machine
ADDRESS = {
    "first_name": "Nowa",
    "last_name": "Klientka",
    "address_1": "Prosta 1",
    "city": "Warszawa",
    "country_code": "pl",
    "postal_code": "00-001",
}
_ORDER_FIELDS = (
    "+total,+currency_code,+payment_status,+fulfillment_status,+email,+items.*,+shipping_methods.*,*shipping_address,"
    "*payment_collections,*payment_collections.payments,+summary.*,*items.adjustments,*shipping_methods.adjustments"
)


@dataclass(frozen=True)
class Installed:
    """What one installation of Medusa is like: the ids that it gave out, and the key of its shop front."""

    region: str
    sales_channel: str
    stock_location: str
    shipping_option: str
    variant: str
    front_key: str


@dataclass(frozen=True)
class Medusa:
    """A running server."""

    url: str

    def call(self, method: str, path: str, body: object = None, *, token: str = "", key: str = "") -> dict[str, Any]:
        """Ask and return the answer; raises StackError for any status but 2xx, and for none in two minutes."""
        headers = ({"authorization": f"Bearer {token}"} if token else {}) | (
            {"x-publishable-api-key": key} if key else {}
        )
        try:
            answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=120.0)
        except httpx.TransportError as error:
            raise StackError(f"Medusa does not answer {method} {path}: {type(error).__name__}") from None
        if not answer.is_success:
            raise StackError(f"Medusa refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())

    def log_in(self, actor: str, email: str, password: str) -> str:
        """Return the token of a customer or user; empty where the log-in is refused."""
        body = {"email": email, "password": password}
        answer = httpx.post(f"{self.url}/auth/{actor}/emailpass", json=body, timeout=120.0)
        if answer.status_code not in {200, 401}:
            raise StackError(f"Medusa cannot judge a log-in: {answer.status_code} {answer.text[:500]}")
        return str(answer.json()["token"]) if answer.is_success else ""

    def admin(self) -> Admin:
        """The Admin API as its first user."""
        return Admin(self, self.log_in("user", *ADMIN))


@dataclass(frozen=True)
class Admin:
    """The Admin API, logged in."""

    medusa: Medusa
    token: str

    def __call__(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask the Admin API."""
        return self.medusa.call(method, f"/admin{path}", body, token=self.token)

    def list_all(self, path: str, name: str, fields: str = "") -> list[dict[str, Any]]:
        """Return all items of a list, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self("GET", f"{path}?limit=100&offset={len(found)}&order=id{f'&fields={fields}' if fields else ''}")
            found += page[name]
            if len(found) >= page["count"]:
                return found

    def read_order(self, order: str) -> dict[str, Any]:
        """Return one order, as `list_orders` does."""
        return dict(self("GET", f"/orders/{order}?fields={_ORDER_FIELDS.replace('+', '%2B')}")["order"])

    def list_orders(self) -> list[dict[str, Any]]:
        """Return all orders, with their totals, lines, payments and both states."""
        return self.list_all("/orders", "orders", _ORDER_FIELDS.replace("+", "%2B"))


@dataclass(frozen=True)
class Customer:
    """The Store API through a shop front: as a customer who is logged in, or as a guest, whose token is empty."""

    medusa: Medusa
    token: str
    installed: Installed

    def __call__(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask the Store API."""
        return self.medusa.call(method, f"/store{path}", body, token=self.token, key=self.installed.front_key)

    def buy(self, quantity: int, **fields: object) -> dict[str, Any]:
        """Put the one product into a cart with these fields, pay it, and return the order."""
        there = {"shipping_address": ADDRESS, "billing_address": ADDRESS}
        cart = self("POST", "/carts", {"region_id": self.installed.region, **there, **fields})["cart"]["id"]
        self("POST", f"/carts/{cart}/line-items", {"variant_id": self.installed.variant, "quantity": quantity})
        self("POST", f"/carts/{cart}/shipping-methods", {"option_id": self.installed.shipping_option})
        payment = self("POST", "/payment-collections", {"cart_id": cart})["payment_collection"]["id"]
        self("POST", f"/payment-collections/{payment}/payment-sessions", {"provider_id": "pp_system_default"})
        return dict(self("POST", f"/carts/{cart}/complete", {})["order"])


@contextmanager
def serve(folder: Path, dsn: str, port: int, log: Path, *, admin: bool = False) -> Iterator[Medusa]:
    """Run Medusa's server of this project folder on a database, for as long as the block lasts; `admin`: with Admin's pages."""
    command = ["node_modules/.bin/medusa", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(dsn) | {"MEDUSA_ADMIN": "on" if admin else "off"},
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
    medusa = Medusa(f"http://127.0.0.1:{port}")
    try:
        _await_health(server, medusa, log)
        yield medusa
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def environment(dsn: str) -> dict[str, str]:
    """What Medusa's programs run with."""
    return {**os.environ, "DATABASE_URL": dsn, "NODE_ENV": "development", "MEDUSA_DISABLE_TELEMETRY": "true"}


def _await_health(server: subprocess.Popen[bytes], medusa: Medusa, log: Path) -> None:
    deadline = time.monotonic() + _BOOT_S
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{medusa.url}/health", timeout=5.0).is_success:
                return
        time.sleep(0.1)
    raise StackError(f"Medusa did not come up within {_BOOT_S:.0f} s, or ended: see {log}")
