"""The DAG finish: started by hand, the route's name typed, two people approve, then everything of ours is dropped."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.api.datamodels._generated import DagRunType

from shopferry.control import routes
from shopferry.cutover.close_out import Keeper
from shopferry.errors import GateError
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.reporting import write_report
from shopferry.orchestration.runbooks import runbook
from shopferry.orchestration.switching import read_approval_time, read_approver

log = logging.getLogger(__name__)

_FORM = {
    "route": Param(
        "-",
        type="string",
        minLength=1,
        maxLength=80,
        title="Type the route's name",
        description="The migration that is over, so that nobody ends another one. After this there is no way back.",
    ),
    "keep_dumps": Param(
        None,
        type=["null", "string"],
        minLength=1,
        maxLength=80,
        title="Who keeps the dumps",
        description="Empty: they are deleted. Otherwise the person who keeps them, until the day below.",
    ),
    "until": Param(
        None, type=["null", "string"], format="date", title="Until", description="The last day on which they are kept."
    ),
}
_BODY = (
    "Route {{ params.route }}: slots, publications, topics, mirror, standardized values, quarantine and fences are dropped in "
    "both stores; the audit log and the reports stay. Backups are "
    "{% if params.keep_dumps %}kept by {{ params.keep_dumps }} until {{ params.until }}{% else %}deleted{% endif %}. "
    "**There is no way back to legacy after this.** "
)


@task(doc_md="Refuse now what would be refused later: legacy still active, the way back still promised, another route.")
@give_reason
def check() -> None:
    from shopferry import db
    from shopferry.cutover import finish
    from shopferry.route.route import Route

    settings, typed = load_settings(), get_current_context()["params"]["route"]
    route = Route.load(settings.route)
    refused = finish.find_keeping_faults(_read_keeper())
    refused += [] if typed == route.name else [f"the form says {typed!r}, the route is {route.name!r}"]
    with db.connect(settings.target_dsn, "finish") as shop, db.connect(settings.source_dsn, "finish") as legacy:
        if routes.is_installed(shop):
            refused += finish.find_refusals(shop, route) + finish.find_dependents(legacy)
    if refused:
        raise GateError(f"not finished: {'; '.join(refused)}")


def _read_keeper() -> Keeper | None:
    name, until = (get_current_context()["params"][word] for word in ("keep_dumps", "until"))
    if (name is None) != (until is None):
        raise GateError("not finished: say both who keeps the dumps and until which day, or neither")
    return Keeper(name, date.fromisoformat(until)) if name else None


@task(doc_md="Write the last report while there is something to report from; the log says where.")
@give_reason
def report() -> None:
    write_report(load_settings(), "before the end")


@task(doc_md="Drop everything. The log lists what was dropped; a retry completes what a killed task left.")
@give_reason
def finish(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    from shopferry.cutover import finish as end

    typed = get_current_context()["params"]["route"]
    done = end.finish(
        load_settings(),
        typed,
        read_approver(one),
        read_approver(other),
        min(read_approval_time(one), read_approval_time(other)),
        _read_keeper(),
    )
    stays = [f"stays: {s['what']} ({s['where']}) until {s['until']}" for s in done.certificate["stays"]]
    for line in (*done.dropped, *stays, *done.warnings, f"close-out certificate: {done.file}"):
        log.warning("%s", line)  # also where logs are kept quiet
    return done.dropped


def build_finish_dag() -> DAG:
    """Build the DAG `finish`: check → report → first approval → second approval, by somebody else → finish."""
    with DAG(
        dag_id="finish",
        description="Ends a migration: drops everything of shopferry's but the audit log and the reports",
        schedule=None,
        allowed_run_types=[DagRunType.MANUAL],
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "end"],
        default_args=DEFAULTS,
        doc_md=runbook("finish"),
    ) as dag:
        # Without defaults and time-out: silence must never count as an answer.
        first = ApprovalOperator(
            task_id="approve_first", subject="Finish the migration? First approval", body=_BODY, fail_on_reject=True
        )
        second = ApprovalOperator(
            task_id="approve_second",
            subject="Finish the migration? Second approval, by somebody else",
            fail_on_reject=True,
            body=_BODY
            + "The first was given by {{ ti.xcom_pull(task_ids='approve_first')['responded_by_user']['name'] }}.",
        )
        check() >> report() >> first >> second
        one: Any = first.output
        other: Any = second.output
        finish(one, other)
    return dag
