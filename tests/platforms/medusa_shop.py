"""Medusa as the new shop: its server on a database, and its Admin and Store APIs as people and shop fronts use them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from waiting import until

ADMIN = ("admin@example.com", "a password of the admin")
_BOOT_S = 180.0  # ten seconds on an idle machine
_ORDER_FIELDS = (
    "+total,+currency_code,+payment_status,+fulfillment_status,+email,+items.*,+shipping_methods.*,*shipping_address,"
    "*payment_collections,*payment_collections.payments,+summary.*"
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


class RefusedError(Exception):
    """Medusa refused a request; the text says which, and its answer."""


@dataclass(frozen=True)
class Medusa:
    """A running server."""

    url: str

    def call(self, method: str, path: str, body: object = None, *, token: str = "", key: str = "") -> dict[str, Any]:
        """Ask and return the answer; raises RefusedError for any status but 2xx."""
        headers = ({"authorization": f"Bearer {token}"} if token else {}) | (
            {"x-publishable-api-key": key} if key else {}
        )
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=120.0)
        if not answer.is_success:
            raise RefusedError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())

    def log_in(self, actor: str, email: str, password: str) -> str:
        """Return the token of a customer or user; empty where the log-in is refused."""
        body = {"email": email, "password": password}
        answer = httpx.post(f"{self.url}/auth/{actor}/emailpass", json=body, timeout=120.0)
        assert answer.status_code in {200, 401}, answer.text
        return str(answer.json()["token"]) if answer.is_success else ""

    def admin(self) -> Admin:
        """The Admin API as its first user."""
        token = self.log_in("user", *ADMIN)
        assert token, "the admin cannot log in"
        return Admin(self, token)


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

    def list_orders(self) -> list[dict[str, Any]]:
        """Return all orders, with their totals, lines, payments and both states."""
        return self.list_all("/orders", "orders", _ORDER_FIELDS.replace("+", "%2B"))


@dataclass(frozen=True)
class Customer:
    """The Store API, as a customer who is logged in, through a shop front."""

    medusa: Medusa
    token: str
    installed: Installed

    def __call__(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask the Store API."""
        return self.medusa.call(method, f"/store{path}", body, token=self.token, key=self.installed.front_key)

    def buy(self, quantity: int) -> dict[str, Any]:
        """Put the one product into a cart, pay it, and return the order."""
        address = {
            "first_name": "Nowa",
            "last_name": "Klientka",
            "address_1": "Prosta 1",
            "city": "Warszawa",
            "country_code": "pl",
            "postal_code": "00-001",
        }
        there = {"shipping_address": address, "billing_address": address}
        cart = self("POST", "/carts", {"region_id": self.installed.region, **there})["cart"]["id"]
        self("POST", f"/carts/{cart}/line-items", {"variant_id": self.installed.variant, "quantity": quantity})
        self("POST", f"/carts/{cart}/shipping-methods", {"option_id": self.installed.shipping_option})
        payment = self("POST", "/payment-collections", {"cart_id": cart})["payment_collection"]["id"]
        self("POST", f"/payment-collections/{payment}/payment-sessions", {"provider_id": "pp_system_default"})
        return dict(self("POST", f"/carts/{cart}/complete", {})["order"])


