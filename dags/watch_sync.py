"""The Airflow DAG `watch_sync`: looks at the sync each minute."""

from shopferry.orchestration.watching import build_watch_dag

dag = build_watch_dag()
