"""The Airflow DAG `contacts`: the first phase, started by hand."""

from shopferry.orchestration.phase import phase_dag

dag = phase_dag("contacts")
