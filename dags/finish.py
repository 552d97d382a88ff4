"""The Airflow DAG `finish`: by hand only."""

from shopferry.orchestration.finishing import build_finish_dag

dag = build_finish_dag()
