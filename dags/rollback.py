"""The Airflow DAG `rollback`: by hand only."""

from shopferry.orchestration.switching import build_rollback_dag

dag = build_rollback_dag()
