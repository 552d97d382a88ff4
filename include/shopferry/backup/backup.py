"""Backups: before the first merge into a shop that has rows, before the cutover, and whenever somebody asks.

A backup counts by what proves it: the rows of each table in the very snapshot that was dumped, a checksum, and a restore
into a scratch database in which the same rows stand.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.backup import dump
from shopferry.control import backups, preexisting
from shopferry.control.backups import Backup
from shopferry.db import Connection
from shopferry.errors import BackupError, ConfigError
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.route.settings import STORES
from shopferry.settings import Settings, data_dir
from shopferry.stores import scratch

_TABLES = """
SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""


def take(settings: Settings, who: str, store: str, *, reason: str = "by_hand", test_restore: bool = False) -> Backup:
    """Back up one store, 'legacy' or 'shop', below `<data>/backups`; with `test_restore` try it at once.

    Raises BackupError with the reason, and leaves no file then; ConfigError when shopferry is not installed in the shop.
    """
    with db.connect(settings.target_dsn, "backup") as shop:
        _require_installed(shop)
        made = _take(settings, shop, who, store, reason)
    return test(settings, made) if test_restore else made


def test(settings: Settings, made: Backup) -> Backup:
    """Restore a backup into a scratch database of the new shop's cluster, compare rows per table, and book the outcome.

    Raises BackupError when it does not hold what was backed up; that too is booked.
    """
    started, problem = time.monotonic(), None
    try:
        _try_restore(settings, made)
    except BackupError as error:
        problem = str(error)
    with db.connect(settings.target_dsn, "backup") as shop, shop.transaction():
        backups.book_test(shop, made.id, seconds=time.monotonic() - started, problem=problem)
        made = backups.find(shop, settings.route, made.id)
    if problem:
        raise BackupError(f"backup {made.id} of store {made.store} cannot be restored: {problem}")
    return made


def take_before_merge(settings: Settings, who: str) -> Backup | None:
    """Back up the new shop before our first merge if it holds rows that are not ours; None when there is no need."""
    with db.connect(settings.target_dsn, "backup") as shop:
        _require_installed(shop)
        held = preexisting.exist(shop, Route.load(settings.route).entities)
        done = [b for b in backups.list_all(shop, settings.route) if b.reason == "before_merge"]
    return None if done or not held else take(settings, who, "shop", reason="before_merge")


def take_before_cutover(settings: Settings, who: str) -> list[Backup]:
    """Make sure of a fresh backup of each store that was restored to try it; returns those that had to be taken now."""
    with db.connect(settings.target_dsn, "backup") as shop:
        _require_installed(shop)
        proven = {b.store for b in backups.list_all(shop, settings.route) if b.proven}
    return [
        take(settings, who, store, reason="before_cutover", test_restore=True)
        for store in STORES
        if store not in proven
    ]


def _require_installed(shop: Connection) -> None:
    if not db.exists(shop, "ferry.backup"):
        raise ConfigError(
            "backups are booked in the new shop, where shopferry is not installed: run `shopferry phase init`"
        )


def _take(settings: Settings, shop: Connection, who: str, store: str, reason: str) -> Backup:
    dsn = {"legacy": settings.source_dsn, "shop": settings.target_dsn}[store]
    if settings.backup_command and settings.backup_encrypt:
        raise ConfigError(
            "SHOPFERRY_BACKUP_ENCRYPT is for dumps that we take: where SHOPFERRY_BACKUP_COMMAND takes them, let it encrypt them"
        )
    folder = data_dir() / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    started, taken = time.monotonic(), datetime.now(UTC)
    file = folder / f"{settings.route}-{store}-{taken:%Y%m%dT%H%M%S%f}.dump"
    unfinished = file.with_suffix(".part")
    unfinished.touch(mode=0o600)
    try:
        tables = _fill(settings, dsn, store, unfinished)
        size = unfinished.stat().st_size if unfinished.exists() else 0
        if not size:
            raise BackupError(f"the backup of store {store} left no file: SHOPFERRY_BACKUP_COMMAND must write it")
        unfinished.chmod(0o600)
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    with shop.transaction():
        return backups.record(
            shop,
            settings.route,
            store=store,
            reason=reason,
            method="command" if settings.backup_command else "pg_dump",
            file=str(file),
            size=size,
            sha256=compute_checksum(file),
            taken=taken,
            seconds=time.monotonic() - started,
            who=who,
            tables=tables,
            keep_until=taken + timedelta(days=route_settings.load(settings.route).retention.backups),
            encrypted=bool(settings.backup_encrypt),
        )


