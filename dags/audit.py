"""The Airflow DAG `audit`: each day, and after each phase."""

from shopferry.orchestration.auditing import build_audit_dag

dag = build_audit_dag()
