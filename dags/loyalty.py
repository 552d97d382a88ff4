"""The Airflow DAG `loyalty`: started when orders is verified."""

from shopferry.orchestration.phase import phase_dag

dag = phase_dag("loyalty", after="orders")
