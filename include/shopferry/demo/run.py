"""The demo: a generated shop moves under live writes, is cut over, and everything is checked and reported."""

from __future__ import annotations

import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from shopferry import db, phase_steps, signals, stack
from shopferry.cdc import proof, slot
from shopferry.control import chunks, phases
from shopferry.control.phases import State
from shopferry.demo import leaks, ledger, report, shop
from shopferry.demo.airflow_client import AirflowClient
from shopferry.demo.leaks import Personal
from shopferry.demo.steps import Steps
from shopferry.demo.writer import run_beside
from shopferry.engine import mirror
from shopferry.errors import StackError
from shopferry.route.route import Route
from shopferry.settings import Settings, data_dir, stack_state
from shopferry.stack import airflow as embedded
from shopferry.verify import checksums

PHASE_PATIENCE_S = 1_800.0
AFTER_CUTOVER_S = 10.0  # how long the writer goes on in the new shop
_POLL_S = 0.5


def run(*, customers: int, rate: int, leave_up: bool, report_to: Path) -> int:
    """Run the whole demo; returns 0 when nothing was lost, 1 otherwise.

    The stack stays up if `leave_up`, also after a failure, but not when a signal ends the demo.
    """
    signals.exit_on_signals([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    say = Steps()
    os.environ["SHOPFERRY_ROUTE"] = (
        "demo"  # the stack remembers the route of its last start, which may be another demo's
    )
    try:
        return _run(customers, rate, leave_up, report_to, say)
    except SystemExit:
        leave_up = False
        say("ended by a signal: stopping all servers")
        raise
    finally:
        if not leave_up:
            stack.down()


def _run(customers: int, rate: int, leave_up: bool, report_to: Path, say: Steps) -> int:
    before = stack_state()
    say("starting PostgreSQL ×3, broker, connector and sync")
    stack.up(without={"airflow"})
    if before:
        stack.reset()
    # Airflow takes longest to boot: it does so while the shop is being filled.
    booting = _InBackground(stack.up)
    settings = Settings.load()
    known = _fill(settings, customers, say)
    say(f"the shop opens: {rate} writes per second from now on")
    book = data_dir() / "demo" / "ledger.jsonl"
    book.unlink(missing_ok=True)
    with run_beside(book, rate, environment=os.environ | {"SHOPFERRY_DATA": str(data_dir())}):
        say("waiting for Airflow")
        booting.join()
        state = stack_state()
        airflow = AirflowClient(state["airflow_url"], state["airflow_user"], state["airflow_password"])
        compared = _move(settings, airflow, say)
    made = _check(settings, book, known, compared, say)
    report.write(made, report_to)
    wrong = _show(made, say)
    say.console.print(f"report: {report_to}   took {time.monotonic() - say.started:.0f} s")
    if leave_up:
        say.console.print(
            f"Airflow stays up: {airflow.url}  (admin/admin, platform/platform, oncall/oncall, viewer/viewer); "
            "`.venv/bin/shopferry stack down` ends it"
        )
    return 1 if wrong else 0


def _fill(settings: Settings, customers: int, say: Steps) -> Personal:
    """Fill the legacy store and let the connector read its log; returns what no log may hold of its customers."""
    say(f"filling the legacy store: {customers:,} customers")
    rows = shop.seed(settings, customers)
    say.console.print(f"         {sum(rows.values()):,} rows in {len(rows)} tables")
    phase_steps.install(settings)
    say("the connector begins to read legacy's log")
    with db.connect(settings.source_dsn, "check") as legacy:
        known = leaks.collect_stored(legacy, "public")
        # A shop that is open for years does not wait for a JVM to boot; one that opens with the demo may.
        slot.await_reader(legacy, Route.load(settings.route).publication, patience_s=60.0)
    return known


def _move(settings: Settings, airflow: AirflowClient, say: Steps) -> dict[str, int]:
    """Take the shop through all phases and the cutover while it is open; returns what the last comparison counted."""
    say(f"the phases, through Airflow ({airflow.url}, user {airflow.user}, password {airflow.password})")
    _run_phases(settings, airflow, say.console)
    say("comparing both stores once more")
    compared = _compare(settings)
    say("cutover: gates, approval, switch")
    cutover = airflow.trigger("cutover")
    airflow.approve_and_await("cutover", cutover, "approve", timeout_s=300)
    say(f"the shop writes to its new store for {AFTER_CUTOVER_S:.0f} s")
    time.sleep(AFTER_CUTOVER_S)
    return compared


def _check(settings: Settings, book: Path, known: Personal, compared: dict[str, int], say: Steps) -> dict[str, Any]:
    """Look up every acknowledged write, and every customer in all logs; returns the report."""
    say("checking every write that was acknowledged, in both stores")
    proof.await_both(settings)
    with db.connect(settings.source_dsn, "check") as legacy, db.connect(settings.target_dsn, "check") as new:
        frozen = _compare_frozen(settings, legacy, new)
        compared = {name: compared[name] + frozen[name] for name in compared}
        made = report.build(new, settings.route, ledger.check(book, legacy, new), compared)
        say("searching all logs for every customer")
        known |= leaks.collect_stored(legacy, "public") | leaks.collect_stored(new, "shop")
        made["privacy"] = _search_logs(known, new, stack_state(), book.with_name("writer.log"))
    return made


def _show(made: dict[str, Any], say: Steps) -> list[str]:
    """Print the report and its verdict; returns what is wrong."""
    say.console.print()
    report.show(made, say.console)
    wrong = report.judge(made)
    say.judge(wrong)
    return wrong


class _InBackground:
    """One call in a thread; `join` waits for it and raises what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self.thread.start()

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self.thread.join()
        if self.error:
            raise self.error


def _run_phases(settings: Settings, airflow: AirflowClient, console: Console) -> None:
    """Start the first phase and watch all of them to the end, with a bar for each."""
    route = Route.load(settings.route)
    runs = {route.phases[0]: airflow.trigger(route.phases[0], {"without_rehearsal": "demo"})}
    columns = (
        TextColumn("         {task.description:9}"),
        BarColumn(40),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]:10}"),
        TimeElapsedColumn(),
    )
    with db.connect(settings.target_dsn, "demo") as new, Progress(*columns, console=console) as bars:
        shown = {p: bars.add_task(p, total=1.0, start=False, state="waiting") for p in route.phases}
        deadline = time.monotonic() + PHASE_PATIENCE_S
        while True:
            known = phases.load_all(new, settings.route)
            progress = chunks.load_progress(new, settings.route)
            for phase in known:
                if phase.state != State.NEW and not bars.tasks[shown[phase.phase]].started:
                    bars.start_task(shown[phase.phase])
                share = _compute_share(phase.state, [p for p in progress if p.phase == phase.phase])
                bars.update(shown[phase.phase], completed=share, state=phase.state)
                if phase.state == State.VERIFIED:
                    bars.stop_task(shown[phase.phase])
            if all(p.state == State.VERIFIED for p in known):
                return
            for name in route.phases:
                if name not in runs and (run := airflow.find_newest_run(name)):
                    runs[name] = run
            for name, run in runs.items():
                if airflow.read_state(name, run) == "failed":
                    failed = airflow.name_failures(name, run)
                    raise StackError(f"phase {name} failed in Airflow's {failed}: see {airflow.url}/dags/{name}")
            if time.monotonic() > deadline:
                raise StackError(f"the phases are not done after {PHASE_PATIENCE_S:.0f} s: see {airflow.url}")
            time.sleep(_POLL_S)


def _compute_share(state: str, progress: list[chunks.Progress]) -> float:
    """Compute the share of a phase's bar: copy is the first part, merge the second, sync and verification the rest."""
    if state == State.VERIFIED:
        return 1.0
    parts = 0.0
    for kind, weight in (("copy", 0.3), ("merge", 0.55)):
        of_kind = [p for p in progress if p.kind == kind]
        total = sum(p.total for p in of_kind)
        parts += weight * (sum(p.done for p in of_kind) / total if total else 0.0)
    return min(parts, 0.85) + (0.1 if state == State.IN_SYNC else 0.0)


def _search_logs(known: Personal, new: db.Connection, state: stack.State, writers: Path) -> dict[str, Any]:
    """Search what all programs have written down, and what Airflow's tasks have handed on; finds are places, not values."""
    with db.connect(state["airflow_db_dsn"], "check") as metadata:
        texts = [
            *leaks.read_rows(metadata, "SELECT dag_id, task_id, key, value FROM xcom"),
            *leaks.read_own_tables(new),
        ]
        texts.append((writers.name, writers.read_text()))
    with suppress(OSError), urllib.request.urlopen(f"http://{state['metrics']}/metrics") as answer:
        texts.append(("metrics", answer.read().decode()))
    places, lines = leaks.search(known, [*texts, *leaks.read_files(data_dir() / "log", embedded.find_home() / "logs")])
    return {
        "looked_for": len(known),
        "lines_searched": lines,
        "found": len(places),
        "places": [str(p) for p in places[:20]],
    }


def _compare(settings: Settings) -> dict[str, int]:
    with ThreadPoolExecutor(phase_steps.WORKERS) as pool:
        outcomes = list(pool.map(lambda phase: phase_steps.compare(settings, phase), Route.load(settings.route).phases))
    return {
        "rows_compared": sum(o.rows_compared for o in outcomes),
        "differences": sum(o.open for o in outcomes),
    }


def _compare_frozen(settings: Settings, legacy: db.Connection, new: db.Connection) -> dict[str, int]:
    """Compare the fenced legacy store with the mirror: what was acknowledged before the switch is all there."""
    rows = differences = 0
    for table in mirror.load(new).values():
        for part in checksums.compare(legacy, new, table, lambda: None):
            rows, differences = rows + part.rows, differences + len(part.found)
    return {"rows_compared": rows, "differences": differences}