def _fill(settings: Settings, dsn: str, store: str, file: Path) -> dict[str, int]:
    """Write the backup; returns the rows per table that it holds."""
    with db.connect(dsn, "backup") as conn, conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            tables = count_rows(conn, readable=bool(settings.backup_command))
        except psycopg.errors.InsufficientPrivilege as error:
            raise BackupError(
                f"role {conn.info.user} may not read all of store {store}: {error.diag.message_primary}"
            ) from None
        if not settings.backup_command:
            row = conn.execute("SELECT pg_export_snapshot()").fetchone()
            assert row
            dump.dump(dsn, file, conn.info.server_version, f"--snapshot={row[0]}", encrypt=settings.backup_encrypt)
            return tables
    dump.run_own("SHOPFERRY_BACKUP_COMMAND", settings.backup_command, dsn, file, store)
    return tables


def _try_restore(settings: Settings, made: Backup) -> None:
    file = Path(made.file)
    if made.removed:
        raise BackupError(f"its file was removed at its end, {made.removed:%Y-%m-%d}")
    if not file.exists():
        raise BackupError("its file is not on this machine")
    if compute_checksum(file) != made.sha256:
        raise BackupError("its file is not what was written: the checksum differs")
    if made.encrypted and not settings.backup_decrypt:
        raise BackupError("it is encrypted: say in SHOPFERRY_BACKUP_DECRYPT how to decrypt it")
    if not settings.restore_command and not made.encrypted and not dump.is_archive(file):
        raise BackupError("its file is no dump in custom format: say in SHOPFERRY_RESTORE_COMMAND how to restore it")
    with scratch.create(settings.target_dsn, scratch.name_scratch(settings.route, "restore")) as dsn:
        with db.connect(dsn, "backup") as conn:
            server = conn.info.server_version
        if made.encrypted:
            dump.restore(dsn, file, server, settings.backup_decrypt)
        elif settings.restore_command:
            dump.run_own("SHOPFERRY_RESTORE_COMMAND", settings.restore_command, dsn, file, made.store)
        else:
            dump.restore(dsn, file, server)
        with db.connect(dsn, "backup") as conn:
            restored = count_rows(conn)
    if missing := sorted(set(made.tables) - set(restored)):
        raise BackupError(f"{len(missing)} tables are missing after the restore, the first is {missing[0]}")
    # The team's command has a snapshot of its own, a moment later: only what is empty now and was not is certainly wrong.
    exact = made.method == "pg_dump"
    wrong = [t for t, n in made.tables.items() if (restored[t] != n if exact else n and not restored[t])]
    if wrong:
        first = wrong[0]
        raise BackupError(
            f"{len(wrong)} tables have other rows after the restore, the first is {first}: {restored[first]} instead of "
            f"{made.tables[first]}"
        )


def count_rows(conn: Connection, *, readable: bool = False) -> dict[str, int]:
    """Count the rows of every table that a dump holds, by its qualified name; if `readable`, of those alone that we may read."""
    found = {}
    for schema, table, may_read in conn.execute(_TABLES).fetchall():
        if readable and not may_read:
            continue
        row = conn.execute(SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))).fetchone()
        found[f"{schema}.{table}"] = int(row[0]) if row else 0
    return found


def compute_checksum(file: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
