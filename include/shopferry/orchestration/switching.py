"""The DAGs cutover and rollback: started by hand, approved by a named person, then one task that does it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, task
from airflow.sdk.api.datamodels._generated import DagRunType

from shopferry.control import routes
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.hold import name_this_run
from shopferry.orchestration.reporting import write_report
from shopferry.orchestration.runbooks import runbook
from shopferry.route.route import leads_back

if TYPE_CHECKING:
    from shopferry.control.gates import Gate

log = logging.getLogger(__name__)

_FORM = {
    "ticket": Param(
        None,
        type=["null", "string"],
        maxLength=80,
        title="Change ticket",
        description="Shown to whoever approves; kept with this run.",
    ),
}


@task(doc_md="Back up each store that has no fresh backup, and restore it into a scratch database to try it.")
@give_reason
def back_up() -> list[str]:
    from shopferry.backup import backup

    made = backup.take_before_cutover(load_settings(), name_this_run())
    return [f"backup {b.id} of {b.store}: {b.bytes} bytes in {b.seconds:.1f} s" for b in made]


@task(doc_md="Have legacy hold all that the new shop holds, and follow it: so the way back loses nothing.")
@give_reason
def arm() -> str:
    from shopferry.cutover import way_back

    return f"{way_back.arm(load_settings()):,} rows of the new shop copied into legacy's mirror of it"


@task(
    doc_md="The critical section. Until legacy's fence commits a failure changes nothing; after it, a retry completes."
)
@give_reason
def cut_over(approval: dict[str, Any]) -> list[str]:
    from shopferry.cutover import switch

    done = switch.cut_over(load_settings(), read_approver(approval), read_approval_time(approval))
    _log_gates(done.gates)  # as judged again, right before the lock
    return [f"{step}: {ms:.0f} ms" for step, ms in done.steps]


def build_cutover_dag() -> DAG:
    """Build the DAG `cutover`: backup → way back armed → gates → approval → the critical section in one task → report."""
    with _open_manual_dag(
        "cutover", "Moves the shop's writes from legacy to the new shop, once a named person approves"
    ) as dag:

        @task(
            doc_md="Judge every gate now. One that is not met ends the run here, with its evidence and how to meet it."
        )
        @give_reason
        def gates() -> str:
            from shopferry.cutover import gates as judged

            return _require_met("cutover", judged.judge(load_settings()))

        approve = _ask_approval(
            "Cut over to the new shop?",
            "Every gate is met:\n\n{{ ti.xcom_pull(task_ids='gates') }}\n\n"
            "On approval legacy is closed for writes and the new shop opens, within seconds. "
            "Ticket: {{ params.ticket or 'none' }}.",
        )

        @task(doc_md="Which store is open now, how long each step took, and the report for people; the log says where.")
        @give_reason
        def report(steps: list[str], approval: dict[str, Any]) -> str:
            return _report_switch(steps, approval, "after the cutover")

        judged = gates()
        back_up() >> arm() >> judged >> approve
        answer: Any = approve.output
        done: Any = cut_over(answer)
        report(done, answer)
    return dag


@task(doc_md="The critical section, the other way. Until the new shop's fence commits a failure changes nothing.")
@give_reason
def roll_back(approval: dict[str, Any]) -> list[str]:
    from shopferry.cutover import rollback

    done = rollback.roll_back(load_settings(), read_approver(approval), read_approval_time(approval))
    _log_gates(done.gates)  # as judged again, right before the lock
    return [f"{step}: {ms:.0f} ms" for step, ms in done.steps]


@task(doc_md="Merge every phase again and verify it, while legacy is open: the new shop keeps up with it as before.")
@give_reason
def merge_again() -> None:
    from shopferry import phase_steps

    phase_steps.run_again(load_settings(), name_this_run(), lambda text: log.info("%s", text))


def build_rollback_dag() -> DAG:
    """Build the DAG `rollback`: gates → approval → rollback in one task → phases merged again → report."""
    with _open_manual_dag(
        "rollback", "Gives the shop back to legacy, with every write that the new shop has acknowledged"
    ) as dag:

        @task(
            doc_md="Judge every gate now. One that is not met ends the run here, with its evidence and how to meet it."
        )
        @give_reason
        def gates() -> str:
            from shopferry.cutover import gates as judged

            settings = load_settings()
            return _require_met("rollback", judged.judge_back(settings) if leads_back(settings.route) else [])

        approve = _ask_approval(
            "Give the shop back to legacy?",
            "Every gate is met:\n\n{{ ti.xcom_pull(task_ids='gates') }}\n\n"
            "On approval the new shop is closed for writes and legacy opens again, within seconds, with every write that the "
            "new shop has acknowledged. Gates are judged once more then: it is refused, and changes nothing, when one would "
            "be lost. Ticket: {{ params.ticket or 'none' }}.",
        )

        @task(doc_md="Which store is open now, how long each step took, and the report for people; the log says where.")
        @give_reason
        def report(steps: list[str], approval: dict[str, Any]) -> str:
            return _report_switch(steps, approval, "after the rollback")

        gates() >> approve
        answer: Any = approve.output
        done: Any = roll_back(answer)
        done >> merge_again() >> report(done, answer)
    return dag


def read_approver(approval: dict[str, Any]) -> str:
    """Read the name of the person who approved."""
    return str(approval["responded_by_user"]["name"])


def read_approval_time(approval: dict[str, Any]) -> datetime:
    """Read when the person approved."""
    at: datetime = approval["responded_at"]
    return at


def _open_manual_dag(dag_id: str, description: str) -> DAG:
    return DAG(
        dag_id=dag_id,
        description=description,
        schedule=None,
        allowed_run_types=[DagRunType.MANUAL],
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "switch"],
        default_args=DEFAULTS,
        doc_md=runbook(dag_id),
    )


def _ask_approval(subject: str, body: str) -> ApprovalOperator:
    # Without defaults and time-out: silence must never count as an answer.
    return ApprovalOperator(task_id="approve", subject=subject, body=body, fail_on_reject=True)


def _log_gates(judged: Sequence[Gate]) -> None:
    """Log the gates as a table in the task's log."""
    from shopferry.cutover import gates

    for line in gates.lines(judged):
        log.warning("%s", line)  # also where logs are kept quiet: what is printed is not kept there


def _require_met(switch: str, found: Sequence[Gate]) -> str:
    """Return the evidence for the person who approves. Raises GateError when a gate is not met."""
    from shopferry.cutover import gates

    _log_gates(found)
    gates.refuse_unmet(switch, found)
    return "\n".join(f"- {gate.gate}: {gate.evidence}" for gate in found)


def _report_switch(steps: list[str], approval: dict[str, Any], occasion: str) -> str:
    from shopferry import db

    settings = load_settings()
    with db.connect(settings.target_dsn, "report") as shop:
        active = routes.find_active(shop, settings.route)
    text = f"approved by {read_approver(approval)}; writes go to {active}; " + (", ".join(steps) or "was done already")
    log.warning("%s", text)  # also where logs are kept quiet
    write_report(settings, occasion)
    return text
