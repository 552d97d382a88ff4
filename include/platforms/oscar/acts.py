"""What people do in the shop, by Oscar's own models and checkout classes; each act says what it has written.

The caller has a transaction open, and books the writes once it is committed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from forks.shipping.repository import Repository
from ledger import Write
from oscar.core.loading import get_class, get_model
from stock import VOUCHER

User = get_user_model()
Basket, Product = get_model("basket", "Basket"), get_model("catalogue", "Product")
Order, OrderNote = get_model("order", "Order"), get_model("order", "OrderNote")
ShippingAddress, BillingAddress = get_model("order", "ShippingAddress"), get_model("order", "BillingAddress")
UserAddress = get_model("address", "UserAddress")
Source, SourceType = get_model("payment", "Source"), get_model("payment", "SourceType")
PaymentEventType = get_model("order", "PaymentEventType")
ShippingEventType = get_model("order", "ShippingEventType")
Voucher = get_model("voucher", "Voucher")
EventHandler = get_class("order.processing", "EventHandler")

_NAMES = (("Anna", "Kowalska"), ("Jan", "Wiśniewski"), ("Zofia", "Żółć"), ("Paweł", "Dąb-Nowak"), ("Eve", "O'Hara"))
_STREETS = ("ul. Prosta", "ul. Długa", "al. Jana Pawła II", "os. Słoneczne")
_TOWNS = (("00-838", "Warszawa"), ("31-147", "Kraków"), ("90-001", "Łódź"), ("80-001", "Gdańsk"))


def register(random: Random, tag: str, hasher: str = "default", **fields: Any) -> tuple[Any, list[Write]]:
    """A new account, its password hashed as told; `tag` makes it the only one."""
    first, last = random.choice(_NAMES)
    password = f"Hasło-{tag}"
    given = {"email": f"{tag}@example.com", "first_name": first, "last_name": last} | fields
    user = User.objects.create(username=tag, password=make_password(password, hasher=hasher), **given)
    return user, [Write("account", str(user.pk), {"email": user.email, "first_name": first, "password": password})]


def change_password(user: Any, password: str) -> list[Write]:
    """The user sets another password."""
    user.set_password(password)
    user.save(update_fields=["password"])
    return [Write("password", str(user.pk), {"email": user.email, "password": password})]


def close_account(user: Any) -> list[Write]:
    """The user's account is deleted, as its page does it; orders stay."""
    key, email = str(user.pk), user.email
    user.delete()
    return [Write("deletion", key, {"email": email})]


def _fields(random: Random) -> dict[str, str]:
    (first, last), (postcode, town) = random.choice(_NAMES), random.choice(_TOWNS)
    line = f"{random.choice(_STREETS)} {random.randint(1, 999)}"
    named = {"title": "Mr", "first_name": first, "last_name": last, "line1": line, "line2": "", "line4": town}
    if random.random() < 0.3:
        named["line2"] = f"m. {random.randint(1, 80)}"
    return named | {"postcode": postcode, "country_id": "PL"}


def add_address(random: Random, user: Any) -> list[Write]:
    """One more address in the user's book; the first one is the default."""
    first = not UserAddress.objects.filter(user=user).exists()
    defaults = {"is_default_for_shipping": first, "is_default_for_billing": first}
    address = UserAddress(user=user, phone_number="+48601234567", **_fields(random), **defaults)
    address.save()
    return [Write("address", str(address.pk), {"email": user.email, **describe_address(address)})]


def describe_address(address: Any) -> dict[str, str]:
    """What must be seen of an address."""
    return {"line1": address.line1, "town": address.line4, "postcode": address.postcode}


def order(
    random: Random, user: Any = None, *, email: str = "", paid: bool = True, **fields: Any
) -> tuple[Any, list[Write]]:
    """An order by Oscar's checkout classes, of a user or of a guest with an e-mail."""
    request = RequestFactory().get("/")
    request.user = user or AnonymousUser()
    basket = Basket.objects.create(owner=user)
    basket.strategy = get_class("partner.strategy", "Selector")().strategy(request=request, user=request.user)
    for product in random.sample(list(Product.objects.all()), random.randint(1, 3)):
        basket.add_product(product, random.randint(1, 4))
    if random.random() < 0.3:
        basket.vouchers.add(Voucher.objects.get(code=VOUCHER))
    get_class("offer.applicator", "Applicator")().apply(basket, request.user, request)
    method = random.choice(Repository.methods)
    charge = method.calculate(basket)
    total = get_class("checkout.calculators", "OrderTotalCalculator")().calculate(basket, charge)
    shipping = ShippingAddress.objects.create(phone_number="+48601234567", **_fields(random))
    placed = get_class("order.utils", "OrderCreator")().place_order(
        basket=basket,
        total=total,
        shipping_method=method,
        shipping_charge=charge,
        user=request.user,
        shipping_address=shipping,
        billing_address=BillingAddress.objects.create(**_fields(random)),
        order_number=get_class("order.utils", "OrderNumberGenerator")().order_number(basket),
        request=request,
        **({} if user else {"guest_email": email}),
        **fields,
    )
    basket.submit()
    writes = [write_of(placed)]
    return placed, writes + (pay(placed) if paid else [])


