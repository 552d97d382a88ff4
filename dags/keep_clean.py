"""The Airflow DAG `keep_clean`: removes once a day what the move has kept beyond its period."""

from shopferry.orchestration.cleaning import build_keep_clean_dag

dag = build_keep_clean_dag()
