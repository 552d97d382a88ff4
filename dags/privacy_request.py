"""The Airflow DAG `privacy_request`: by hand only."""

from shopferry.orchestration.requesting import build_request_dag

dag = build_request_dag()
