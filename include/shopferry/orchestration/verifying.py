"""The DAG verify: compares every phase that is in sync, once a day and by hand; on request it repairs what differs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from shopferry.errors import VerificationError
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.phase import LEGACY_POOL
from shopferry.orchestration.reporting import write_report
from shopferry.orchestration.runbooks import runbook

_FORM = {
    "rows_per_second": Param(
        None,
        type=["null", "integer"],
        minimum=100,
        maximum=10_000_000,
        title="Throttle",
        description="Rows per second compared, each phase by itself. Empty: as fast as it can.",
    ),
    "repair": Param(
        False,
        type="boolean",
        title="Repair",
        description="Mend what differs: read rows of the mirror again from legacy, merge the others again.",
    ),
}


@task(doc_md="Which phases there are to compare: those in sync or verified. None before, none after the cutover.")
@give_reason
def phases() -> list[str]:
    from shopferry import phase_steps

    return phase_steps.find_comparable(load_settings())


@task(
    pool=LEGACY_POOL,
    map_index_template="{{ name }}",
    doc_md="Compare one phase in all layers and book what differs. A retry goes on where it was broken off.",
)
@give_reason
def compare(phase: str) -> str:
    from shopferry import phase_steps

    context: Any = get_current_context()
    context["name"] = phase
    outcome = phase_steps.compare(load_settings(), phase, context["params"]["rows_per_second"])
    return f"{outcome.rows_compared} rows compared in {outcome.seconds:.1f} s, {outcome.open} differences"


@task(
    pool=LEGACY_POOL,
    map_index_template="{{ name }}",
    doc_md="If the form says so: mend the phase's open differences, look at them again, record who and what.",
)
@give_reason
def repair(phase: str) -> str:
    from shopferry import phase_steps

    context: Any = get_current_context()
    context["name"] = phase
    if not context["params"]["repair"]:
        raise AirflowSkipException("the form does not ask for a repair")
    who = context["dag_run"].triggering_user_name or f"airflow:{context['dag_run'].run_id}"
    done = phase_steps.repair(load_settings(), phase, who)
    return f"{done.repaired} of {done.differences} rows repaired"


@task(
    trigger_rule="none_failed",  # the repair is skipped in most runs
    doc_md="Write the report: the log says where. Fail if anything differs that is neither repaired nor explained.",
)
@give_reason
def judge(names: list[str]) -> str:
    from shopferry import phase_steps

    settings = load_settings()
    if names:
        write_report(settings, "after a verification")
    found = {name: phase_steps.count_open_differences(settings, name) for name in names}
    if differing := [f"{n} in {name}" for name, n in found.items() if n]:
        raise VerificationError(f"open differences: {', '.join(differing)}; `shopferry difference list --rows`")
    return f"{len(names)} phases compared, nothing differs"


def build_verify_dag() -> DAG:
    """Build the DAG `verify`."""
    with DAG(
        dag_id="verify",
        description="Compares legacy, mirror and new shop, row by row and online; on request mends what differs",
        schedule="0 3 * * *",
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "verify"],
        default_args=DEFAULTS,
        doc_md=runbook("verify"),
    ) as dag:
        names = phases()
        compared, mended = compare.expand(phase=names), repair.expand(phase=names)
        compared >> mended >> judge(names)  # type: ignore[arg-type]
    return dag
