"""Who holds a phase when Airflow runs it: the DAG run."""

from __future__ import annotations

from airflow.sdk import get_current_context

from shopferry import db
from shopferry.control import phases
from shopferry.orchestration.connections import load_settings
from shopferry.settings import Settings


def name_holder(dag_id: str, run_id: str) -> str:
    """Return the name under which a DAG run holds its phase."""
    return f"airflow:{dag_id}:{run_id}"


def name_this_run() -> str:
    """Return the holder that the present task works for."""
    run = get_current_context()["dag_run"]
    return name_holder(run.dag_id, run.run_id)


def hold_phase(phase: str) -> Settings:
    """Hold the phase for this run from now on; returns the settings for its step.

    A step that was cleared by hand comes here without the steps before it. Raises PhaseError when somebody else holds it.
    """
    settings = load_settings()
    with db.connect(settings.target_dsn, f"hold {phase}") as shop:
        phases.hold(shop, settings.route, phase, name_this_run())
    return settings


def holds(settings: Settings, phase: str, holder: str) -> bool:
    """Tell whether this holder has the phase."""
    with db.connect(settings.target_dsn, f"look at {phase}") as shop:
        return phases.load(shop, settings.route, phase).holder == holder
