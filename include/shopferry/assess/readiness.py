"""The servers: can they be reached, may we do what must be done, and is there room for the log to wait for us."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from shopferry import db
from shopferry.assess.constraints import find_immediate_keys
from shopferry.assess.findings import Finding, Severity, read_value
from shopferry.assess.rights import (
    LEGACY,
    SHOP,
    check_legacy_rights,
    check_shop_rights,
    find_closed_schemas,
    read_names,
)
from shopferry.cdc.broker import EndOffsets
from shopferry.db import Connection
from shopferry.errors import ShopferryError
from shopferry.route.route import Route, name_reverse
from shopferry.settings import Settings

OLDEST = 150000  # the first with column lists in publications: mapped columns only
_PATIENCE = "60s"  # for one look: what takes longer is said and left, for the shop is open meanwhile
_OLD_TRANSACTION_S = 600


def reach(dsn: str, subject: str, setting: str) -> tuple[Connection | None, Finding | None]:
    """Open a connection that cannot write, or return the finding that there is none."""
    try:
        conn = db.connect(dsn, "assess")
    except (psycopg.OperationalError, ShopferryError) as error:
        # libpq's hint ("Is the server running …?") stands in a line of its own, behind what has happened.
        text = " ".join(line.strip() for line in str(error).strip().splitlines() if not line.startswith("\t"))
        return None, Finding(
            subject,
            Severity.BLOCKING,
            f"cannot be reached: {text}",
            "nothing can be read or written there",
            f"check {setting} and that the server is up",
        )
    db.make_read_only(conn, _PATIENCE)
    conn.execute("SET row_security = on")  # rows that a policy hides are a finding here, not an error
    return conn, None


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Check whether the broker answers."""
    ends = EndOffsets(settings, ())
    try:
        ends.warm()
    except ShopferryError as error:
        yield Finding(
            "broker",
            Severity.BLOCKING,
            str(error),
            "no change would ever reach the new shop",
            "check SHOPFERRY_KAFKA or connection kafka, and that the broker is up",
        )
    finally:
        ends.close()


def check_legacy(legacy: Connection, route: Route) -> Iterator[Finding]:
    """Version, rights, replication slots and room for the log of the legacy store."""
    version = int(read_value(legacy, "SHOW server_version_num"))
    if version < OLDEST:
        yield Finding(
            LEGACY,
            Severity.BLOCKING,
            f"PostgreSQL {version // 10000} is too old",
            "a publication there cannot be kept to the mapped columns",
            "upgrade to 15 or newer",
        )
    yield from check_legacy_rights(legacy, route)
    if read_value(legacy, "SELECT pg_is_in_recovery()"):
        return
    yield from _check_log(legacy, route)
    yield from _check_transactions(legacy)
    if route.has_way_back:
        back = Route.load(name_reverse(route.name))
        yield from _find_own_code(legacy, back, "legacy", "when the way back merges rows")
        yield from find_immediate_keys(legacy, back.entities, LEGACY, Severity.WARNING)


