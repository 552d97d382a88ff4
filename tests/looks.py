"""What a stack looks like: all that one test could leave behind for the next."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from kafka import KafkaAdminClient
from live import Flow
from psycopg.sql import SQL, Identifier
from shopferry import stack
from shopferry.cdc import proof
from shopferry.control import offsets
from shopferry.db import Connection
from waiting import until

# What the flows, the markers and the verdicts book by themselves: never the same at two moments.
MOVING = {
    "ferry.gate",
    "ferry.kafka_offset",
    "ferry.replay_batch",
    "ferry.consumer",
    "ferry.stream",
    "shopferry.marker",
    "shopferry.heartbeat",
}
_DEFINED = {  # of a database or its server, in words that are the same after a restart
    "columns": """SELECT attrelid::regclass::text || '.' || attname || ' ' || format_type(atttypid, atttypmod)
                  FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
                  WHERE attnum > 0 AND NOT attisdropped AND c.relkind IN ('r', 'v', 'S') AND c.relpersistence = 'p'
                    AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'""",
    "triggers": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "constraints": "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid <> 0",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname !~ '^pg_'",
    "published": "SELECT pubname || ' ' || schemaname || '.' || tablename || attnames::text FROM pg_publication_tables",
    "origins": "SELECT roname FROM pg_replication_origin",
    "databases": "SELECT datname::text FROM pg_database",
    "settings": """SELECT sourcefile || ' ' || name || '=' || setting FROM pg_file_settings
                   UNION ALL SELECT setdatabase || ' ' || setconfig::text FROM pg_db_role_setting""",
}


@dataclass(frozen=True)
class Look:
    """One stack at a moment when both flows have nothing to do."""

    rows: dict[str, object]  # a checksum of each table of both stores, the state of each sequence
    defined: dict[str, list[str]]
    slots: list[tuple[Any, ...]]
    topics: dict[str, int]  # with the number of their partitions
    programs: dict[str, str]
    files: list[str]


def contents(conn: Connection) -> dict[str, object]:
    """Every table's rows as a checksum, and every sequence's state; of what moves by itself there is none."""
    found: dict[str, object] = {}
    rows = conn.execute(
        """SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind IN ('r', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1, 2"""
    ).fetchall()
    for schema, name, kind in rows:
        of = f"{schema}.{name}"
        if of in MOVING or of.removesuffix("_id_seq") in MOVING:
            continue
        what = "count(*), sum(hashtextextended(t::text, 0))" if kind == "r" else "min(last_value), bool_and(is_called)"
        found[of] = conn.execute(SQL(f"SELECT {what} FROM {{}} t").format(Identifier(schema, name))).fetchone()  # type: ignore[arg-type]
    return found


def look(flow: Flow) -> Look:
    """The stack as it is now, once the stream has applied all that the broker holds."""
    rows: dict[str, object] = {}
    defined: dict[str, list[str]] = {}
    slots: list[tuple[Any, ...]] = []
    for store, conn in (("legacy", flow.legacy), ("shop", flow.shop)):
        rows |= {f"{store}: {name}": row for name, row in contents(conn).items()}
        for what, query in _DEFINED.items():
            defined[f"{store}: {what}"] = sorted(str(r[0]) for r in conn.execute(query.encode()).fetchall())
        slots += conn.execute(
            "SELECT slot_name::text, plugin::text, active, wal_status, failover FROM pg_replication_slots ORDER BY 1"
        ).fetchall()
    with proof.broker_ends(flow.stores, flow.settings) as ends:
        goal = ends()
    until(lambda: not proof.count_behind(offsets.load(flow.shop, flow.route.name), goal))
    admin = KafkaAdminClient(bootstrap_servers=flow.settings.kafka)
    try:
        topics = {t["name"]: len(t["partitions"]) for t in admin.describe_topics(admin.list_topics())}
    finally:
        admin.close()
    programs = {s.name: s.state for s in stack.status()}
    return Look(rows, defined, slots, topics, programs, files(flow))


def files(flow: Flow) -> list[str]:
    """The files of the data directory by name, but for logs, Airflow's, and what PostgreSQL keeps in its own directories."""
    found = sorted(str(f.relative_to(flow.directory)) for f in flow.directory.rglob("*") if f.is_file())
    found = [f for f in found if not f.endswith(".log") and not f.startswith("airflow/")]
    return [f for f in found if not f.startswith("pg/") or f.count("/") == 1]


def differing(made: Look, now: Look) -> dict[str, list[object]]:
    """What differs between two looks, by the part that it is of; entries of one, and of the other."""
    found: dict[str, list[object]] = {}
    for part in fields(Look):
        one, other = (_entries(getattr(x, part.name)) for x in (made, now))
        if one != other:
            found[part.name] = [e for e in one if e not in other] + [e for e in other if e not in one]
    return found


def _entries(part: Any) -> list[object]:
    return list(part.items()) if isinstance(part, dict) else list(part)
