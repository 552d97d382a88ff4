"""The Airflow DAG `watch_sync`: looks at the sync each minute."""

from shopferry.orchestration.watching import watch_dag

dag = watch_dag()