def _check_log(legacy: Connection, route: Route) -> Iterator[Finding]:
    level = read_value(legacy, "SHOW wal_level")
    if level != "logical":
        yield Finding(
            LEGACY,
            Severity.BLOCKING,
            f"wal_level is {level}, not logical",
            "changes cannot be read from the log",
            "ALTER SYSTEM SET wal_level = logical, then restart",
        )
    ours = route.publication
    has_slot = bool(read_value(legacy, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", ours))
    for what, setting, used in (
        ("replication slots", "max_replication_slots", "SELECT count(*) FROM pg_replication_slots"),
        ("wal senders", "max_wal_senders", "SELECT count(*) FROM pg_stat_replication"),
    ):
        most, taken = int(read_value(legacy, f"SHOW {setting}")), int(read_value(legacy, used))
        if taken >= most and not has_slot:
            yield Finding(
                LEGACY,
                Severity.BLOCKING,
                f"all {most} {what} are in use",
                "the connector could not begin to read",
                f"raise {setting}, restart",
            )
    for name, kept in legacy.execute(
        """SELECT slot_name, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots
           WHERE NOT active AND slot_name <> %s AND pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) > 1073741824""",
        (ours,),
    ):
        yield Finding(
            LEGACY,
            Severity.WARNING,
            f"slot {name} has no reader and keeps {kept} of log",
            "the disk fills without us",
            f"SELECT pg_drop_replication_slot('{name}'), if nobody wants it any more",
        )
    yield from _check_slot_limits(legacy)


def _check_slot_limits(legacy: Connection) -> Iterator[Finding]:
    """Find limits by which a slot fills the disk, or is lost while its connector is away."""
    if read_value(legacy, "SHOW max_slot_wal_keep_size") == "-1":
        yield Finding(
            LEGACY,
            Severity.NOTE,
            "max_slot_wal_keep_size is unlimited",
            "a stopped connector fills the disk",
            "set it to what the disk can spare, and watch the slot",
        )
    idle = read_value(legacy, "SELECT setting::int FROM pg_settings WHERE name = 'idle_replication_slot_timeout'")
    if idle:
        yield Finding(
            LEGACY,
            Severity.WARNING,
            f"idle_replication_slot_timeout is {idle} s",
            "a connector that is away for longer loses its slot, and all must be copied anew",
            "set it to 0 until the move is done",
        )


def _check_transactions(legacy: Connection) -> Iterator[Finding]:
    open_ones = read_value(
        legacy,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND xact_start < now() - make_interval(secs => %s)",
        _OLD_TRANSACTION_S,
    )
    if open_ones:
        yield Finding(
            LEGACY,
            Severity.WARNING,
            "transactions have been open for more than ten minutes",
            "a new slot waits for each of them, and so does the lock of the cutover",
            "find them in pg_stat_activity and end them before the first phase",
            int(open_ones),
        )
    prepared = read_value(legacy, "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()")
    if prepared:
        yield Finding(
            LEGACY,
            Severity.WARNING,
            "prepared transactions are waiting",
            "a new slot waits for each of them",
            "COMMIT PREPARED or ROLLBACK PREPARED them: pg_prepared_xacts names them",
            int(prepared),
        )


def _find_own_code(conn: Connection, route: Route, store: str, when: str) -> Iterator[Finding]:
    """Triggers and rules of the tables that the route writes: what they do, they do for every row that we write too."""
    rows = conn.execute(
        """SELECT n.nspname || '.' || c.relname, array_agg(what ORDER BY what)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (
               SELECT 'trigger ' || t.tgname FROM pg_trigger t
               WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgname !~ '^shopferry_'
               UNION ALL SELECT 'rule ' || r.rulename FROM pg_rewrite r
               WHERE r.ev_class = c.oid AND r.ev_type <> '1' AND r.ev_enabled IN ('O', 'A')) own (what)
           WHERE n.nspname || '.' || c.relname = ANY(%s) GROUP BY 1 ORDER BY 1""",
        (route.entities,),
    ).fetchall()
    for table, what in rows:
        yield Finding(
            f"{store} table {table}",
            Severity.WARNING,
            f"runs code of its own {when}: {', '.join(what)}",
            "a mail that it sends goes out for every row that is moved, and what it makes of a row verification finds to differ",
            "have it return at once where current_setting('shopferry.writer', true) = 'ferry', as all our writes say",
        )


def check_shop(shop: Connection, route: Route) -> Iterator[Finding]:
    """Rights in the new shop, whether its tables are there and empty, and what they do by themselves."""
    role, _ = read_names(shop)
    yield from check_shop_rights(shop, route)
    if (encoding := read_value(shop, "SHOW server_encoding")) != "UTF8":
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            f"the encoding is {encoding}, not UTF8",
            "it cannot hold every text",
            "create the database with ENCODING 'UTF8'",
        )
    if closed := list(find_closed_schemas(shop, route.shop_tables)):
        yield from closed
        return
    yield from _find_own_code(shop, route, "new shop's", "when rows are merged")
    begun = db.exists(shop, "ferry.identity") and bool(read_value(shop, "SELECT EXISTS (SELECT FROM ferry.chunk)"))
    for entity in route.entities:
        yield from _check_entity(shop, entity, role, begun=begun)
    yield from find_immediate_keys(shop, route.entities, SHOP, Severity.BLOCKING)


def _check_entity(shop: Connection, entity: str, role: str, *, begun: bool) -> Iterator[Finding]:
    """Find whether one table of the new shop is there, is ours to close, and is empty before anything was moved."""
    if not db.exists(shop, entity):
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            f"table {entity} does not exist",
            "its rows have nowhere to go",
            "create the new shop's tables first",
        )
        return
    if not read_value(shop, "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s)", entity):
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            f"role {role} does not own {entity}",
            "so it cannot fence it",
            f"ALTER TABLE {entity} OWNER TO {role}, or grant the owner's role",
        )
        return
    if not begun and read_value(shop, f"SELECT EXISTS (SELECT FROM {entity})"):
        yield Finding(
            SHOP,
            Severity.WARNING,
            f"{entity} has rows already, before anything was moved",
            "they are nobody's that the mappings know: the merge replaces those whose keys it needs; the others stay as they "
            "are, and are not compared",
            "empty the table, or make sure that their keys are not those of legacy",
        )
