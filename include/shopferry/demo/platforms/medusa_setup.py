"""An empty Medusa becomes a shop, as a team sets it up in Admin before anything is moved."""

from __future__ import annotations

from shopferry.demo.platforms.medusa import Admin, Installed, Medusa


def set_up(medusa: Medusa) -> Installed:
    """Make an empty Medusa a shop, region, tax, stock, shipping, one product, a shop front."""
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
