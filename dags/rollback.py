"""The Airflow DAG `rollback`: by hand only."""

from shopferry.orchestration.switching import rollback_dag

dag = rollback_dag()
