"""Segments of customers, as the new shop keeps them in `customer_segment`: which there are, and who is in one."""

from __future__ import annotations

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry import db
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.insight.activation_file import Activation, Segment
from shopferry.insight.selects import NUMBER

TABLE = "customer_segment"  # of the new shop's schema: customer_id, scheme, segment


def require_known(shop: Connection, schema: str, activation: Activation) -> None:
    """Raise MappingError with the list of segments where the shop has not the one that an activation names."""
    segment = activation.segment
    if segment is None:
        return
    require_table(shop, schema, activation)
    known = shop.execute(
        SQL("SELECT DISTINCT scheme::text, segment::text FROM {} ORDER BY 1, 2").format(Identifier(schema, TABLE))
    ).fetchall()
    if (segment.scheme, segment.name) not in known:
        listed = ", ".join(f"{scheme}/{name}" for scheme, name in known) or "none: no customer is in any segment yet"
        raise _make_error(activation, f"segment {segment.scheme}/{segment.name} is none of the shop's: {listed}")


def require_table(shop: Connection, schema: str, activation: Activation) -> None:
    """Raise MappingError where an activation names a segment and the shop has no table of segments."""
    if activation.segment and not db.exists(shop, f"{schema}.{TABLE}"):
        raise _make_error(
            activation, f"the new shop has no table {schema}.{TABLE}, so nobody is in a segment: leave the header out"
        )


def compose_within(schema: str, segment: Segment) -> Composed:
    """Compose the condition that a row q is of a customer of the segment."""
    return SQL(
        "EXISTS (SELECT FROM {} s WHERE s.{}::text = q.{}::text AND s.scheme::text = {} AND s.segment::text = {})"
    ).format(
        Identifier(schema, TABLE),
        Identifier(NUMBER),
        Identifier(NUMBER),
        Literal(segment.scheme),
        Literal(segment.name),
    )


def _make_error(activation: Activation, what: str) -> MappingError:
    assert activation.segment
    return MappingError(f"{activation.select.where}:{activation.segment.line}: {what}")
