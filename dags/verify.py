"""The Airflow DAG `verify`: compares both stores once a day."""

from shopferry.orchestration.verifying import build_verify_dag

dag = build_verify_dag()
