"""The Airflow DAG `tick`: brings profiles and segments to the day, each night."""

from shopferry.orchestration.ticking import build_tick_dag

dag = build_tick_dag()
