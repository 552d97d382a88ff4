"""An Airflow DAG for each phase of the route that SHOPFERRY_ROUTE names, called as the phase is."""

from shopferry.orchestration.phase import build_phase_dags

globals().update(build_phase_dags())
