"""What the shop holds as its own code sees it: what the new shop must show as well."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from acts import Order, User, UserAddress, describe_address
from django.contrib.auth import authenticate
from django.db import transaction


def describe_all() -> dict[str, Any]:
    """All accounts, addresses and orders."""
    return {
        "accounts": [
            {"key": str(u.pk), "email": u.email, "active": u.is_active, "staff": u.is_staff, "name": u.get_full_name()}
            for u in User.objects.order_by("pk")
        ],
        "addresses": [
            {"key": str(a.pk), "email": a.user.email, **describe_address(a)}
            for a in UserAddress.objects.select_related("user").order_by("pk")
        ],
        "orders": [_describe(order) for order in Order.objects.order_by("pk")],
    }


def _describe(order: Any) -> dict[str, Any]:
    lines = list(order.lines.order_by("pk"))
    sources = list(order.sources.all())
    events = list(order.shipping_events.select_related("event_type"))
    summed = sum((line.line_price_incl_tax for line in lines), Decimal(0)) + order.shipping_incl_tax
    return {
        "number": order.number,
        "email": order.email or "",
        "guest": order.user_id is None,
        "currency": order.currency,
        "total": str(order.total_incl_tax),
        # Oscar rounds the order and each line from four decimals, each by itself: they may differ by a grosz.
        "rounding": str(order.total_incl_tax - summed),
        "shipping": str(order.shipping_incl_tax),
        "status": order.status,
        "lines": [{"title": n.title, "quantity": n.quantity, "total": str(n.line_price_incl_tax)} for n in lines],
        "paid": str(sum((s.amount_debited for s in sources), Decimal(0))),
        "refunded": str(sum((s.amount_refunded for s in sources), Decimal(0))),
        "events": sorted({event.event_type.code for event in events}),
        "address": describe_address(order.shipping_address) if order.shipping_address else None,
        "vouchers": sorted({used.voucher_code for used in order.discounts.all() if used.voucher_code}),
    }


def judge_log_ins(tried: list[dict[str, str]]) -> list[dict[str, Any]]:
    """Ask Oscar whether it takes each e-mail and password; the hash that it would renew meanwhile stays as it is."""
    return [each | {"accepted": _accepts(each["email"], each["password"])} for each in tried]


def _accepts(email: str, password: str) -> bool:
    with transaction.atomic():
        user = authenticate(None, username=email, password=password)
        transaction.set_rollback(True)
    return user is not None
