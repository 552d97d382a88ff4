"""Random histories of a legacy shop: small values from small pools, so that rows meet each other often.

A write is a list of operations, one transaction. Every pool holds what the mappings accept, what they quarantine, what
they leave out and what only the new shop's types refuse.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from hypothesis import strategies as st
from pair import Pair
from psycopg.sql import SQL, Identifier, Literal
from shopferry.db import Connection

# Out of line in the table and not compressible: PostgreSQL does not log it again when another column changes.
_LONG = [" ".join(f"{(n * m) % 99991:x}" for n in range(1, 1400)) for m in (7919, 104729)]
_TOO_MUCH = "9999999999.9999"  # fits legacy's numeric(14,4), and rounded no more the shop's numeric(12,2)
# The last four are no years to the connector: rows that hold one are read again from legacy, as they are by then.
_DATES = [
    "2019-05-01 10:00",
    "2021-11-30 23:59:59.5",
    "1960-01-01 00:00",
    "2099-01-01 00:00",
    None,
    "infinity",
    "-infinity",
    "0001-06-15 01:02:03 BC",
    "12020-01-02 00:00",
]
_CUSTOMERS = [0, 1, 2, 3, 4, 6]  # 0: nobody; 6 never exists
_ORDERS = [0, 1, 2, 3, 9]
_CARDS = [1, 2, 9]
_EMAILS = [
    "jan@example.com",
    " Jan@Example.COM ",
    "ala@example.org",
    "ALA@example.org",
    "ola@example.net",
    "nobody at",
    "",
    None,
]
_ACCOUNTS = ["jan@example.com", "ala@example.org", " Jan@Example.COM ", "ola@example.net"]
_NAMES = ["Jan Kowalski", "Ala Nowak", "Ala  NOWAK ", "Q" * 120 + " Nowak", "Ola", '\U0001f984\\ "\t\U0010fffd', None]

# table → ids, what a row is born with (a list: by its id), pools its columns change within
_TABLES: dict[str, tuple[list[int], dict[str, object], dict[str, list[Any]]]] = {
    "customers": (
        [1, 2, 3, 4],
        {"email": _ACCOUNTS, "full_name": "Jan Kowalski", "created_at": "2015-03-03", "pass_hash": "a" * 32},
        {
            "email": _EMAILS,
            "full_name": _NAMES,
            "deleted": ["N", "N", "T"],
            "active": ["T", "N"],
            "newsletter": ["T", "N"],
            "newsletter_date": ["2011-03-05", "05.03.2011", "0000-00-00", None],
            "news_frequency": ["W", "tyg.", "never", "0", "czasem", " ", None],
            "news_topics": ["Książki;zabawki, BOOKS", "sale|wędkarstwo", "", None],
            "phone": ["601 234 567", "12345", None],
            "last_login": _DATES,
            "created_at": _DATES,
            "pass_hash": ["a" * 32, "plain", None],
            "bill_street": ["Długa 1", None],
            "bill_city": ["Łódź", None],
            "bill_postcode": ["90-001", "90001", "9"],
            "bill_country": ["PL", "Atlantyda", "Niemcy", None],
        },
    ),
    "addresses": (
        [1, 2, 3],
        {"customer_id": [1, 2, 3], "street": "Krótka 2", "city": "Kraków", "postcode": "30-001", "country": "PL"},
        {
            "customer_id": _CUSTOMERS,
            "street": ["Krótka 2", None],
            "city": ["Kraków", None],
            "postcode": ["30-001", "3"],
            "country": ["PL", "Atlantyda", None],
            "deleted": ["N", "T"],
        },
    ),
    "consents": (
        [1, 2, 3, 4],
        {"customer_id": [1, 2, 3, 1], "channel": "email", "granted": "T", "granted_at": "2020-02-02", "wording": "v1"},
        {
            "customer_id": _CUSTOMERS,
            "channel": ["email", "sms", "E", "fax"],
            "granted": ["T", "N", None],
            "granted_at": _DATES,
            "wording": ["v1", None],
            "ip": ["10.0.0.1", "none"],
            "withdrawn_at": [*_DATES[:2], None, "infinity"],
        },
    ),
    "orders": (
        [1, 2, 3],
        {
            "number": "A-1",
            "customer_id": [1, 0, 2],
            "email": ["jan@example.com", "ala@example.org", None],
            "status_code": "NEW",
            "total": "10.00",
            "currency": "PLN",
            "payment_code": "CARD",
            "delivery_code": "DPD",
            "created_at": "2020-05-05",
            "note": _LONG[0],
        },
        {
            "customer_id": [*_CUSTOMERS, None],
            "email": _EMAILS,
            "status_code": ["NEW", "paid", "DONE", "??"],
            "total": ["10.00", "99.9999", "-1", None, _TOO_MUCH, "NaN"],
            "currency": ["PLN", "zł", "?"],
            "note": [*_LONG, "short", None],
            "payment_code": ["CARD", "BLIK", "??"],
            "delivery_code": ["DPD", "??"],
            "created_at": _DATES,
            "number": ["A-1", "", "A-2"],
            "ship_country": ["PL", "Atlantyda"],
            "ship_phone": ["601234567", "1"],
            "ship_name": ["Jan Kowalski", None],
            "ship_postcode": ["90-001", "9"],
        },
    ),
    "order_items": (
        [1, 2, 3, 4],
        {
            "order_id": [1, 2, 3, 1],
            "sku": "S1",
            "name": "Kubek",
            "quantity": 1,
            "unit_price": "10.00",
            "line_total": "10.00",
        },
        {
            "order_id": _ORDERS,
            "quantity": [1, 3, 0],
            "unit_price": ["10.00", _TOO_MUCH, None],
            "line_total": ["10.00", None, _TOO_MUCH, "NaN"],
            "name": ["Kubek", None],
            "sku": ["S1", None],
        },
    ),
    "order_status_log": (
        [1, 2, 3],
        {"order_id": [1, 2, 3], "status_code": "NEW", "changed_at": "2020-05-05"},
        {
            "order_id": _ORDERS,
            "status_code": ["NEW", "SENT", "??"],
            "changed_at": _DATES,
            "changed_by": ["anna", None],
            "note": ["x", None],
        },
    ),
    "order_invoices": (
        [1, 2],
        {
            "order_id": [1, 2],
            "number": "F-1",
            "total": "10.00",
            "currency": "PLN",
            "issued_at": "2020-05-06",
            "tax_number": "526-000-12-46",
        },
        {
            "order_id": _ORDERS,
            "number": ["F-1", ""],
            "buyer_name": ["Jan Kowalski", None],
            "buyer_country": ["PL", "Niemcy", None],
            "tax_number": ["526-000-12-46", "5260001246", "1", None],
            "total": ["10.00", "-1", None, _TOO_MUCH, "NaN"],
            "currency": ["PLN", "?"],
            "issued_at": _DATES,
        },
    ),
    "loyalty_accounts": (
        [1, 2],
        {"customer_id": [1, 2], "card_number": "C1", "points": 100, "tier": "GOLD", "created_at": "2016-06-06"},
        {"customer_id": _CUSTOMERS, "points": [100, 0, -5, None], "tier": ["GOLD", "??", None]},
    ),
    "loyalty_log": (
        [1, 2, 3],
        {"account_id": [1, 2, 1], "kind": "E", "points": 100, "order_id": [1, 2, 3], "created_at": "2018-08-08"},
        {
            "account_id": _CARDS,
            "kind": ["E", "S", "X", "?"],
            "points": [100, -40, None, -2_147_483_648],
            "order_id": _ORDERS,
            "created_at": _DATES,
        },
    ),
    "loyalty_redemptions": (
        [1, 2],
        {"account_id": 1, "order_id": 1, "reward": "Kubek", "points": 40, "status": "done", "created_at": "2019-09-09"},
        {
            "account_id": _CARDS,
            "order_id": _ORDERS,
            "points": [40, 0, None],
            "status": ["done", "c", "??"],
            "created_at": _DATES,
        },
    ),
    "loyalty_rewards": (
        [1, 2, 3],
        {
            "customer_id": [1, 2, 3],
            "code": "R-1",
            "reward": "Kubek",
            "points": 40,
            "earned_at": "2019-09-09",
            "valid_until": "31.12.2022",
            "state": "O",
            "order_id": [0, 1, 2],
        },
        {
            "customer_id": _CUSTOMERS,
            "code": ["R-1", " ", None],
            "reward": ["Kubek", None],
            "points": [40, -40, 0, None, -2_147_483_648],
            "earned_at": _DATES,
            "valid_until": ["31.12.2022", "2023-06-01", "2001-01-01", "0000-00-00", "koniec roku", None],
            "taken_at": _DATES,
            "state": ["O", "w", "X", "A", "?", " ", None],
            "order_id": _ORDERS,
        },
    ),
    "promotions": (
        [1, 2, 3],
        {
            "code": ["LATO10", "lato10 ", "ZIMA"],
            "kind": "P",
            "value": "10",
            "currency": "PLN",
            "valid_from": "2020-01-01",
        },
        {
            "code": ["LATO10", "lato10 ", "ZIMA", "", None],
            "kind": ["P", "kwota", "??", None],
            "value": ["10", "10.005", "0", "150", None, _TOO_MUCH, "NaN"],
            "currency": ["zł", "PLN", "?", None],
            "min_order": ["0", "100", None, "NaN"],
            "valid_from": ["2020-01-01", "nigdy", None],
            "valid_to": ["31.12.2020", "2019-01-01", "2099-12-31", "31.02.2020", "", None],
            "once": ["T", None],
            "active": ["N", "T", None],
            "max_uses": [0, 5, -1, None],
            "used": [3, -1, None],
        },
    ),
}
TABLES = tuple(_TABLES)
MAPPED = [(table, column) for table, (_, _, pools) in _TABLES.items() for column in pools]  # what mappings read
UNMAPPED = "added_later"  # a column of legacy that no mapping reads
_ASIDE = 1_000_000  # where a key waits while two are exchanged
PASSING = 2_000_000  # of a row that nothing else touches


@dataclass(frozen=True)
class Put:
    """Insert a row, or change these columns of the one that is there."""

    table: str
    id: int
    values: dict[str, object]

    def run(self, conn: Connection) -> None:
        """Do it."""
        born = {
            name: value[(self.id - 1) % len(value)] if isinstance(value, list) else value
            for name, value in _TABLES[self.table][1].items()
        }
        row = {"id": self.id, **born, **self.values}
        names = SQL(", ").join(map(Identifier, row))
        values = SQL(", ").join(map(Literal, row.values()))
        change = SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(n)) for n in self.values)
        conn.execute(
            SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET {}").format(
                Identifier(self.table), names, values, change if self.values else SQL("id = excluded.id")
            )
        )


@dataclass(frozen=True)
class Delete:
    """Delete a row, if it is there."""

    table: str
    id: int

    def run(self, conn: Connection) -> None:
        """Do it."""
        conn.execute(SQL("DELETE FROM {} WHERE id = {}").format(Identifier(self.table), Literal(self.id)))


@dataclass(frozen=True)
class Rekey:
    """Give a row another key; where that is taken, exchange the two."""

    table: str
    id: int
    to: int

    def run(self, conn: Connection) -> None:
        """Do it."""
        for old, new in ((self.to, _ASIDE), (self.id, self.to), (_ASIDE, self.id)):
            conn.execute(
                SQL("UPDATE {} SET id = {} WHERE id = {}").format(Identifier(self.table), Literal(new), Literal(old))
            )


@dataclass(frozen=True)
class Undone:
    """Do something and go back to the savepoint before it: the transaction goes on, and nobody may ever see it."""

    operation: Put | Delete | Rekey

    @property
    def table(self) -> str:
        """Whose rows it would have changed."""
        return self.operation.table

    def run(self, conn: Connection) -> None:
        """Do it."""
        with suppress(psycopg.errors.UniqueViolation), conn.transaction(force_rollback=True):
            self.operation.run(conn)


Operation = Put | Delete | Rekey | Undone


_KINDS = ["put"] * 6 + ["delete", "rekey"]
_UNDONE = [False] * 9 + [True]
# Customers and orders are what everything hangs on.
_WEIGHED = [*TABLES, *TABLES, "customers", "customers", "orders", "order_items"]


# Made once: thousands are drawn in each history.
_TABLE, _KIND, _IS_UNDONE = st.sampled_from(_WEIGHED), st.sampled_from(_KINDS), st.sampled_from(_UNDONE)
_KEY = {table: st.sampled_from(ids) for table, (ids, _, _) in _TABLES.items()}
_CHANGES = {
    table: st.lists(
        st.sampled_from([(column, value) for column, pool in pools.items() for value in pool]), min_size=1, max_size=3
    )
    for table, (_, _, pools) in _TABLES.items()
}


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """One operation on one row, now and then undone by a savepoint."""
    done = draw(_OPERATION)
    return Undone(done) if draw(_IS_UNDONE) else done


@st.composite
def _operations(draw: st.DrawFn) -> Put | Delete | Rekey:
    table, kind = draw(_TABLE), draw(_KIND)
    key = draw(_KEY[table])
    if kind == "put":
        return Put(table, key, dict(draw(_CHANGES[table])))
    return Delete(table, key) if kind == "delete" else Rekey(table, key, draw(_KEY[table]))


_OPERATION = _operations()
writes = st.lists(operations(), min_size=2, max_size=12)


@st.composite
def _takeovers(draw: st.DrawFn) -> list[Operation]:
    """One customer gives up an address and another takes it, whichever comes first; both spellings are the same one."""
    address = draw(st.sampled_from(_EMAILS[:5]))
    keys = draw(st.permutations(_TABLES["customers"][0]))
    leaves = Put("customers", keys[0], {"email": draw(st.sampled_from(_EMAILS))})
    takes = Put("customers", keys[1], {"email": address})
    had = Put("customers", keys[0], {"email": address})
    return [had, *draw(st.permutations([leaves, takes]))][draw(st.integers(0, 1)) :]


takeovers = _takeovers()
# Most rows are there already when a history begins.
openings = st.lists(st.sampled_from([(t, i) for t in TABLES for i in _TABLES[t][0]]), max_size=8).map(
    lambda missing: [Put(t, i, {}) for t in TABLES for i in _TABLES[t][0] if (t, i) not in missing]
)


def empty(pair: Pair, *, tidy: bool) -> None:
    """Make both stores what they were before the history; `tidy`, their catalogues too."""
    pair.legacy.execute("SET lock_timeout = 0")  # whoever was killed last may still be dying
    with pair.legacy.transaction():
        for table in TABLES:
            pair.legacy.execute(f"DELETE FROM {table}".encode())
            pair.legacy.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {UNMAPPED}".encode())
    pair.tap.skip()
    with pair.shop.transaction():
        pair.empty_shop()
        for table in TABLES:
            pair.shop.execute(f"DELETE FROM mirror.{table}".encode())
        for table in pair.route.witnessed:
            pair.shop.execute(f"DELETE FROM ferry.witness_{table}".encode())
        for table in ("chunk", "kafka_offset", "replay_batch", "difference", "verification"):
            pair.shop.execute(f"DELETE FROM ferry.{table}".encode())
        pair.shop.execute("UPDATE ferry.phase SET state = 'new', generation = 1")
    if tidy:
        pair.shop.execute("VACUUM")  # thousands of temp tables would slow down the catalogue
    pair.log.partitions.clear()
    pair.log.order.clear()
