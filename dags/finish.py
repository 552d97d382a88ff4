"""The Airflow DAG `finish`: by hand only."""

from shopferry.orchestration.finishing import finish_dag

dag = finish_dag()