@contextmanager
def serve(folder: Path, dsn: str, port: int, log: Path) -> Iterator[Medusa]:
    """Run Medusa's server of this project folder on a database, for as long as the block lasts."""
    command = ["node_modules/.bin/medusa", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("ab") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment(dsn), stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    medusa = Medusa(f"http://127.0.0.1:{port}")
    try:
        until(lambda: _is_healthy(server, medusa, log), _BOOT_S)
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


def _is_healthy(server: subprocess.Popen[bytes], medusa: Medusa, log: Path) -> bool:
    assert server.poll() is None, f"Medusa ended: {log.read_text()[-3000:]}"
    try:
        return httpx.get(f"{medusa.url}/health", timeout=5.0).is_success
    except httpx.TransportError:
        return False


def set_up(medusa: Medusa) -> Installed:
    """Make an empty Medusa a shop, as a team does it in Admin: region, tax, stock, shipping, one product, a shop front."""
    ask = medusa.admin()
    channel = ask("POST", "/sales-channels", {"name": "Web"})["sales_channel"]["id"]
    store = ask("GET", "/stores")["stores"][0]["id"]
    # Prices include tax, as shop fronts in Poland must show them.
    currencies = [{"currency_code": "pln", "is_default": True, "is_tax_inclusive": True}, {"currency_code": "eur"}]
    ask("POST", f"/stores/{store}", {"supported_currencies": currencies, "default_sales_channel_id": channel})
    region = {"name": "Polska", "currency_code": "pln", "countries": ["pl"], "payment_providers": ["pp_system_default"]}
    vat = {"rate": 23, "name": "VAT 23%", "code": "vat23"}
    ask("POST", "/tax-regions", {"country_code": "pl", "provider_id": "tp_system", "default_tax_rate": vat})
    location, zone = _set_up_stock(ask, channel)
    profile = ask("GET", "/shipping-profiles")["shipping_profiles"][0]["id"]
    key = ask("POST", "/api-keys", {"title": "web", "type": "publishable"})["api_key"]
    ask("POST", f"/api-keys/{key['id']}/sales-channels", {"add": [channel]})
    return Installed(
        region=ask("POST", "/regions", region)["region"]["id"],
        sales_channel=channel,
        stock_location=location,
        shipping_option=_set_up_shipping(ask, zone, profile),
        variant=_set_up_product(ask, channel, profile),
        front_key=key["token"],
    )


def _set_up_stock(ask: Admin, channel: str) -> tuple[str, str]:
    """Make a warehouse that sends to Poland; returns its id and its zone's."""
    address = {"address_1": "Magazynowa 1", "city": "Warszawa", "country_code": "pl"}
    location = ask("POST", "/stock-locations", {"name": "Magazyn", "address": address})["stock_location"]["id"]
    ask("POST", f"/stock-locations/{location}/fulfillment-providers", {"add": ["manual_manual"]})
    ask("POST", f"/stock-locations/{location}/sales-channels", {"add": [channel]})
    sets = f"/stock-locations/{location}/fulfillment-sets?fields=*fulfillment_sets"
    made = ask("POST", sets, {"name": "Delivery", "type": "shipping"})["stock_location"]["fulfillment_sets"][0]["id"]
    poland = {"name": "PL", "geo_zones": [{"type": "country", "country_code": "pl"}]}
    zones = ask("POST", f"/fulfillment-sets/{made}/service-zones", poland)["fulfillment_set"]["service_zones"]
    return location, zones[0]["id"]


def _set_up_shipping(ask: Admin, zone: str, profile: str) -> str:
    """Make a courier at one price, and return the option's id."""
    option = {
        "name": "Kurier",
        "service_zone_id": zone,
        "shipping_profile_id": profile,
        "provider_id": "manual_manual",
        "price_type": "flat",
        "type": {"label": "Kurier", "description": "Kurier", "code": "courier"},
        "prices": [{"currency_code": "pln", "amount": 14.99}],
        "rules": [
            {"attribute": "enabled_in_store", "operator": "eq", "value": "true"},
            {"attribute": "is_return", "operator": "eq", "value": "false"},
        ],
    }
    return str(ask("POST", "/shipping-options", option)["shipping_option"]["id"])


def _set_up_product(ask: Admin, channel: str, profile: str) -> str:
    """Make a mug that never runs out, and return its variant's id."""
    variant = {
        "title": "Biały",
        "sku": "SKU-1",
        "manage_inventory": False,
        "options": {"Kolor": "Biały"},
        "prices": [{"currency_code": "pln", "amount": 29.9}],
    }
    product = {
        "title": "Kubek biały",
        "status": "published",
        "shipping_profile_id": profile,
        "sales_channels": [{"id": channel}],
        "options": [{"title": "Kolor", "values": ["Biały"]}],
        "variants": [variant],
    }
    return str(ask("POST", "/products", product)["product"]["variants"][0]["id"])
