"""The Airflow DAG `rehearse`: by hand only."""

from shopferry.orchestration.rehearsing import build_rehearse_dag

dag = build_rehearse_dag()
