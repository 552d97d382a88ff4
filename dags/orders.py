"""The Airflow DAG `orders`: started when contacts is verified."""

from shopferry.orchestration.phase import build_phase_dag

dag = build_phase_dag("orders", after="contacts")
