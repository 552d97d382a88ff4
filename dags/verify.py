"""The Airflow DAG `verify`: compares both stores once a day."""

from shopferry.orchestration.verifying import verify_dag

dag = verify_dag()
