"""Verbs of the embedded stack, and the shop it is filled with."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from shopferry import signals
from shopferry.cli.output import show
from shopferry.errors import ConfigError
from shopferry.settings import Settings


def stack_up(args: argparse.Namespace) -> int:
    """Start the embedded stack and wait until it is ready."""
    from shopferry import stack

    without = frozenset(args.without or ())
    state = stack.up(without=without, broker=args.broker)
    shown = ["route", "kafka", "legacy_dsn", "shop_dsn", *(() if "airflow" in without else ("airflow_url",))]
    show(args, [{"what": k, "where": state[k]} for k in shown])
    return 0


def stack_down(args: argparse.Namespace) -> int:
    """Stop every server of the embedded stack; its data stays, unless --purge."""
    from shopferry import stack

    stack.down(purge=args.purge)
    print("stopped, and its data removed" if args.purge else "stopped; its data stays", file=sys.stderr)
    return 0


def stack_status(args: argparse.Namespace) -> int:
    """Show every server of the embedded stack; exit 1 when one is not running."""
    from shopferry import stack

    services = stack.status()
    show(args, services)
    return 0 if services and all(s.state == "RUNNING" for s in services) else 1


def demo(args: argparse.Namespace) -> int:
    """Move a running shop, cut it over, and prove that nothing was lost: a generated one, or django-oscar to Medusa."""
    if args.shop == "oscar-medusa":
        from shopferry.demo.platforms import run as platforms

        if args.report:
            raise ConfigError("--report is of the generated shop: the demo oscar-medusa prints its figures alone")
        return platforms.run(accounts=args.customers or 40, rate=args.rate or 4, leave_up=not args.exit)
    from shopferry.demo import run

    return run.run(
        customers=args.customers or 20_000,
        rate=args.rate or 50,
        leave_up=not args.exit,
        report_to=Path(args.report or "demo-report.json"),
    )


def drill(args: argparse.Namespace) -> int:
    """Play the evening of a cutover on a stack of its own, with faults drawn by chance: find each, mend it, get a score. Exit 1
    when one was given up, or the shop was not cut over."""
    from rich.console import Console

    from shopferry.demo.drill import debrief, evening
    from shopferry.demo.drill.players import Book, Person

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def read(prompt: str) -> str:
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line

    signals.exit_on_signals()
    seed = random.randrange(1_000_000) if args.seed is None else args.seed  # noqa: S311
    made = evening.run(Book() if args.auto else Person(read), seed=seed, count=args.faults, say=say)
    if args.json:
        print(json.dumps(debrief.as_json(made), indent=2, ensure_ascii=False))
    else:
        debrief.show(made, Console(width=None if sys.stdout.isatty() else 120, highlight=False, markup=False))
    return 0 if made.passed else 1


def seed(args: argparse.Namespace) -> int:
    """Fill the legacy store with a generated shop, and give the new shop its tables; both must be empty."""
    from shopferry.demo import shop

    settings = Settings.load()
    show(args, [{"table": t, "rows": n} for t, n in shop.seed(settings, args.customers, args.seed).items()])
    return 0
