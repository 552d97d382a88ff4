"""The Airflow DAG `loyalty`: started when orders is verified."""

from shopferry.orchestration.phase import build_phase_dag

dag = build_phase_dag("loyalty", after="orders")
