"""The stores and recipients as Airflow knows them: connections `legacy_db`, `shop_db`, `kafka`, and one of each webhook."""

from __future__ import annotations

import os

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError
from psycopg.conninfo import make_conninfo

from shopferry.errors import ConfigError
from shopferry.insight.push import Receiver
from shopferry.kafka_security import KafkaSecurity
from shopferry.settings import Settings, read_announcing, read_own_commands, require_route

# The words of the extra, which are those of Airflow's own Kafka provider.
_KAFKA_WORDS = {
    "protocol": "security.protocol",
    "mechanism": "sasl.mechanism",
    "username": "sasl.username",
    "password": "sasl.password",
    "cafile": "ssl.ca.location",
    "certfile": "ssl.certificate.location",
    "keyfile": "ssl.key.location",
}


def name_route() -> str:
    """Return the route of this Airflow: SHOPFERRY_ROUTE, else `demo`."""
    return os.environ.get("SHOPFERRY_ROUTE") or "demo"


def load_settings() -> Settings:
    """Load the route's settings out of Airflow's connections.

    Raises ConfigError naming the connection that is missing or says too little.
    """
    route = name_route()
    require_route(route)
    connect = os.environ.get("SHOPFERRY_CONNECT", "")
    brokers, security = _read_brokers()
    return Settings(
        _read_dsn("legacy_db"),
        _read_dsn("shop_db"),
        brokers,
        route,
        connect,
        security=security,
        **read_own_commands(),
        **read_announcing(),
    )


def _read_dsn(name: str) -> str:
    # The provider knows which of a connection's extras are libpq's; its own cursors would log every statement.
    hook = PostgresHook(postgres_conn_id=name, log_sql=False)
    try:
        found = hook.connection
    except (AirflowNotFoundException, AirflowRuntimeError):
        raise _make_missing(name) from None
    options = {k: str(v) for k, v in found.extra_dejson.items() if k not in {*hook.ignored_extra_options, "cursor"}}
    return make_conninfo(
        "", host=found.host, port=found.port, user=found.login, password=found.password, dbname=found.schema, **options
    )


def _read_brokers() -> tuple[str, KafkaSecurity]:
    try:
        found = Connection.get("kafka")
    except (AirflowNotFoundException, AirflowRuntimeError):
        raise _make_missing("kafka") from None
    extra = found.extra_dejson
    values = {name: str(extra.get(word, "")) for name, word in _KAFKA_WORDS.items()}
    security = KafkaSecurity.build(
        values, {n: f"{word} in the extra of Airflow connection 'kafka'" for n, word in _KAFKA_WORDS.items()}
    )
    if servers := extra.get("bootstrap.servers"):
        return str(servers), security
    if not found.host:
        raise ConfigError("Airflow connection 'kafka' has neither a host nor bootstrap.servers in its extra")
    return f"{found.host}:{found.port or 9092}", security


def load_receiver(name: str) -> Receiver:
    """Load a recipient's address on the web from the connection of that name: `url` in its extra, the secret as password.

    Raises ConfigError naming the connection that is missing or says too little.
    """
    try:
        found = Connection.get(name)
    except (AirflowNotFoundException, AirflowRuntimeError):
        raise _make_missing(name) from None
    url = str(found.extra_dejson.get("url", ""))
    if not url:
        raise ConfigError(
            f"Airflow connection {name!r} has no url in its extra: the address to which batches are posted"
        )
    return Receiver(url, found.password or "")


def _make_missing(name: str) -> ConfigError:
    return ConfigError(f"Airflow connection {name!r} is not set: Admin, Connections, or AIRFLOW_CONN_{name.upper()}")
