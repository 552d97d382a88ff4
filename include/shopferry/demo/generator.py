"""A legacy shop of any size: seeded, Polish with neighbours, with the defects of real shops. Rows go in by COPY.

Faker makes pools of names and streets once; rows are drawn from the pools, since calling it per row would take hours
for a million customers. The same seed gives the same shop; its last day is fixed, so that this stays true tomorrow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Final

from psycopg.sql import SQL, Identifier

from shopferry.db import Connection, exists
from shopferry.demo import defects, offers
from shopferry.demo.defects import Rates
from shopferry.demo.pools import WORDS, Pools, make_pools
from shopferry.settings import SQL_ROOT

FIRST_DAY = datetime(2005, 3, 1)
LAST_DAY = datetime(2025, 12, 31, 20)
_OLD_TEXT_ENDS = datetime(2011, 12, 31)  # v0, which counsel lets nobody use
_CONFIRMED_FROM = datetime(2024, 11, 10)  # v7, which wants a confirmation
_SECONDS = int((LAST_DAY - FIRST_DAY).total_seconds())
_CUSTOMERS_AT_ONCE = 5_000
_NAME_CHARS = 240  # of a name that is too long: its column holds 255, and others add to it

_STATUS_PATHS: Final = (
    ("NEW",),
    ("NEW", "PAID"),
    ("NEW", "PAID", "SENT"),
    ("NEW", "PAID", "PROC", "SENT", "DONE"),
    ("NEW", "PAID", "SENT", "DONE"),
    ("NEW", "SENT", "DONE"),
    ("NEW", "CANC"),
    ("NEW", "PAID", "SENT", "RET", "REFUND"),
)
_PATH_WEIGHTS: Final = (2, 2, 3, 25, 40, 20, 6, 2)

_COLUMNS: Final = {
    "customers": "id login email full_name phone pass_hash salt bill_company bill_street bill_postcode bill_city bill_country "
    "newsletter newsletter_date news_frequency news_topics active deleted last_ip last_login created_at",
    "addresses": "id customer_id full_name company street postcode city country phone is_default deleted created_at",
    "consents": "id customer_id channel granted granted_at ip wording withdrawn_at email confirmed_at",
    "orders": "id number customer_id email status_code total currency payment_code delivery_code delivery_cost ship_name "
    "ship_street ship_postcode ship_city ship_country ship_phone note created_at",
    "order_items": "id order_id sku name quantity unit_price vat_rate line_total",
    "order_status_log": "id order_id status_code changed_by note changed_at",
    "order_invoices": "id order_id number buyer_name buyer_street buyer_postcode buyer_city buyer_country tax_number total "
    "currency issued_at",
    "loyalty_accounts": "id customer_id card_number points tier created_at",
    "loyalty_log": "id account_id kind points order_id note created_at",
    "loyalty_redemptions": "id account_id order_id reward points status created_at",
    "loyalty_rewards": "id customer_id code reward points earned_at valid_until taken_at state order_id",
    "promotions": "id code kind value currency min_order valid_from valid_to once active max_uses used",
}
TABLES: Final = tuple(_COLUMNS)


def create(conn: Connection) -> None:
    """Create the legacy tables in a database that has none of them."""
    conn.execute((SQL_ROOT / "demo" / "legacy.sql").read_bytes())


def seed(conn: Connection, *, customers: int, seed: int = 7, rates: Rates | None = None) -> dict[str, int]:
    """Fill the legacy store with a shop of that many customers; returns rows per table.

    Creates the tables if they are missing; rows that are there stay, and the new ones are numbered after them.
    One transaction: an interrupted seed leaves nothing.
    """
    with conn.transaction():
        if not exists(conn, "public.customers"):
            create(conn)
        streams = Random(seed), Random(seed + 1), Random(seed + 2), Random(seed + 3)  # noqa: S311
        shop = _Shop(*streams, rates or Rates(), make_pools(seed))
        for table in TABLES:
            row = conn.execute(SQL("SELECT coalesce(max(id), 0) FROM {}").format(Identifier(table))).fetchone()
            shop.last[table] = int(row[0]) if row else 0
        before = dict(shop.last)
        for start in range(0, customers, _CUSTOMERS_AT_ONCE):
            for _ in range(min(_CUSTOMERS_AT_ONCE, customers - start)):
                shop.add_customer()
            if start + _CUSTOMERS_AT_ONCE >= customers:
                shop.add_declared_later()
                shop.add_promotions(max(12, customers // 200))
            for table in TABLES:
                _copy(conn, table, shop.rows[table])
                shop.rows[table].clear()
        for table in TABLES:
            conn.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), greatest(%s, 1))", (table, shop.last[table]))
    for table in TABLES:
        conn.execute(SQL("ANALYZE {}").format(Identifier(table)))
    return {table: shop.last[table] - before[table] for table in TABLES}


def _copy(conn: Connection, table: str, rows: list[str]) -> None:
    columns = SQL(", ").join(map(Identifier, _COLUMNS[table].split()))
    with (
        conn.cursor() as cursor,
        cursor.copy(SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), columns)) as copy,
    ):
        copy.write("".join(rows))


def _render_line(values: Iterable[object]) -> str:
    """Render one row in COPY's text format."""
    return (
        "\t".join(
            "\\N" if v is None else (v.replace("\\", "\\\\") if isinstance(v, str) and "\\" in v else str(v))
            for v in values
        )
        + "\n"
    )


