"""One phase as a DAG: the steps of shopferry.phase_steps, each a task.

What a task needs is imported inside it: files in dags/ are parsed again and again, tasks run once.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, Context, Param, get_current_context, task

from shopferry.errors import ConfigError
from shopferry.orchestration.connections import load_settings, name_route
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.hold import hold_phase, holds, name_holder, name_this_run
from shopferry.orchestration.reporting import write_report
from shopferry.orchestration.runbooks import runbook
from shopferry.orchestration.sync import AwaitSync
from shopferry.rehearsal import note
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route

log = logging.getLogger(__name__)
LEGACY_POOL, SHOP_POOL = "legacy_load", "shop_load"
_OTHER_DAGS = {
    "activate",
    "audit",
    "cutover",
    "finish",
    "keep_clean",
    "privacy_request",
    "rehearse",
    "rollback",
    "verify",
    "watch_sync",
}
_WITHOUT = "without_rehearsal"
_FEW_CHUNKS = 40  # of 10,000 rows: a second's work
_WORKERS = ["worker 1", "worker 2"]  # as many as passage.WORKERS, without its imports

_FORM = {
    "sample": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=1_000_000,
        title="Sample size",
        description="Copy and merge only about so many rows of each table, to look at; the phase does not go live. "
        "Empty: everything.",
    ),
    "chunk_size": Param(
        10_000,
        type="integer",
        minimum=100,
        maximum=1_000_000,
        title="Chunk size",
        description="Rows of one chunk: the unit of copy, of retry and of progress.",
    ),
    "rows_per_second": Param(
        None,
        type=["null", "integer"],
        minimum=100,
        maximum=10_000_000,
        title="Throttle",
        description="Rows per second copied out of the legacy store by all workers together. Empty: as fast as it can.",
    ),
}


def _make_first_form() -> dict[str, Param]:
    """Make the form of the phase that comes first. Airflow makes it again when it reads the file, within half a minute."""
    return _FORM | {
        _WITHOUT: Param(
            None,
            type=["null", "string"],
            minLength=2,
            maxLength=80,
            title="Start without a rehearsal",
            description=f"The last rehearsal: {note.read(name_route())}. Empty: the last one of these mappings (DAG "
            "rehearse) must have been green. Else the name of whoever decides to start without one; it is kept.",
        ),
    }


def name_asset(phase: str) -> Asset:
    """Return the asset that a phase publishes when it is verified; the next phase is scheduled by it."""
    return Asset(name=f"{phase}_verified", uri=f"x-shopferry://phase/{phase}")


@task(doc_md="Ask both stores whether they are fit for the migration, and install what it needs. Idempotent.")
@give_reason
def assess() -> None:
    from shopferry import assess as judge
    from shopferry import phase_steps

    settings = load_settings()
    for finding in judge.require_fit(settings):
        log.warning("%s", finding)
    phase_steps.install(settings)


@task(doc_md="Back up the new shop before anything is merged into it, if it holds rows that are not ours. Once.")
@give_reason
def back_up() -> str:
    from shopferry.backup import backup

    made = backup.take_before_merge(load_settings(), name_this_run())
    return f"backup {made.id}: {made.bytes} bytes in {made.seconds:.1f} s" if made else "no need of a backup"


@task(doc_md="Take the phase for this run, refuse it out of order, cut its tables into chunks.")
@give_reason
def plan(phase: str) -> list[dict[str, Any]]:
    from shopferry import phase_steps
    from shopferry.phase_steps import Options

    settings = load_settings()
    form = get_current_context()["params"]
    options = Options(**{name: form[name] for name in (*_FORM, _WITHOUT) if name in form})
    phase_steps.begin(settings, phase, name_this_run(), options)
    return join_small([vars(span) for span in phase_steps.plan(settings, phase)])


@task(
    pool=LEGACY_POOL,
    map_index_template="{{ part }}",
    doc_md="Copy a range of chunks into the mirror. What is copied stays copied, whatever happens to this task.",
)
@give_reason
def copy(phase: str, span: dict[str, Any]) -> None:
    from shopferry import phase_steps
    from shopferry.control.chunks import Span

    first, last = span["first"] + 1, span["last"] + 1
    part = f"{span['target']} {first}–{last}" if last > first else f"{span['target']} {first}"
    get_current_context()["part"] = part  # type: ignore[typeddict-unknown-key]
    phase_steps.copy(hold_phase(phase), phase, part, Span(**span))


@task(
    trigger_rule="none_failed",  # a phase that is live already has nothing to copy
    doc_md="From here on the stream merges this phase too. Then judge every raw value that has no verdict yet.",
)
@give_reason
def standardize(phase: str) -> int:
    from shopferry import phase_steps

    settings = hold_phase(phase)
    phase_steps.go_live(settings, phase)
    return phase_steps.standardize(settings, phase)


@task(
    pool=SHOP_POOL,
    map_index_template="{{ worker }}",
    doc_md="Merge the phase's chunks together with the other worker, each chunk in one transaction.",
)
@give_reason
def merge(phase: str, worker: str) -> None:
    from shopferry import phase_steps

    get_current_context()["worker"] = worker  # type: ignore[typeddict-unknown-key]
    phase_steps.merge(hold_phase(phase), phase, worker)


@task(doc_md="Compare mirror and legacy, shop and mapping, and the accounts, online. Any difference fails.")
@give_reason
def verify(phase: str) -> str:
    from shopferry import phase_steps

    outcome = phase_steps.verify_phase(hold_phase(phase), phase)
    return f"{outcome.rows_compared} rows compared in {outcome.seconds:.1f} s, no difference"


@task(
    doc_md="Mark the phase verified, let go of it, start the next one by its asset. Write the report: the log says "
    "where.",
)
@give_reason
def publish(phase: str) -> None:
    from shopferry import phase_steps

    settings = hold_phase(phase)
    phase_steps.finish(settings, phase, name_this_run())
    phase_steps.book(settings, phase, _compute_elapsed(get_current_context()))
    write_report(settings, f"after phase {phase}")


def build_phase_dags() -> dict[str, DAG]:
    """Build the DAGs of all phases of this Airflow's route, by name: the first is started by hand, each starts the next.

    Raises MappingError for mappings that cannot be read, ConfigError for a phase that is called as another DAG.
    """
    route = Route.load(name_route())
    if taken := _OTHER_DAGS & set(route.phases):
        raise ConfigError(f"route {route.name}: a DAG is called {min(taken)} already: rename the phase's folder")
    return {phase: build_phase_dag(route, phase) for phase in route.phases}


def build_phase_dag(route: Route, phase: str) -> DAG:
    """Build the DAG of one phase; the asset of the phase before it starts it, and the first is started by hand."""
    at = route.phases.index(phase)
    after = route.phases[at - 1] if at else None
    fields = _FORM if after else _make_first_form()
    with DAG(
        dag_id=phase,
        description=f"Copies, merges and verifies the phase {phase} while both stores stay open",
        schedule=[name_asset(after)] if after else None,
        params=fields,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "phase"],
        default_args=DEFAULTS,
        doc_md=f"{_describe(route, phase, after)}\n\n{runbook('phase')}",
        on_failure_callback=_let_go,
    ) as dag:
        await_sync = AwaitSync(
            task_id="await_sync",
            phase=phase,
            doc_md="Wait until the stream is provably past the copy. A sample ends here: all that follows is skipped.",
        )
        planned = plan(phase)
        merged = merge.partial(phase=phase).expand(worker=_WORKERS)
        assessed = assess()
        if after is None:  # only ahead of the first merge can rows be told from ours
            assessed >> back_up() >> planned
        else:
            assessed >> planned
        copied = copy.partial(phase=phase).expand(span=planned)
        published = publish.override(outlets=[name_asset(phase)])(phase)
        copied >> standardize(phase) >> merged >> await_sync >> verify(phase) >> published
    return dag


def _describe(route: Route, phase: str, after: str | None) -> str:
    """Say of one phase what it reads and writes, and what starts it, ahead of the runbook that all phases share."""
    read, written = (
        ", ".join(f"`{n}`" for n in names) for names in (route.tables_of(phase), _list_written(route, phase))
    )
    begins = f"It starts by itself when `{after}` is verified, or by hand." if after else "It is started by hand."
    return f"**`{phase}`** of route `{route.name}` reads {read} in the legacy store and writes {written}. {begins}"


def _list_written(route: Route, phase: str) -> list[str]:
    return [unit.target for unit in route.of(phase) if isinstance(unit, EntityMapping)]


def join_small(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the spans of a small table into one: starting a task costs more than copying a few chunks."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        tables.setdefault(span["target"], []).append(span)
    worth = []
    for parts in tables.values():
        few = parts[-1]["last"] < _FEW_CHUNKS
        worth += [parts[0] | {"last": parts[-1]["last"]}] if few else parts
    return worth


def _compute_elapsed(context: Context) -> float:
    started = context["dag_run"].start_date
    return (datetime.now(UTC) - started).total_seconds() if started else 0.0


def _let_go(context: Context) -> None:
    """After a failed run: let go of the phase, so that the next run or the command line may take it. All done stays done."""
    from shopferry import phase_steps

    run = context["dag_run"]
    settings = load_settings()
    holder = name_holder(run.dag_id, run.run_id)
    if holds(settings, run.dag_id, holder):  # a run that was refused has nothing to let go of
        phase_steps.abandon(settings, run.dag_id, holder)
        phase_steps.book(settings, run.dag_id, _compute_elapsed(context))
