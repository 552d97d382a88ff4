"""The Airflow DAG `orders`: started when contacts is verified."""

from shopferry.orchestration.phase import phase_dag

dag = phase_dag("orders", after="contacts")
