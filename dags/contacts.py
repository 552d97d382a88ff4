"""The Airflow DAG `contacts`: the first phase, started by hand."""

from shopferry.orchestration.phase import build_phase_dag

dag = build_phase_dag("contacts")
