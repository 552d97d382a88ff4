"""Load shops that nobody here made up into the demo's legacy store, the way a hasty import would.

The files lie beside the project, in ../shared/data (their licences keep them out of it); see `available`. What is wrong
with them stays as it is: phones, hashes, dates, totals. Only what the legacy schema needs and the files lack is added:
an e-mail from the person's hash where the publisher took it out, and loyalty data, which neither shop had.

    python tests/real_input.py DSN
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random

from psycopg.sql import SQL, Identifier
from shopferry import db
from shopferry.demo import generator
from shopferry.settings import PROJECT

DATA = PROJECT.parent / "shared" / "data"
_COUNTRIES = {"223": "United States", "38": "Canada", "222": "United Kingdom"}
CsvRow = dict[str, str]


def available() -> bool:
    """Whether the data files are there; tests that need them skip otherwise, saying so."""
    return (DATA / "abantecart" / "orders.csv").exists() and (DATA / "olist" / "orders.csv").exists()


def load(conn: db.Connection, *, seed: int = 7) -> dict[str, int]:
    """Load both shops and their loyalty data beside whatever rows are there; returns rows added per table."""
    with conn.transaction():
        if conn.execute("SELECT to_regclass('public.customers')").fetchone() == (None,):
            generator.create(conn)
        store = _Store(conn)
        abantecart(store)
        olist(store)
        loyalty(store, Random(seed))
        store.write()
    return {table: len(rows) for table, rows in store.rows.items()}


class _Store:
    """Rows by table, with ids that begin after those in the store."""

    def __init__(self, conn: db.Connection) -> None:
        self.conn = conn
        self.rows: dict[str, list[dict[str, object]]] = {table: [] for table in generator.TABLES}
        self.last = {
            t: int(
                (conn.execute(SQL("SELECT coalesce(max(id), 0) FROM {}").format(Identifier(t))).fetchone() or (0,))[0]
            )
            for t in generator.TABLES
        }

    def add(self, table: str, **values: object) -> int:
        self.last[table] += 1
        self.rows[table].append({"id": self.last[table], **values})
        return self.last[table]

    def write(self) -> None:
        for table, rows in self.rows.items():
            columns = sorted({name for row in rows for name in row})
            if not rows:
                continue
            into = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), SQL(", ").join(map(Identifier, columns)))
            with self.conn.cursor() as cursor, cursor.copy(into) as copy:
                for row in rows:
                    copy.write_row([row.get(name) for name in columns])
            self.conn.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", (table, self.last[table]))


def _read(name: str) -> Iterator[CsvRow]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _by(rows: Iterable[CsvRow], column: str) -> dict[str, list[CsvRow]]:
    groups: dict[str, list[CsvRow]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def abantecart(store: _Store) -> None:
    """The sample shop of a PHP platform: two generations of hashes, shared phones, an undefined status."""
    status = {row["order_status_id"]: row["name"][:16] for row in _read("abantecart/order_statuses.csv")}
    customers: dict[str, int] = {}
    for row in _read("abantecart/customers.csv"):
        customers[row["customer_id"]] = store.add(
            "customers",
            login=row["loginname"],
            email=row["email"],
            full_name=f"{row['firstname']} {row['lastname']}",
            phone=row["telephone"],
            pass_hash=row["password"],
            salt=row["salt"] or None,
            bill_country="United States",
            newsletter="T" if row["newsletter"] == "1" else "N",
            active="T" if row["status"] == "1" else "N",
            deleted="N",
            last_ip=row["ip"],
            last_login=row["last_login"] or None,
            created_at=row["date_added"],
        )
    for row in _read("abantecart/addresses.csv"):
        store.add(
            "addresses",
            customer_id=customers.get(row["customer_id"], 0),
            company=row["company"],
            full_name=f"{row['firstname']} {row['lastname']}",
            street=f"{row['address_1']} {row['address_2']}",
            postcode=row["postcode"],
            city=row["city"],
            country=_COUNTRIES[row["country_id"]],
            created_at=row["date_added"],
        )
    lines = _by(_read("abantecart/order_products.csv"), "order_id")
    history = _by(_read("abantecart/order_history.csv"), "order_id")
    for row in _read("abantecart/orders.csv"):
        order = store.add(
            "orders",
            number=f"AC-{row['order_id']}",
            customer_id=customers.get(row["customer_id"], 0),
            email=row["email"],
            status_code=status[row["order_status_id"]],
            total=row["total"],
            currency=row["currency"],
            payment_code=row["payment_method"],
            delivery_code=row["shipping_method"],
            ship_name=f"{row['shipping_firstname']} {row['shipping_lastname']}",
            ship_street=row["shipping_address_1"],
            ship_postcode=row["shipping_postcode"],
            ship_city=row["shipping_city"],
            ship_country=row["shipping_country"],
            ship_phone=row["telephone"],
            note=row["comment"],
            created_at=row["date_added"],
        )
        for line in lines[row["order_id"]]:
            store.add(
                "order_items",
                order_id=order,
                sku=line["sku"] or line["model"],
                name=line["name"],
                quantity=line["quantity"],
                unit_price=line["price"],
                vat_rate=line["tax"],
                line_total=line["total"],
            )
        for event in history[row["order_id"]]:
            store.add(
                "order_status_log",
                order_id=order,
                status_code=status[event["order_status_id"]],
                note=event["comment"],
                changed_at=event["date_added"],
            )


def olist(store: _Store) -> None:
    """Real orders of a marketplace: no names, the same person under several ids, payments that differ from the lines."""
    customers: dict[str, int] = {}
    homes: dict[str, CsvRow] = {}
    for row in _read("olist/customers.csv"):
        homes[row["customer_id"]] = row
        customers[row["customer_id"]] = store.add(
            "customers",
            login=row["customer_id"],
            email=f"{row['customer_unique_id']}@example.com",
            bill_country="BR",
            newsletter="N",
            active="T",
            deleted="N",
        )
        store.add(
            "addresses",
            customer_id=customers[row["customer_id"]],
            postcode=row["customer_zip_code_prefix"],
            city=row["customer_city"],
            country="BR",
        )
    lines, payments = (
        _by(_read("olist/order_items.csv"), "order_id"),
        _by(_read("olist/order_payments.csv"), "order_id"),
    )
    for row in _read("olist/orders.csv"):
        home, paid = homes[row["customer_id"]], payments[row["order_id"]]
        placed = _moment(row["order_purchase_timestamp"])
        order = store.add(
            "orders",
            number=row["order_id"],
            customer_id=customers[row["customer_id"]],
            email=f"{home['customer_unique_id']}@example.com",
            status_code=row["order_status"],
            total=round(sum(float(p["payment_value"]) for p in paid), 2),
            currency="BRL",
            payment_code=paid[0]["payment_type"] if paid else "",
            delivery_code="correios",
            delivery_cost=round(sum(float(i["freight_value"]) for i in lines[row["order_id"]]), 2),
            ship_postcode=home["customer_zip_code_prefix"],
            ship_city=home["customer_city"],
            ship_country="BR",
            created_at=placed,
        )
        for line in lines[row["order_id"]]:
            store.add(
                "order_items",
                order_id=order,
                sku=line["product_id"],
                quantity=1,
                unit_price=line["price"],
                line_total=line["price"],
            )
        for column, code in (
            ("order_purchase_timestamp", "created"),
            ("order_approved_at", "approved"),
            ("order_delivered_carrier_date", "shipped"),
            ("order_delivered_customer_date", "delivered"),
        ):
            if row[column]:
                store.add("order_status_log", order_id=order, status_code=code, changed_at=_moment(row[column]))


def loyalty(store: _Store, rng: Random) -> None:
    """Generated points for every third customer; in every fortieth account they differ from the log."""
    orders: dict[object, list[dict[str, object]]] = defaultdict(list)
    for order in store.rows["orders"]:
        orders[order["customer_id"]].append(order)
    for customer in store.rows["customers"][::3]:
        mine = orders[customer["id"]]
        account = store.last["loyalty_accounts"] + 1
        points = 0
        for order in mine:
            earned = rng.randrange(1, 200)
            points += earned
            store.add(
                "loyalty_log",
                account_id=account,
                kind="E",
                points=earned,
                order_id=order["id"],
                created_at=order["created_at"],
            )
            if points > 100:
                spent = rng.randrange(1, 100)
                points -= spent
                taken = datetime.fromisoformat(str(order["created_at"])) + timedelta(days=1)
                store.add("loyalty_log", account_id=account, kind="S", points=spent, order_id=0, created_at=taken)
                store.add(
                    "loyalty_redemptions",
                    account_id=account,
                    order_id=0,
                    reward="Bon",
                    points=spent,
                    status="done",
                    created_at=taken,
                )
        store.add(
            "loyalty_accounts",
            customer_id=customer["id"],
            card_number=f"77{account:08d}",
            points=points + (5 if account % 40 == 0 else 0),
            tier=rng.choice(("", "silver", "gold")),
        )


def _moment(text: str) -> datetime:
    """A month/day date as the publisher's spreadsheet wrote it."""
    return datetime.strptime(text, "%m/%d/%Y %H:%M")


if __name__ == "__main__":
    with db.connect(sys.argv[1], "real input") as connection:
        print(load(connection))
