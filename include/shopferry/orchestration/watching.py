"""The DAG watch_sync: one look at the sync each minute; it fails where somebody should look too."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param, get_current_context, task

from shopferry.health.problems import AWAY, MIB, Limits
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason, make_failure
from shopferry.orchestration.runbooks import runbook

log = logging.getLogger(__name__)

_FORM = {
    "lag_seconds": Param(
        int(Limits.lag_s),
        type="integer",
        minimum=1,
        maximum=3600,
        title="Lag in seconds",
        description="Commit in legacy to application in the shop, of the newest batches.",
    ),
    "lag_mib": Param(
        Limits.lag_bytes // MIB,
        type="integer",
        minimum=1,
        maximum=1_048_576,
        title="Lag in MiB",
        description="Log that the broker has not acknowledged yet.",
    ),
    "retained_mib": Param(
        Limits.retained_bytes // MIB,
        type="integer",
        minimum=1,
        maximum=1_048_576,
        title="Kept log in MiB",
        description="Log that legacy must keep on its disk for the slot.",
    ),
    "silence_seconds": Param(
        int(Limits.silence_s),
        type="integer",
        minimum=5,
        maximum=3600,
        title="Silence in seconds",
        description="How long the consumer may give no sign of life.",
    ),
}


def build_watch_dag() -> DAG:
    """Build the DAG `watch_sync`."""
    with DAG(
        dag_id="watch_sync",
        description="Lag, slot, quarantine and consumer, each minute; fails where somebody should look",
        schedule=timedelta(minutes=1),
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "watch"],
        # What it finds is never tried again, and a store that is away is looked at again in a minute.
        default_args=DEFAULTS | {"owner": "oncall", "retries": 1},
        doc_md=runbook("watch_sync"),
    ) as dag:

        @task(doc_md="Measure, and fail with every limit that is exceeded.")
        @give_reason
        def look() -> str:
            from shopferry.health import measure, problems, screen

            form = get_current_context()["params"]
            limits = Limits(
                form["lag_seconds"],
                form["lag_mib"] * MIB,
                form["retained_mib"] * MIB,
                form["silence_seconds"],
            )
            health = measure.measure(load_settings())
            found = problems.find_problems(health, limits)
            shown = screen.render(health, found)
            for line in shown:
                log.warning("%s", line)  # also where logs are kept quiet: what is printed is not kept there
            if found:
                # A server that is away may be back at the next try; all else is looked at again in a minute.
                raise make_failure("; ".join(map(str, found)), transient=all(c.code in AWAY for c in found))
            return shown[0]

        look()
    return dag