_ASCII = str.maketrans("ąćęłńóśźżäöüßáčďéěíňřšťúůýž", "acelnoszzaousacdeeinrstuuyz")


@dataclass
class _Shop:
    """The shop as it grows, customer by customer; rows wait in `rows` for the next COPY."""

    rng: Random
    of_invoices: Random  # of their own: the rest of the shop is the same with and without them
    of_consents: Random  # those of `later`, too
    of_offers: Random
    rates: Rates
    pools: dict[str, Pools]
    last: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[str]] = field(default_factory=lambda: {table: [] for table in TABLES})
    later: list[tuple[object, ...]] = field(default_factory=list)  # consents that come after all others
    known: list[tuple[str, str, str]] = field(default_factory=list)  # (e-mail, name, country) of recent accounts

    def add(self, table: str, *values: object) -> int:
        self.last[table] += 1
        self.rows[table].append(_render_line((self.last[table], *values)))
        return self.last[table]

    def draw_moment(self, after: datetime = FIRST_DAY) -> datetime:
        span = int((LAST_DAY - after).total_seconds())
        return after + timedelta(seconds=self.rng.randrange(max(span, 1)))

    def record(self, when: datetime, rng: Random | None = None) -> datetime | None:
        """Return a time as it was recorded: now and then wrong or missing."""
        dice = (rng or self.rng).random()
        if dice < self.rates.date_in_future:
            return when.replace(year=when.year + 100, day=min(when.day, 28))
        return None if dice < self.rates.date_in_future + self.rates.date_missing else when

    def draw_place(self, country: str) -> tuple[str, str | None, str, str]:
        """(street, postcode, city, country) as somebody typed them."""
        rng, rates, pool = self.rng, self.rates, self.pools[country]
        postcode: str | None
        postcode, city = rng.choice(pool.places)
        if (dice := rng.random()) < rates.postcode_invalid:
            postcode = rng.choice(("00", "brak", "12-34", "00-9500"))
        elif dice < rates.postcode_invalid + rates.postcode_without_dash:
            postcode = postcode.replace("-", "").replace(" ", "")
        written = country
        if (dice := rng.random()) < rates.country_unknown:
            written = rng.choice(("Inny", "??", "Jugosławia"))
        elif dice < rates.country_unknown + rates.country_by_name:
            written = rng.choice(WORDS["countries"][country])
        street = f"{rng.choice(pool.streets)} {rng.randrange(1, 160)}"
        if rng.random() < 0.4:
            street += f"/{rng.randrange(1, 90)}"
        return defects.damage(rng, rates, street), postcode, defects.damage(rng, rates, city), written

    def write_name(self, given: str, family: str) -> str:
        rng, rates = self.rng, self.rates
        dice = rng.random()
        if dice < rates.name_too_long:
            return f"{given} {family * 40}"[:_NAME_CHARS]
        dice -= rates.name_too_long
        if dice < rates.name_shouted:
            return f"{given} {family}".upper()
        if dice < rates.name_shouted + rates.name_reversed:
            return f"{family}, {given}"
        return defects.damage(rng, rates, f"{given} {family}")

    def add_customer(self) -> None:
        rng, rates = self.rng, self.rates
        created = self.draw_moment()
        if self.known and rng.random() < rates.duplicate:
            email, full_name, country = rng.choice(self.known)
            email = defects.vary_email(rng, email)
        else:
            country = rng.choices(("PL", "DE", "CZ", "GB"), (88, 6, 4, 2))[0]
            given, family = rng.choice(self.pools[country].names)
            full_name = self.write_name(given, family)
            handle = f"{given}.{family}".lower().translate(_ASCII)
            handle = "".join(c for c in handle if c.isascii() and (c.isalnum() or c == "."))
            email = f"{handle}{self.last['customers'] + 1}@{rng.choice(WORDS['domains'])}"
            self.known.append((email, full_name, country))
            if len(self.known) > 20_000:
                self.known = self.known[10_000:]
        if (dice := rng.random()) < rates.email_invalid:
            email = rng.choice(("brak", "jan@", f"{email}@@", email.replace("@", "(at)")))
        elif dice < rates.email_invalid + rates.email_missing:
            email = ""
        hash_, salt = defects.draw_password(rng, rates)
        newsletter = rng.random() < 0.4
        said = defects.write_date(rng, date(created.year, created.month, created.day)) if newsletter else None
        if not newsletter and rng.random() < 0.05:
            said = f"{created:%Y-%m-%d}"
        key = self.add(
            "customers",
            email.strip().lower()[:96],
            email,
            full_name,
            defects.draw_phone(rng, rates, country),
            hash_,
            salt,
            f"{full_name.split(' ')[-1][:_NAME_CHARS]} sp. z o.o." if rng.random() < 0.06 else None,
            *self.draw_place(country),
            "T" if newsletter else "N",
            said,
            offers.draw_frequency(self.of_offers, rates),
            offers.draw_topics(self.of_offers, rates, WORDS["topics"]),
            "N" if rng.random() < rates.blocked else "T",
            "T" if rng.random() < rates.soft_deleted else "N",
            f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}",
            self.draw_moment(created) if rng.random() < 0.8 else None,
            self.record(created),
        )
        self.add_addresses(key, full_name, country, created)
        self.add_consents(key, created)
        self.declare_later(key, email, created)
        orders = [self.add_order(key, email, full_name, country, created) for _ in range(int(rng.expovariate(1 / 3.5)))]
        theirs = [o for o in orders if o]
        if rng.random() < 0.4:
            self.add_loyalty(key, created, theirs)
        for reward in offers.draw_rewards(self.of_offers, rates, theirs, WORDS["rewards"], LAST_DAY):
            owner = key + 50_000_000 if self.of_offers.random() < rates.account_orphan else key
            self.add("loyalty_rewards", owner, *reward)

    def add_addresses(self, customer: int, full_name: str, country: str, created: datetime) -> None:
        rng, rates = self.rng, self.rates
        for n in range(rng.choices((0, 1, 2, 3), (30, 45, 20, 5))[0]):
            owner = customer + 50_000_000 if rng.random() < rates.address_orphan else customer
            self.add(
                "addresses",
                owner,
                full_name,
                None,
                *self.draw_place(country),
                defects.draw_phone(rng, rates, country),
                "T" if n == 0 else "N",
                "T" if rng.random() < rates.address_deleted else "N",
                self.record(created),
            )

    def add_consents(self, customer: int, created: datetime) -> None:
        rng, rates = self.rng, self.rates
        for channel in ("email", "sms", "phone", "post"):
            if rng.random() >= 0.3:
                continue
            if rng.random() < 0.15:
                channel = channel[0].upper() if channel != "phone" else "T"
            if rng.random() < rates.channel_unknown:
                channel = "fax"
            granted: datetime | None = self.draw_moment(created)
            ip: str | None = f"192.168.{rng.randrange(256)}.{rng.randrange(256)}"
            wording: str | None = f"v{rng.randrange(1, 6)}"
            if rng.random() < rates.consent_unproven:
                granted, wording, ip = rng.choice(((None, None, None), (granted, None, ip), (None, wording, None)))
            withdrawn = None
            if rng.random() < rates.consent_withdrawn:
                withdrawn = self.draw_moment(granted or created)
            owner = customer + 50_000_000 if rng.random() < rates.consent_orphan else customer
            self.add(
                "consents",
                owner,
                channel,
                "T" if rng.random() < 0.9 else "N",
                granted,
                ip,
                wording,
                withdrawn,
                None,
                None,
            )

    def declare_later(self, customer: int, email: str, created: datetime) -> None:
        """Keep what is wrong with consents themselves for later: of guests, to texts that prove nothing alone, in the future."""
        rng, rates = self.of_consents, self.rates

        def draw(first: datetime, last: datetime = LAST_DAY) -> datetime:
            return first + timedelta(seconds=rng.randrange(max(int((last - first).total_seconds()), 1)))

        def keep(owner: int, channel: str, said: str, at: datetime, wording: str, **rest: object) -> None:
            row = (owner, channel, said, at, None, wording, None, rest.get("email"), rest.get("confirmed_at"))
            self.later.append(row)

        if rng.random() < rates.consent_of_guest:
            of_guest = f"gosc.news{customer}@{rng.choice(WORDS['domains'])}"
            whose = defects.vary_email(rng, email) if rng.random() < rates.guest_with_account and email else of_guest
            keep(0, "email", rng.choice("TTN"), draw(created), "v4", email=whose)
        if rng.random() < rates.consent_refuses_all:
            keep(customer, rng.choice(("all", "*")), "N", draw(created), "v5")
        if created < _OLD_TEXT_ENDS and rng.random() < rates.consent_text_unusable:
            keep(customer, rng.choice(("email", "sms")), "T", draw(created, _OLD_TEXT_ENDS), "v0")
        if rng.random() < rates.consent_to_confirm:
            at = draw(max(created, _CONFIRMED_FROM))
            confirmed = at + timedelta(minutes=rng.randrange(1, 600)) if rng.random() < 2 / 3 else None
            keep(customer, "email", "T", at, "v7", confirmed_at=confirmed)
        if rng.random() < rates.consent_in_future:
            keep(customer, rng.choice(("email", "sms", "phone")), "T", created.replace(year=2031, day=1), "v6")

    def add_declared_later(self) -> None:
        """Add the consents that were kept."""
        for row in self.later:
            self.add("consents", *row)
        self.later.clear()

    def add_promotions(self, count: int) -> None:
        """Add so many promotions, the last of them at the shop's last day."""
        for promotion in offers.draw_promotions(self.of_offers, self.rates, count, LAST_DAY):
            self.add("promotions", *promotion)

    def add_order(
        self, customer: int, email: str, name: str, country: str, since: datetime
    ) -> tuple[int, datetime, float] | None:
        """Add one order with its lines and log; returns (id, placed, total) where loyalty points may follow from it."""
        rng, rates = self.rng, self.rates
        placed = self.draw_moment(since)
        owner: int | None = customer
        if rng.random() < rates.guest:
            owner = rng.choice((0, None))
            if rng.random() >= rates.guest_with_account:
                email = f"gosc{self.last['orders'] + 1}@{rng.choice(WORDS['domains'])}"
            else:
                email = defects.vary_email(rng, email)
        elif rng.random() < rates.order_orphan:
            owner = customer + 50_000_000
        path = list(rng.choices(_STATUS_PATHS, _PATH_WEIGHTS)[0])
        is_paid = "PAID" in path or "DONE" in path
        if rng.random() < rates.status_old_code:
            path = [WORDS["old_codes"][code] for code in path]
        currency = self.draw_currency(country)
        order = self.last["orders"] + 1
        total = delivery = rng.choice((0.0, 9.99, 12.5, 14.99))
        for _ in range(min(1 + int(rng.expovariate(0.42)), 12)):
            total += self.add_line(order)
        if rng.random() < rates.total_differs:
            total += rng.choice((0.01, -0.01, 0.02, 5.0, -10.0)) if total > 10 else 0.01
        at = placed
        for code in path:
            self.add("order_status_log", order, code, rng.choice(("system", "anna", "marek")), None, self.record(at))
            at += timedelta(minutes=rng.randrange(10, 4000))
        self.add(
            "orders",
            f"Z/{placed.year}/{order:07d}",
            owner,
            email,
            rng.choice(("99", "TEST", "???")) if rng.random() < rates.status_unknown else path[-1],
            f"{total:.2f}",
            currency,
            "XYZ" if rng.random() < rates.payment_unknown else rng.choice(WORDS["payments"]),
            rng.choice(WORDS["deliveries"]),
            delivery,
            name,
            *(place := self.draw_place(country)),
            defects.draw_phone(rng, rates, country),
            "Proszę dzwonić przed dostawą" if rng.random() < 0.05 else None,
            self.record(placed),
        )
        if is_paid:
            self.add_invoice(order, name, place, country, total, currency, placed)
        return (order, placed, total) if owner == customer else None

    def add_invoice(
        self,
        order: int,
        name: str,
        place: tuple[str, str | None, str, str],
        country: str,
        total: float,
        currency: str,
        placed: datetime,
    ) -> None:
        """Add the invoice of a paid order: its buyer, address and amount as they were printed."""
        rng, rates = self.of_invoices, self.rates
        number, company = None, rng.random() < 0.15
        if company:
            number = defects.draw_tax_number(rng, rates, country)
            name = defects.damage(rng, rates, f"{name.split(' ')[-1][:_NAME_CHARS]} Spółka z o.o.")
        issued = placed + timedelta(minutes=rng.randrange(10, 4000))
        serial = self.last["order_invoices"] + 1
        self.add(
            "order_invoices",
            order + 5_000_000_000 if rng.random() < rates.invoice_orphan else order,
            f"FV/{issued:%Y/%m}/{serial}",
            name,
            *place,
            number,
            None if rng.random() < rates.invoice_total_missing else f"{total:.2f}",
            currency,
            self.record(issued, rng),
        )

    def draw_currency(self, country: str) -> str:
        """Draw the country's currency as somebody typed it."""
        rng, rates = self.rng, self.rates
        currency: str = WORDS["currencies"][country]
        if (dice := rng.random()) < rates.currency_unknown:
            return rng.choice(("", "XBT?", "$"))
        if dice < rates.currency_unknown + rates.currency_odd:
            return rng.choice((currency.lower(), f"{currency} ")) if country != "PL" else rng.choice(("zł", "pln"))
        return currency

    def add_line(self, order: int) -> float:
        """Add one line to an order; returns what it costs."""
        rng, rates = self.rng, self.rates
        goods, kinds = WORDS["goods"], WORDS["kinds"]
        quantity, price = rng.choices((1, 2, 3, 5), (70, 20, 7, 3))[0], rng.randrange(499, 29_999) / 100
        article = rng.randrange(len(goods) * len(kinds))
        name = f"{goods[article % len(goods)]} {kinds[article // len(goods)]}"
        if rng.random() < rates.quantity_not_positive:
            quantity = 0
        self.add(
            "order_items",
            order + 5_000_000_000 if rng.random() < rates.line_orphan else order,
            f"SKU-{article:05d}",
            defects.damage(rng, rates, name),
            quantity,
            price,
            rng.choice((23, 23, 8, 5)),
            round(quantity * price, 2),
        )
        return round(quantity * price, 2)

    def add_loyalty(self, customer: int, created: datetime, orders: list[tuple[int, datetime, float]]) -> None:
        rng, rates = self.rng, self.rates
        account = self.last["loyalty_accounts"] + 1
        balance = 0

        def entry(kind: str, points: int, order: int | None, note: str | None, when: datetime) -> None:
            if rng.random() < rates.entry_kind_unknown:
                kind = "?"
            written = -points if kind in "SX" and when.year >= 2015 else points  # the sign came with a later release
            self.add("loyalty_log", account, kind, written, order, note, self.record(when))

        for order, placed, total in orders:
            points = max(1, int(total // 10))
            entry("E", points, order, "Zakupy", placed)
            balance += points
            if balance > 50 and rng.random() < 0.25:
                spent = rng.randrange(10, balance)
                balance -= spent
                entry("S", spent, order, "Wymiana na nagrodę", placed)
                self.add("loyalty_redemptions", account, order, rng.choice(WORDS["rewards"]), spent, "done", placed)
        if balance > 20 and rng.random() < 0.1:
            entry("X", balance // 2, 0, "Punkty wygasły", self.draw_moment(created))
            balance -= balance // 2
        if rng.random() < rates.points_differ:
            balance += rng.randrange(1, 60)
        if rng.random() < rates.points_negative:
            balance = -5
        tier = "gold" if balance > 200 else "silver" if balance > 80 else rng.choice(("standard", "", "Bronze"))
        if rng.random() < rates.tier_unknown:
            tier = "DIAMOND?"
        owner = customer + 50_000_000 if rng.random() < rates.account_orphan else customer
        self.add("loyalty_accounts", owner, f"29{account:011d}", balance, tier, self.record(created))
