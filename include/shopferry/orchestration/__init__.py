"""Airflow's part: DAG builders, the sync sensor, the page. Only here, in dags/ and in plugins/ is Airflow imported."""

from shopferry import logs

logs.silence_kafka()  # in a task's log as in those of the services
