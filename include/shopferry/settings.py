"""Where the stores are: the environment first, then the state file of the embedded stack."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from shopferry.errors import ConfigError
from shopferry.kafka_security import PLAIN_TEXT, KafkaSecurity

PROJECT = Path(__file__).resolve().parents[2]
METRICS = "127.0.0.1:9474"
REVERSE = "_reverse"
SQL_ROOT = Path(__file__).resolve().parents[1] / "sql"


def data_dir() -> Path:
    """Return the one directory that holds all the embedded stack writes.

    `SHOPFERRY_DATA` if set; else `.shopferry` in the project. PostgreSQL refuses to run as root, and the
    account it gets instead often cannot enter the project's path, so for root it is below /var/tmp.
    """
    if chosen := os.environ.get("SHOPFERRY_DATA"):
        return Path(chosen).resolve()
    if os.geteuid() == 0:
        return Path("/var/tmp") / f"shopferry-{hashlib.sha256(str(PROJECT).encode()).hexdigest()[:8]}"  # noqa: S108
    return PROJECT / ".shopferry"


def routes_dir() -> Path:
    """Return the folder of routes: `SHOPFERRY_ROUTES` if set, for routes that live beside this project; else include/sql."""
    return Path(os.environ["SHOPFERRY_ROUTES"]).resolve() if os.environ.get("SHOPFERRY_ROUTES") else SQL_ROOT


def stack_state() -> dict[str, str]:
    """Tell what the embedded stack wrote when it came up (empty when there is none): DSNs, broker, URLs."""
    file = data_dir() / "stack.json"
    if not file.exists():
        return {}
    state: dict[str, str] = json.loads(file.read_text())
    return state


@dataclass(frozen=True)
class Settings:
    """One route's stores and broker. DSNs are libpq URIs or key=value strings, `kafka` is host:port[,…]."""

    source_dsn: str  # the store that is read: legacy, or the new shop on the way back
    target_dsn: str  # the store that is written
    kafka: str
    route: str = "demo"
    connect: str = ""  # base URL of Kafka Connect; empty where the embedded connector runs
    metrics: str = ""  # host:port or port (on loopback) where the consumer serves metrics and health; empty: nowhere
    backup_command: str = ""  # the team's own way to take a backup; empty: pg_dump
    restore_command: str = ""  # and to restore one into a scratch database; empty: pg_restore
    backup_encrypt: str = ""  # encrypts a dump from standard input to standard output; empty: dumps are not encrypted
    backup_decrypt: str = ""  # and the reverse
    pgbouncer: str = ""  # DSN of PgBouncer's console, as one of its admin_users; empty: the application does without
    pgbouncer_databases: str = ""  # the file with its databases, a link that a switch turns round
    hook: str = ""  # URL that is told of every switch; empty: none
    security: KafkaSecurity = PLAIN_TEXT  # of the way to the broker

    @property
    def reversed(self) -> Settings:
        """The same for the way back: the stores exchanged, the route's reverse."""
        return replace(self, source_dsn=self.target_dsn, target_dsn=self.source_dsn, route=f"{self.route}{REVERSE}")

    @classmethod
    def load(cls) -> Settings:
        """Read SHOPFERRY_LEGACY_DSN, _SHOP_DSN, _KAFKA and its security, _ROUTE, _CONNECT, _METRICS, the team's own commands
        and the ways to tell the application of a switch.

        What is not set is taken from the embedded stack's state. Raises ConfigError naming every value that is nowhere to
        be found.
        """
        state = stack_state()
        found = {
            key: os.environ.get(f"SHOPFERRY_{key.upper()}") or state.get(key, "")
            for key in ("legacy_dsn", "shop_dsn", "kafka")
        }
        if missing := [f"SHOPFERRY_{key.upper()}" for key, value in found.items() if not value]:
            raise ConfigError(
                f"{', '.join(missing)} not set and no embedded stack is up: export them, or run `shopferry stack up`"
            )
        route = find_route()
        metrics = os.environ.get("SHOPFERRY_METRICS", state.get("metrics", METRICS))
        connect = os.environ.get("SHOPFERRY_CONNECT", "")
        return cls(
            found["legacy_dsn"],
            found["shop_dsn"],
            found["kafka"],
            route=route,
            connect=connect,
            metrics=metrics,
            security=KafkaSecurity.from_environment(),
            **read_own_commands(),
            **read_announcing(),
        )


def name_sync(route: str) -> str:
    """Return the name of a route's flow, for its command and its sessions: `sync forward`, of a way back `sync reverse`."""
    return "sync reverse" if route.endswith(REVERSE) else "sync forward"


def name_slot(route: str) -> str:
    """Return the name of a route's replication slot, which is also its publication's.

    PostgreSQL takes small letters, digits and `_` alone for a slot; a route may have a hyphen.
    """
    return f"shopferry_{re.sub(r'[^a-z0-9_]', '_', route.lower())}"


def read_own_commands() -> dict[str, str]:
    """Read the team's own commands: SHOPFERRY_BACKUP_COMMAND, _RESTORE_COMMAND, _BACKUP_ENCRYPT, _BACKUP_DECRYPT."""
    names = ("backup_command", "restore_command", "backup_encrypt", "backup_decrypt")
    return {name: os.environ.get(f"SHOPFERRY_{name.upper()}", "") for name in names}


def read_announcing() -> dict[str, str]:
    """Read how to tell the application of a switch: SHOPFERRY_PGBOUNCER, _PGBOUNCER_DATABASES, _HOOK; empty where not set."""
    return {
        name: os.environ.get(f"SHOPFERRY_{name.upper()}", "") for name in ("pgbouncer", "pgbouncer_databases", "hook")
    }


def read_mark_key() -> str:
    """Read the key of marks, SHOPFERRY_MARK_KEY, else the embedded stack's; empty where there is neither."""
    return os.environ.get("SHOPFERRY_MARK_KEY") or stack_state().get("mark_key", "")


def read_activate_secret() -> str:
    """Read the secret by which recipients on the web know that a batch is ours: SHOPFERRY_ACTIVATE_SECRET, empty where unset."""
    return os.environ.get("SHOPFERRY_ACTIVATE_SECRET", "")


def find_route() -> str:
    """Return the route's name: SHOPFERRY_ROUTE, the embedded stack's, else `demo`. Raises ConfigError without its folder."""
    route = os.environ.get("SHOPFERRY_ROUTE") or stack_state().get("route") or "demo"
    require_route(route)
    return route


def require_route(route: str) -> None:
    """Raise ConfigError when there is no such route, naming those there are."""
    root = routes_dir()
    if not (root / route).is_dir():
        known = ", ".join(sorted(p.name for p in root.iterdir() if p.is_dir())) if root.is_dir() else "no such folder"
        raise ConfigError(
            f"route {route!r} has no folder {root / route} ({known}): set SHOPFERRY_ROUTE or SHOPFERRY_ROUTES"
        )
