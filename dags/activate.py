"""The Airflow DAG `activate`: hands recipients what has changed, by the schedule of each."""

from shopferry.orchestration.activating import build_activate_dag

dag = build_activate_dag()
