"""An event that is too large for the broker is cut to one by which replay reads the whole row again."""

from __future__ import annotations

import json
from typing import Any

from shopferry.cdc.envelope import Message, decode
from shopferry.stack.publisher import cut_to_fit

SOURCE = {"schema": "public", "table": "t", "lsn": 7, "ts_ms": 1, "txId": 3, "origin": "shopferry_demo_1"}


def cut(after: dict[str, Any], op: str = "u") -> tuple[bytes, Any]:
    """The event of this row as it was and as it is sent, the latter decoded."""
    value = json.dumps({"op": op, "before": {"id": 1, "note": "x" * 70_000}, "after": after, "source": SOURCE}).encode()
    short = cut_to_fit(value)
    return short, decode(Message("demo.public.t", 0, 5, b'{"id":1}', short), frozenset({"t"}))


def test_long_values_are_left_out_and_the_row_is_to_be_read_again() -> None:
    short, change = cut({"id": 1, "note": "x" * 20_000_000, "many": ["y" * 1000] * 100, "small": "z" * 60_000})
    assert len(short) < 100_000
    assert change.partial and change.born  # by these two replay reads it again
    row = json.loads(change.row)
    assert (row["id"], row["small"]) == (1, "z" * 60_000)
    assert row["note"] == row["many"] == "__debezium_unavailable_value"


def test_what_the_event_is_of_stays() -> None:
    _, change = cut({"id": 1, "note": "x" * 20_000_000})
    assert (change.key, change.lsn, change.xid, change.echo) == (b'{"id":1}', 7, 3, True)
