"""Identity: who is the same person follows every change of an address, and the person's shop key stays."""

from __future__ import annotations

import pytest
from pair import Pair


def account(key: int, email: str, name: str = "Jan Kowalski") -> str:
    return f"INSERT INTO customers (id, email, full_name) VALUES ({key}, '{email}', '{name}')"


def belongings(key: int) -> list[str]:
    """Something of everything that hangs on an account."""
    return [
        f"INSERT INTO addresses (id, customer_id, street, city, postcode) VALUES ({key}, {key}, 'Długa {key}', 'Łódź', '90-001')",
        f"INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        f"VALUES ({key}, {key}, 'sms', 'T', '2020-01-0{key}', 'v1')",
        f"INSERT INTO orders (id, number, customer_id, status_code, total, currency, payment_code, delivery_code, created_at) "
        f"VALUES ({key}, 'A-{key}', {key}, 'NEW', 1, 'PLN', 'CARD', 'DPD', '2020-01-01')",
        f"INSERT INTO loyalty_accounts (id, customer_id, points) VALUES ({key}, {key}, {key})",
    ]


def persons(pair: Pair) -> dict[int, int]:
    """Shop key by legacy account."""
    return dict(pair.ask("SELECT legacy_key, shop_key FROM ferry.identity WHERE entity = 'customer'"))


def owners(pair: Pair, table: str = "customer_order") -> dict[int, int]:
    """Shop key of the customer by order (or card)."""
    return dict(pair.ask(f"SELECT id, customer_id FROM shop.{table}"))


def step(pair: Pair, *statements: str, reverse: bool = False) -> None:
    """One transaction of legacy, replayed; the other way round each row's events come in the opposite order of rows."""
    pair.write(*statements)
    pair.capture()
    for partition in sorted(pair.pending(), reverse=reverse):
        pair.replay({partition: pair.pending()[partition]})


@pytest.fixture
def two(pair: Pair) -> Pair:
    """Two persons with their belongings, in the new shop."""
    pair.write(
        account(1, "jan@example.com"), account(2, "ala@example.com", "Jan Nowak"), *belongings(1), *belongings(2)
    )
    pair.pass_phases()
    return pair


@pytest.mark.parametrize("reverse", [False, True])
def test_an_address_that_is_given_up_may_be_taken_over(two: Pair, reverse: bool) -> None:
    step(
        two,
        "UPDATE customers SET email = 'new@example.com' WHERE id = 1",
        "UPDATE customers SET email = 'jan@example.com' WHERE id = 2",
        reverse=reverse,
    )
    assert dict(two.ask("SELECT legacy_customer_id, email FROM shop.customer")) == {
        1: "new@example.com",
        2: "jan@example.com",
    }
    assert len(set(persons(two).values())) == 2
    assert owners(two) == persons(two) == owners(two, "loyalty_account")
    two.check()


@pytest.mark.parametrize("width", [1, 100])
def test_two_persons_exchange_their_addresses(two: Pair, width: int) -> None:
    two.write("UPDATE customers SET email = CASE id WHEN 1 THEN 'ala@example.com' ELSE 'jan@example.com' END")
    two.capture()
    while pending := two.pending():
        two.replay({p: min(width, n) for p, n in list(pending.items())[:width]})
    assert dict(two.ask("SELECT legacy_customer_id, email FROM shop.customer")) == {
        1: "ala@example.com",
        2: "jan@example.com",
    }
    assert owners(two) == persons(two) == owners(two, "loyalty_account")
    two.check()


def test_two_accounts_become_one_person_with_everything_and_two_again(two: Pair) -> None:
    first = persons(two)
    step(two, "UPDATE customers SET email = ' JAN@example.com' WHERE id = 2")
    merged = persons(two)
    assert merged == {1: first[1], 2: first[1]}
    assert owners(two) == {1: first[1], 2: first[1]} == owners(two, "loyalty_account")
    assert two.one("SELECT count(*) FROM shop.customer") == 1
    assert two.one("SELECT count(*) FROM shop.customer_address WHERE customer_id = %s", first[1]) == 2
    assert two.ask("SELECT row_key, reason FROM ferry.left_out WHERE entity = 'shop.customer'") == [
        ("2", "merged_duplicate")
    ]
    two.check()
    step(two, "UPDATE customers SET email = 'ala@example.com' WHERE id = 2")
    apart = persons(two)
    assert apart[1] == first[1] != apart[2]
    assert owners(two) == apart == owners(two, "loyalty_account")
    assert two.ask("SELECT row_key FROM ferry.left_out WHERE entity = 'shop.customer'") == []
    two.check()


def test_a_withdrawal_of_one_account_wins_for_the_person_until_they_are_two_again(two: Pair) -> None:
    step(two, "UPDATE consents SET withdrawn_at = '2021-01-01' WHERE id = 2")
    step(two, "UPDATE customers SET email = 'jan@example.com' WHERE id = 2")
    assert two.ask("SELECT state::text FROM shop.consent") == [("withdrawn",)]
    step(two, "UPDATE customers SET email = 'ala@example.com' WHERE id = 2")
    assert two.ask("SELECT legacy_customer_id, state::text FROM shop.consent ORDER BY 1") == [
        (1, "granted"),
        (2, "withdrawn"),
    ]
    two.check()


def test_a_change_of_address_alone_keeps_the_person(two: Pair) -> None:
    before = persons(two)
    step(two, "UPDATE customers SET email = 'other@example.com' WHERE id = 1")
    assert persons(two) == before
    two.check()


def test_a_guest_becomes_the_customer_whose_address_it_is_and_a_guest_again(two: Pair) -> None:
    step(two, "UPDATE orders SET customer_id = 0, email = 'Late@Example.com', ship_name = 'Jan N.' WHERE id = 1")
    assert two.one("SELECT guest_email FROM shop.customer_order WHERE id = 1") == "late@example.com"
    step(two, "UPDATE customers SET email = 'late@example.com' WHERE id = 2")
    assert owners(two)[1] == persons(two)[2]
    step(two, "UPDATE customers SET email = 'ala@example.com' WHERE id = 2")
    assert owners(two)[1] is None
    two.check()


def test_a_customer_who_is_deleted_leaves_orders_behind_and_one_who_vanishes_sends_them_to_quarantine(
    two: Pair,
) -> None:
    step(two, "UPDATE customers SET deleted = 'T' WHERE id = 1", "DELETE FROM customers WHERE id = 2")
    assert owners(two) == {1: None}
    assert two.quarantine("shop.customer_order") == {"2": ["customer_missing"]}
    assert two.one("SELECT count(*) FROM shop.customer") == 0
    two.check()
    step(two, "UPDATE customers SET deleted = 'N' WHERE id = 1", account(2, "ala@example.com"))
    assert owners(two) == persons(two)
    two.check()
