"""The DAG audit: counts what the route's audits ask, daily and after each phase; fails when one has become worse."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, task
from airflow.sdk.exceptions import AirflowSkipException

from shopferry.errors import MappingError, VerificationError
from shopferry.orchestration.connections import load_settings, name_route
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.hold import name_this_run
from shopferry.orchestration.phase import name_asset
from shopferry.orchestration.runbooks import runbook
from shopferry.route.route import Route

log = logging.getLogger(__name__)


@task(doc_md="Count, judge by the runs before, book. Skipped while no phase has filled the new shop.")
@give_reason
def count() -> dict[str, Any]:
    from shopferry import db
    from shopferry.insight import run as runs

    settings = load_settings()
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "audit") as shop:
        due = runs.find_due(shop, route)
        if not due:
            raise AirflowSkipException("no phase with audits has filled the new shop")
        done = runs.run(shop, route, due, name_this_run(), datetime.now(UTC))
    for judged in done.changed:
        log.warning("%s", judged.told)  # also where logs are kept quiet
    return {"run": done.number, "broken": list(done.broken)}


@task(
    doc_md="Fail with every audit that has become worse since on-call was told last, or could not be counted. Else green."
)
@give_reason
def tell(done: dict[str, Any]) -> str:
    from shopferry import db
    from shopferry.insight import run as runs

    settings = load_settings()
    with db.connect(settings.target_dsn, "audit") as shop, shop.transaction():
        news = runs.tell(shop, Route.load(settings.route), done["run"])
    worse = [j.told for j in news if j.worse]
    if done["broken"]:
        raise MappingError("; ".join([*done["broken"], *worse]))
    if worse:
        raise VerificationError(f"{'; '.join(worse)} (page Quality; docs/runbooks/audit.md)")
    better = [j.told for j in news]
    return "; ".join([f"run {done['run']}: nothing has become worse", *(f"better: {one}" for one in better)])


def build_audit_dag() -> DAG:
    """Build the DAG `audit`: each day, and whenever a phase is verified."""
    phases = Route.load(name_route()).phases
    with DAG(
        dag_id="audit",
        description="Counts what the route's audits ask of the new shop; fails only when one has become worse",
        schedule=AssetOrTimeSchedule(
            timetable=CronTriggerTimetable("0 5 * * *", timezone="UTC"),
            assets=reduce(or_, map(name_asset, phases)),
        ),
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "audit"],
        default_args=DEFAULTS | {"owner": "oncall"},
        doc_md=runbook("audit"),
    ) as dag:
        tell(count())  # type: ignore[arg-type]
    return dag