def write_of(placed: Any) -> Write:
    """The ledger's line of an order that was placed just now."""
    placed.refresh_from_db()
    return Write("order", placed.number, {"total": str(placed.total_incl_tax), "currency": placed.currency})


def pay(placed: Any) -> list[Write]:
    """The order is paid by transfer."""
    source = Source.objects.create(
        order=placed, source_type=SourceType.objects.get(code="transfer"), currency=placed.currency
    )
    source.allocate(placed.total_incl_tax, reference=f"T-{placed.number}")
    source.debit(placed.total_incl_tax, reference=f"T-{placed.number}")
    _note_payment(placed, "settled", placed.total_incl_tax)
    return [Write("payment", placed.number, {"paid": str(placed.total_incl_tax)})]


def refund(placed: Any, amount: Decimal) -> list[Write]:
    """A part of what was paid goes back."""
    source = placed.sources.get()
    source.refund(amount, reference=f"R-{placed.number}-{source.transactions.count()}")
    _note_payment(placed, "refunded", amount)
    return [Write("refund", placed.number, {"refunded": str(source.amount_refunded)})]


def _note_payment(placed: Any, code: str, amount: Decimal) -> None:
    lines = list(placed.lines.all())
    kind = PaymentEventType.objects.get(code=code)
    EventHandler().handle_payment_event(placed, kind, amount, lines, [line.quantity for line in lines])


def move_on(placed: Any, status: str) -> list[Write]:
    """The order reaches its next state, and what belongs to it happens: it is sent, delivered, sent back."""
    placed.set_status(status)
    writes = [Write("state", placed.number, {"status": status})]
    OrderNote.objects.create(order=placed, note_type="System", message=f"Teraz: {status}")
    if code := {"Shipped": "shipped", "Complete": "delivered", "Returned": "returned"}.get(status):
        lines = list(placed.lines.all())
        kind = ShippingEventType.objects.get(code=code)
        EventHandler().handle_shipping_event(placed, kind, lines, [line.quantity for line in lines])
        writes.append(Write("shipping", placed.number, {"event": code}))
    return writes


def _recent(model: Any, random: Random, **wanted: Any) -> Any:
    """One of the newest rows: what people have just made is what they touch again."""
    found = list(model.objects.filter(**wanted).order_by("-pk")[:30])
    return random.choice(found) if found else None


def act(random: Random, tag: str) -> list[Write]:
    """One act at random; `tag` has never been used before. Empty where there was nothing to do it to."""
    name = random.choices(list(_ACTS), [weight for weight, _ in _ACTS.values()])[0]
    return _ACTS[name][1](random, tag)


def _join(random: Random, tag: str) -> list[Write]:
    user, writes = register(random, tag)
    return writes + add_address(random, user)


def _of_user(act: Callable[[Random, Any, str], list[Write]]) -> Callable[[Random, str], list[Write]]:
    def do(random: Random, tag: str) -> list[Write]:
        user = _recent(User, random, is_staff=False, is_active=True)
        return act(random, user, tag) if user else []

    return do


def _next_state(random: Random, tag: str) -> list[Write]:
    placed = _recent(Order, random, status__in=("Pending", "Being processed", "Shipped"))
    return move_on(placed, random.choice(placed.available_statuses())) if placed else []


def _give_back(random: Random, tag: str) -> list[Write]:
    placed = _recent(Order, random, sources__amount_debited__gt=0, sources__amount_refunded=0)
    return refund(placed, (placed.total_incl_tax / random.randint(1, 3)).quantize(Decimal("0.01"))) if placed else []


def _leave(random: Random, tag: str) -> list[Write]:
    user = _recent(User, random, username__regex=r"^(old|new)\d")  # the odd accounts stay, for the log-ins
    return close_account(user) if user else []


_ACTS: dict[str, tuple[int, Callable[[Random, str], list[Write]]]] = {
    "join": (4, _join),
    "address": (3, _of_user(lambda random, user, tag: add_address(random, user))),
    "password": (1, _of_user(lambda random, user, tag: change_password(user, f"Nowe-{tag}"))),
    "order": (8, _of_user(lambda random, user, tag: order(random, user, paid=random.random() < 0.8)[1])),
    "guest": (2, lambda random, tag: order(random, email=f"guest{random.randint(1, 9)}@example.com")[1]),
    "state": (8, _next_state),
    "refund": (1, _give_back),
    "leave": (1, _leave),
}
