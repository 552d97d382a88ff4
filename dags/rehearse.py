"""The Airflow DAG `rehearse`: by hand only."""

from shopferry.orchestration.rehearsing import rehearse_dag

dag = rehearse_dag()
