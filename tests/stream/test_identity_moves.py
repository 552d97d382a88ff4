"""Who is who, while addresses change hands: in whatever order, it ends where a run from scratch puts it."""

from __future__ import annotations

import pytest
from live import Flow, order

pytestmark = pytest.mark.stack


def person(number: int, email: str) -> list[str]:
    """An account with an order, a consent, and a card with points."""
    return [
        f"INSERT INTO customers (id, email, full_name, created_at) VALUES ({number}, '{email}', 'Jan Nowak', '2020-01-01')",
        order(number, customer=number),
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, ip, wording) "
        f"VALUES ({number}, {number}, 'email', 'T', '2021-01-01', '10.0.0.1', 'v1')",
        f"INSERT INTO loyalty_accounts (id, customer_id, card_number, points) VALUES ({number}, {number}, 'C{number}', 5)",
        f"INSERT INTO loyalty_log (id, account_id, kind, points) VALUES ({number}, {number}, 'E', 5)",
    ]


def email(number: int, address: str) -> str:
    return f"UPDATE customers SET email = '{address}' WHERE id = {number}"


def persons(flow: Flow, *numbers: int) -> int:
    return int(
        flow.one(
            "SELECT count(DISTINCT shop_key) FROM ferry.identity WHERE entity = 'customer' AND legacy_key = ANY(%s)",
            list(numbers),
        )
    )


def owner(flow: Flow, order_id: int) -> int:
    """The leading legacy account of the person whose order it is."""
    return int(
        flow.one(
            "SELECT c.legacy_customer_id FROM shop.customer_order o JOIN shop.customer c ON c.id = o.customer_id WHERE o.id = %s",
            order_id,
        )
    )


@pytest.mark.parametrize("together", [True, False], ids=["one transaction", "two"])
@pytest.mark.parametrize("first", ["given up", "taken"])
def test_an_address_that_is_taken_over(flow: Flow, first: str, together: bool) -> None:
    a = 4_000_000 + 10 * together + 100 * (first == "taken")
    b = a + 1
    shared, new = f"shared{a}@example.com", f"new{a}@example.com"
    flow.write(*person(a, shared), *person(b, f"old{a}@example.com"))
    flow.applied()
    moves = [email(a, new), email(b, shared)]
    if first == "taken":
        moves.reverse()
    if together:
        flow.write(*moves)
    else:
        for move in moves:
            flow.write(move)
    flow.clean()
    assert persons(flow, a, b) == 2
    found = "SELECT legacy_customer_id, email FROM shop.customer WHERE legacy_customer_id IN (%s, %s) ORDER BY 1"
    assert flow.ask(found, a, b) == [(a, new), (b, shared)]
    assert (owner(flow, a), owner(flow, b)) == (a, b)
    flow.like_from_scratch()


def test_two_accounts_that_become_one_person_and_part_again(flow: Flow) -> None:
    a, b = 4_000_201, 4_000_202
    flow.write(*person(a, "one@example.com"), *person(b, "two@example.com"))
    flow.applied()
    assert persons(flow, a, b) == 2
    flow.write(email(b, "ONE@example.com "))
    flow.clean()
    assert persons(flow, a, b) == 1
    assert owner(flow, a) == owner(flow, b)
    assert flow.one("SELECT count(*) FROM shop.consent WHERE legacy_customer_id IN (%s, %s)", a, b) == 1
    flow.like_from_scratch()
    flow.write(email(a, "three@example.com"))
    flow.clean()
    assert persons(flow, a, b) == 2
    assert (owner(flow, a), owner(flow, b)) == (a, b)
    assert flow.one("SELECT count(*) FROM shop.consent WHERE legacy_customer_id IN (%s, %s)", a, b) == 2
    assert flow.ask(
        "SELECT c.legacy_customer_id, l.balance FROM shop.loyalty_account l JOIN shop.customer c ON c.id = l.customer_id "
        "WHERE l.id IN (%s, %s) ORDER BY 1",
        a,
        b,
    ) == [(a, 5), (b, 5)]
    flow.like_from_scratch()


def test_three_that_pass_their_addresses_round(flow: Flow) -> None:
    numbers = [4_000_301, 4_000_302, 4_000_303]
    flow.write(*[s for n in numbers for s in person(n, f"round{n}@example.com")])
    flow.applied()
    for _ in range(3):
        rows = dict(flow.legacy.execute("SELECT id, email FROM customers WHERE id = ANY(%s)", (numbers,)).fetchall())
        flow.write(*[email(n, rows[numbers[(i + 1) % 3]]) for i, n in enumerate(numbers)])
    flow.clean()
    assert persons(flow, *numbers) == 3
    flow.like_from_scratch()
