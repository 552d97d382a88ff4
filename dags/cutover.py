"""The Airflow DAG `cutover`: by hand only."""

from shopferry.orchestration.switching import build_cutover_dag

dag = build_cutover_dag()
