"""Whether a write ever comes back to the store that took it: each row that a flow writes is noted where it stands.

A flow may write the store that is closed, and has to. What it writes into the open one would be the application's own
change, come back round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.sql import SQL, Identifier, Literal
from shopferry import db
from shopferry.route.route import Route
from shopferry.settings import Settings

_NOTES = """
CREATE SCHEMA drill;
CREATE TABLE drill.carried (at timestamptz NOT NULL DEFAULT clock_timestamp(), relation text NOT NULL);
CREATE FUNCTION drill.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF pg_replication_origin_session_is_setup() THEN
        INSERT INTO drill.carried (relation) VALUES (TG_RELID::regclass::text);
    END IF;
    RETURN NULL;
END $$;
GRANT USAGE ON SCHEMA drill TO PUBLIC;
"""


@dataclass(frozen=True)
class Stay:
    """From when until when a store was the open one."""

    store: str
    since: datetime
    until: datetime


def watch(settings: Settings) -> None:
    """Note from now on what flows write into either store."""
    route = Route.load(settings.route)
    for dsn, tables in (
        (settings.source_dsn, route.legacy_tables),
        (settings.target_dsn, route.shop_tables),
    ):
        with db.connect(dsn, "drill") as conn:
            conn.execute(_NOTES.encode())
            for table in tables:
                conn.execute(
                    SQL(
                        "CREATE TRIGGER drill AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION drill.note()"
                    ).format(Identifier(*table.split(".")))
                )


def counted(settings: Settings, stays: Sequence[Stay]) -> tuple[int, int]:
    """(rows carried into a store that was closed, rows that a flow wrote into the open one) while these stays lasted."""
    carried = returned = 0
    for dsn, store in ((settings.source_dsn, "legacy"), (settings.target_dsn, "shop")):
        with db.connect(dsn, "drill") as conn:
            for stay in stays:
                [(rows,)] = conn.execute(
                    SQL("SELECT count(*) FROM drill.carried WHERE at BETWEEN {} AND {}").format(
                        Literal(stay.since), Literal(stay.until)
                    )
                ).fetchall()
                if stay.store == store:
                    returned += int(rows)
                else:
                    carried += int(rows)
    return carried, returned
