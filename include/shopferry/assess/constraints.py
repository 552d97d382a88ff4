"""Foreign keys of a store that is written: those that are checked at once keep a parent when it goes before its children."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shopferry.assess.findings import Finding, Severity
from shopferry.db import Connection


def find_immediate_keys(conn: Connection, tables: Sequence[str], subject: str, severity: Severity) -> Iterator[Finding]:
    """Find foreign keys between these tables that cannot wait for the end of a transaction.

    A merge deletes a parent and recomputes its children in one transaction, and writes them in the order of the mappings.
    """
    rows = conn.execute(
        """SELECT c.conrelid::regclass::text, c.confrelid::regclass::text, quote_ident(c.conname)
           FROM pg_constraint c
           WHERE c.contype = 'f' AND NOT c.condeferrable AND c.conparentid = 0
           AND c.conrelid = ANY (SELECT to_regclass(t) FROM unnest(%(tables)s::text[]) t)
           AND c.confrelid = ANY (SELECT to_regclass(t) FROM unnest(%(tables)s::text[]) t) ORDER BY 1, 3""",
        {"tables": list(tables)},
    ).fetchall()
    for child, parent, name in rows:
        yield Finding(
            subject,
            severity,
            f"foreign key {name} of {child} to {parent} is checked at once",
            f"a row of {parent} that goes while rows of {child} still name it waits in quarantine, and they stay with it",
            f"ALTER TABLE {child} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED",
        )
