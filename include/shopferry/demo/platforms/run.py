"""The demo of two real applications: django-oscar, in use by its own code, becomes Medusa, and both are asked what they hold.

The phases are driven step by step and not through Airflow: what is shown here is the route, and two applications need the memory.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from shopferry import db, phase_steps, signals, stack
from shopferry.backup import backup
from shopferry.cdc import slot
from shopferry.cutover import gates, switch, way_back
from shopferry.cutover.section import Steps as Turned
from shopferry.demo.platforms.compare import LogIn, by_number, compare_orders, find_missing, list_customers, try_log_ins
from shopferry.demo.platforms.medusa import ADMIN, Medusa, serve
from shopferry.demo.platforms.provision import ROUTE, Platforms, install_route, provide, require_programs
from shopferry.demo.platforms.trading import read_ledger, trading
from shopferry.demo.steps import Steps
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings, data_dir, stack_state
from shopferry.stack import postgres, state

ORDERS_OF_ACCOUNT = 2  # on an average, when the shop is filled
_WHO = "demo"
_GATES_S = 60.0  # until the lag after the backup is gone
_TRADE_S = 10.0  # how long people trade when all is in sync
_TRIED = 40  # accounts that log in to both: each takes a second


def run(*, accounts: int, rate: int, leave_up: bool) -> int:
    """Run the whole demo; returns 0 when nothing was lost, 1 otherwise.

    If `leave_up`, Medusa serves the moved shop until a signal comes. All servers are stopped in the end.
    Raises ConfigError without node or npm.
    """
    require_programs()
    signals.exit_on_signals([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    say = Steps()
    routes = data_dir() / "platforms" / "routes"
    os.environ |= {"SHOPFERRY_ROUTE": ROUTE, "SHOPFERRY_ROUTES": str(routes)}
    try:
        say("installing django-oscar and Medusa from their packages; what is installed already is kept")
        with _open_throw_away() as cluster:
            platforms = provide(cluster, lambda text: say.console.print(f"         {text}"))
        install_route(routes, platforms.installed, _WHO)
        return _run(platforms, accounts, rate, leave_up, say)
    finally:
        stack.down()


@contextmanager
def _open_throw_away() -> Iterator[postgres.Cluster]:
    """Run a PostgreSQL for as long as the block lasts: in it the empty shops are made."""
    (data_dir() / "platforms").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data_dir() / "platforms") as home:
        Path(home).chmod(0o755)  # the account of the server may be another
        cluster = postgres.Cluster(Path(home) / "pg", state.choose_port(set()), "secret", durable=False)
        cluster.init()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def _run(platforms: Platforms, accounts: int, rate: int, leave_up: bool, say: Steps) -> int:
    before = stack_state()
    say("starting PostgreSQL ×2, broker, connector and sync")
    stack.up(without={"airflow"})
    if before:
        stack.reset()
    settings = Settings.load()
    ledger = data_dir() / "platforms" / "oscar.jsonl"
    ledger.unlink(missing_ok=True)
    _fill(settings, platforms, accounts, ledger, say)
    closed_ms = _move(settings, platforms, ledger, rate, say)
    say("Medusa starts on the moved shop")
    log = data_dir() / "log" / "medusa.log"
    with serve(platforms.medusa, settings.target_dsn, state.choose_port(set()), log, admin=leave_up) as medusa:
        wrong = _check(settings, platforms, medusa, ledger, closed_ms, say)
        say.judge(wrong)
        if leave_up:
            _wait(medusa, platforms, say)
    return 1 if wrong else 0


def _fill(settings: Settings, platforms: Platforms, accounts: int, ledger: Path, say: Steps) -> None:
    """Fill Oscar through its own code, Medusa with what a team sets up before; both are followed from then on."""
    orders = accounts * ORDERS_OF_ACCOUNT
    say(f"filling Oscar by its own checkout: {accounts:,} accounts, {orders:,} orders")
    platforms.load(platforms.oscar_dump, settings.source_dsn)
    platforms.load(platforms.medusa_dump, settings.target_dsn)
    sizes = ("--accounts", str(accounts), "--orders", str(orders))
    platforms.run_oscar(settings.source_dsn, "seed", *sizes, "--ledger", str(ledger))
    phase_steps.install(settings)
    say("the connector begins to read Oscar's log")
    with db.connect(settings.source_dsn, _WHO) as oscar:
        slot.await_reader(oscar, Route.load(settings.route).publication, patience_s=60.0)


def _move(settings: Settings, platforms: Platforms, ledger: Path, rate: int, say: Steps) -> float:
    """Move all phases and cut over while people trade in Oscar; returns for how many milliseconds nobody could write."""
    say(f"Oscar opens: {rate} acts of customers and staff per second, by its own models, checkout and pages")
    with trading(platforms, settings.source_dsn, ledger, rate=rate, seed=1) as trade:
        for phase in Route.load(settings.route).phases:
            say(f"phase {phase}: copy, merge, sync, verify")
            phase_steps.run(settings, phase, _WHO, Options(without_rehearsal=_WHO), lambda _: None)
        say(f"all is in sync; Oscar goes on for {_TRADE_S:.0f} s")
        time.sleep(_TRADE_S)
        say("both stores are backed up, the way back is armed")
        backup.take_before_cutover(settings, _WHO)
        way_back.arm(settings)
        say("cutover: gates, switch")
        deadline = time.monotonic() + _GATES_S
        while not all(gate.met for gate in gates.judge(settings)) and time.monotonic() < deadline:
            time.sleep(1.0)
        turned = switch.cut_over(settings, _WHO)
        trade.process.wait(60)  # the closed store has told it
    return measure_gap(turned)


def measure_gap(turned: Turned) -> float:
    """Compute how long a turn kept the shop closed, in milliseconds: all its steps but the gates, which are judged before."""
    return sum(ms for step, ms in turned.steps if step != "gates")


def _check(
    settings: Settings, platforms: Platforms, medusa: Medusa, ledger: Path, closed_ms: float, say: Steps
) -> list[str]:
    """Ask both applications, print what they say; returns what is wrong."""
    say("asking both applications for all orders, log-ins and acknowledged writes")
    facts, booked = json.loads(platforms.run_oscar(settings.source_dsn, "facts")), read_ledger(ledger)
    admin = medusa.admin()
    orders, customers = by_number(admin.list_orders()), list_customers(admin)
    staff = {account["email"] for account in facts["accounts"] if account["staff"]}
    differing = list(compare_orders(facts["orders"], orders))
    missing = list(find_missing(booked, orders, customers, staff))
    tried = [(a["email"], a["password"]) for a in booked.accounts.values() if a["email"] not in staff][-_TRIED:]
    log_ins = try_log_ins(platforms, _copy_accounts(settings, platforms), medusa, tried)
    holders = Counter(account["email"].lower() for account in facts["accounts"])
    joined = {email for email, count in holders.items() if count > 1}
    refused = [each for each in log_ins if each.oscar != each.medusa and each.email.lower() not in joined]
    shown = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_row("orders", f"{len(facts['orders']):,} compared by Medusa's Admin API, {len(differing)} values differ")
    shown.add_row("customers", f"{len(customers):,} in Medusa; {len(staff)} of Oscar's staff stay behind")
    shown.add_row("log-ins", _describe_log_ins(log_ins, joined))
    shown.add_row("Oscar's ledger", f"{booked.writes:,} writes acknowledged, {len(missing)} missing in Medusa")
    shown.add_row("cutover", f"no write for {closed_ms:,.0f} ms")
    say.console.print(shown)
    wrong = [*differing, *(f"missing: {write}" for write in missing)]
    return wrong + [f"log-in: Oscar says {each.oscar}, Medusa {each.medusa}" for each in refused]


def _copy_accounts(settings: Settings, platforms: Platforms) -> str:
    """Copy Oscar's accounts into a database of their own; returns its DSN."""
    legacy = state.cluster(stack_state(), "legacy")
    legacy.drop_database("oscar_accounts")
    copy = legacy.create_database("oscar_accounts")
    platforms.load(platforms.oscar_dump, copy)
    platforms.copy_rows(settings.source_dsn, copy, "auth_user")
    return copy


def _describe_log_ins(log_ins: list[LogIn], joined: set[str]) -> str:
    oscar, medusa = sum(each.oscar for each in log_ins), sum(each.medusa for each in log_ins)
    new = sum(each.oscar and not each.medusa and each.email.lower() in joined for each in log_ins)
    return (
        f"{len(log_ins)} tried: Oscar takes {oscar}, Medusa {medusa}; "
        f"{new} of accounts with one e-mail, who set a new password by mail"
    )


def _wait(medusa: Medusa, platforms: Platforms, say: Steps) -> None:
    """Say where the moved shop can be looked at, and wait for a signal."""
    stopped = signals.set_on_signals()
    say.console.print(
        f"Medusa's Admin: {medusa.url}/app  (log in with {ADMIN[0]}, `{ADMIN[1]}`; the first page takes a minute)\n"
        f"its Store API: {medusa.url}/store  (header x-publishable-api-key: {platforms.installed.front_key})\n"
        "Ctrl-C ends it"
    )
    stopped.wait()
