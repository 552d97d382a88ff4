"""The Airflow DAG `cutover`: by hand only."""

from shopferry.orchestration.switching import cutover_dag

dag = cutover_dag()
