"""Airflow's part: DAG builders, the sync sensor, the page. Only here, in dags/ and in plugins/ is Airflow imported."""
