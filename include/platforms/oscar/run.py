"""Oscar as a shop in use: seed it, let people trade in it, and ask it what it holds.

    run.py seed --accounts N --orders N --ledger FILE
    run.py trade --ledger FILE --rate N --seed N      until SIGTERM, or until the shop is closed (SF001)
    run.py log-ins < JSON     [{"email": …, "password": …}, …]: which of them Oscar takes
    run.py facts              accounts, addresses and orders, as JSON
    run.py pages EMAIL PASSWORD     the customer's pages of orders, as JSON

The database is OSCAR_DATABASE, a libpq URI.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

import acts  # noqa: E402, Django must be set up first
import facts  # noqa: E402
import pages  # noqa: E402
import seeding  # noqa: E402
from django.db import DatabaseError, transaction  # noqa: E402
from ledger import Ledger  # noqa: E402

_FENCED = "SF001"
_PAGES_EVERY = 15  # one act in so many is a visit of the pages, which takes as long as ten others


def trade(ledger: Ledger, rate: float, seed: int) -> Counter[str]:
    """Act at random until told to stop or until the store is closed; returns how often each act was done or refused."""
    random, done, stopped = Random(seed), Counter[str](), []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append("told to"))
    number = 0
    while not stopped:
        number += 1
        began = time.monotonic()
        tag = f"new{seed}-{number}"
        try:
            if number % _PAGES_EVERY == 0:
                pages.visit(tag, ledger)
                done["visit"] += 1
            else:
                with transaction.atomic():
                    writes = acts.act(random, tag)
                ledger.book(writes)
                done.update(write.what for write in writes)
        except DatabaseError as error:
            code = getattr(error.__cause__, "sqlstate", None)
            done[f"refused: {code}"] += 1
            if code == _FENCED:
                stopped.append("closed")
        except pages.RefusedError as error:  # Oscar's checkout shows any error as a page
            done[f"refused: {error}"] += 1
        time.sleep(max(0.0, 1 / rate - (time.monotonic() - began)))
    return done


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    seed, trading = verbs.add_parser("seed"), verbs.add_parser("trade")
    for verb in (seed, trading):
        verb.add_argument("--ledger", type=Path, required=True)
    seed.add_argument("--accounts", type=int, required=True)
    seed.add_argument("--orders", type=int, required=True)
    trading.add_argument("--rate", type=float, required=True)
    trading.add_argument("--seed", type=int, required=True)
    verbs.add_parser("log-ins")
    verbs.add_parser("facts")
    shown = verbs.add_parser("pages")
    shown.add_argument("email")
    shown.add_argument("password")
    given = parser.parse_args()
    if given.verb == "seed":
        answer: object = seeding.seed(Ledger(given.ledger), given.accounts, given.orders)
    elif given.verb == "trade":
        answer = trade(Ledger(given.ledger), given.rate, given.seed)
    elif given.verb == "log-ins":
        answer = facts.judge_log_ins(json.load(sys.stdin))
    elif given.verb == "facts":
        answer = facts.describe_all()
    else:
        answer = pages.show_orders(given.email, given.password)
    json.dump(answer, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
