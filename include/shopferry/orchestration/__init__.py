"""Airflow's part: DAG builders, the sync sensor, the page. Only here, in dags/ and in plugins/ is Airflow imported."""

import logging

# As in the services: a broker that fails is one line of ours in a task's log, and closing a connection none at all.
logging.getLogger("kafka").setLevel(logging.CRITICAL)
