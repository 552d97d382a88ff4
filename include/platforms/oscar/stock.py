"""What the shop sells, and how it is paid and sent."""

from __future__ import annotations

from decimal import Decimal

from oscar.core.loading import get_model
from oscar.test.factories import create_product
from oscar.test.factories.offer import BenefitFactory, ConditionalOfferFactory, ConditionFactory, RangeFactory

VOUCHER = "WIOSNA10"
# Title, class, supplier, net price. The wholesaler's prices with tax have four decimals: Oscar adds them up before it rounds the
# total, and rounds each line by itself.
_GOODS = (
    ("Kubek biały", "Mugs", "Warehouse", "24.31"),
    ("Kubek „Łoś”", "Mugs", "Warehouse", "32.52"),
    ("Książka kucharska", "Books", "Warehouse", "42.86"),
    ("Ołówek HB", "Stationery", "Warehouse", "0.81"),
    ("Notes A5", "Stationery", "Wholesale", "9.99"),
    ("Długopis", "Stationery", "Wholesale", "3.33"),
)


def fill() -> None:
    """Put goods, countries, ways to pay and to send, and a voucher into an empty shop."""
    for number, (title, kind, supplier, price) in enumerate(_GOODS, 1):
        create_product(
            upc=f"SKU-{number}",
            partner_sku=f"SKU-{number}",
            title=title,
            product_class=kind,
            partner_name=supplier,
            price=Decimal(price),
            num_in_stock=1_000_000,
        )
    country = {"printable_name": "Poland", "name": "POLAND", "iso_3166_1_a3": "POL", "is_shipping_country": True}
    get_model("address", "Country").objects.update_or_create(iso_3166_1_a2="PL", defaults=country)
    for code, name in (("transfer", "Przelew"), ("card", "Karta")):
        get_model("payment", "SourceType").objects.get_or_create(code=code, defaults={"name": name})
    for name in ("Settled", "Refunded"):
        get_model("order", "PaymentEventType").objects.get_or_create(code=name.lower(), defaults={"name": name})
    for name in ("Shipped", "Delivered", "Returned"):
        get_model("order", "ShippingEventType").objects.get_or_create(code=name.lower(), defaults={"name": name})
    _add_voucher()


def _add_voucher() -> None:
    """Ten percent off everything, for whoever types the code."""
    everything = RangeFactory(includes_all_products=True)
    offer = ConditionalOfferFactory(
        name="Wiosna",
        offer_type="Voucher",
        benefit=BenefitFactory(range=everything, type="Percentage", value=Decimal(10)),
        condition=ConditionFactory(range=everything, type="Count", value=1),
    )
    always = {"start_datetime": "2020-01-01T00:00Z", "end_datetime": "2099-01-01T00:00Z"}
    model = get_model("voucher", "Voucher")
    model.objects.create(name="Wiosna", code=VOUCHER, usage=model.MULTI_USE, **always).offers.add(offer)
