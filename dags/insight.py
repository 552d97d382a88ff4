"""The Airflow DAG `insight`: brings profiles and segments to the day, each night."""

from shopferry.orchestration.ticking import build_insight_dag

dag = build_insight_dag()
