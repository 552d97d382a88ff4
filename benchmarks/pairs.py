"""How long the search for duplicates takes in a large shop.

    python benchmarks/pairs.py [--customers 1000000]

It brings up an embedded stack of its own, fills legacy with accounts, moves the first phase, and looks for pairs. One account in
eight is a second account of the same person (another address, a move, a typing error), one in eight is of a relative with the
same number and house, and one in a thousand has the number of a company. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator
from random import Random

from faker import Faker
from replay import own_stack
from shopferry import db, phase_steps
from shopferry.demo import shop
from shopferry.insight import pair_files, pair_search
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings

OPTIONS = Options(without_rehearsal="benchmark")
_COLUMNS = "full_name, email, phone, bill_street, bill_postcode, bill_city, bill_country, active, deleted, newsletter, created_at"
_MAIL = ("gmail.com", "wp.pl", "onet.pl", "interia.pl", "o2.pl")

Person = tuple[str, str, str, str, str]  # given name, family name, phone, street, postcode


def draw_people(count: int) -> Iterator[tuple[str, str, Person]]:
    """Draw so many accounts, as (e-mail, full name, person)."""
    rng, fake = Random(7), Faker("pl_PL")  # noqa: S311
    fake.seed_instance(7)
    given, families = [fake.first_name() for _ in range(600)], [fake.last_name() for _ in range(6_000)]
    streets = [fake.street_name() for _ in range(4_000)]
    known: list[Person] = []
    for n in range(count):
        dice, family = rng.random(), rng.choice(families)
        person: Person = (
            rng.choice(given),
            family,
            f"6{n % 100_000_000:08}",
            f"{rng.choice(streets)} {rng.randrange(1, 120)}/{rng.randrange(1, 60)}",
            f"{rng.randrange(10, 99)}-{rng.randrange(1, 999):03}",
        )
        if known and dice < 0.25:
            other = rng.choice(known)
            if dice < 0.06:  # the same, from another address of mail
                person = other
            elif dice < 0.09:  # moved
                person = (*other[:3], *person[3:])
            elif dice < 0.125:  # mistyped
                person = (other[0], f"{other[1][:2]}{other[1][3:]}", *other[2:])
            else:
                person = (person[0], *other[1:])
        elif dice > 0.999:
            person = (*person[:2], "225550100", *person[3:])
        known.append(person)
        if len(known) > 50_000:
            known = known[25_000:]
        local = f"{person[0]}.{person[1]}".lower().encode("ascii", "ignore").decode().replace(" ", "")
        yield f"{local}{n}@{_MAIL[n % len(_MAIL)]}", f"{person[0]} {person[1]}", person


def fill(settings: Settings, count: int) -> None:
    """Fill legacy's table of customers."""
    shop.seed(settings, 100)
    with db.connect(settings.source_dsn, "benchmark") as legacy, legacy.cursor() as cursor:
        with cursor.copy(f"COPY customers ({_COLUMNS}) FROM STDIN".encode()) as copy:
            for email, name, (_, _, phone, street, postcode) in draw_people(count):
                copy.write_row(
                    (name, email, phone, street, postcode, "Kraków", "PL", "T", "N", "N", "2015-03-03 10:00")
                )
        cursor.execute("ANALYZE customers")


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=1_000_000)
    given = options.parse_args()
    with own_stack() as settings:
        fill(settings, given.customers)
        route = Route.load(settings.route)
        started = time.perf_counter()
        phase_steps.run(settings, route.phases[0], "benchmark", OPTIONS, lambda _: None)
        moved = time.perf_counter() - started
        with db.connect(settings.target_dsn, "benchmark") as new:
            first = pair_search.search(new, route, pair_files.load(route), "benchmark")
            again = pair_search.search(new, route, pair_files.load(route), "benchmark")
    print(
        json.dumps(
            {
                "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "postgres": "18 (embedded)"},
                "customers": given.customers,
                "compared": first.compared,
                "kept": first.kept,
                "sure": first.sure,
                "passed over": first.passed,
                "search_s": round(first.seconds, 1),
                "again_s": round(again.seconds, 1),
                "customers_per_s": round(given.customers / first.seconds),
                "first_phase_s": round(moved, 1),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
