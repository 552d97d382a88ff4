"""Every advisory lock of the engine stands in one module, but for the one that a statement takes for many clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
import shopferry
from shopferry.control import locks

PACKAGE = Path(shopferry.__file__).parent
APART = {"control/locks.py", "control/sql/identity.sql"}


def test_no_other_module_takes_an_advisory_lock() -> None:
    files = [f for f in PACKAGE.rglob("*") if f.suffix in {".py", ".sql"}]
    assert {str(f.relative_to(PACKAGE)) for f in files if "_advisory_" in f.read_text()} == APART


def test_the_clusters_lock_has_the_key_that_the_order_names() -> None:
    assert f"hashtext('{locks.CLUSTER}' ||" in (PACKAGE / "control/sql/identity.sql").read_text()


@pytest.mark.parametrize(
    ("name", "key"),
    [("SWITCH", 0x5F20), ("SCHEMA", 0x5F0F), ("PLAN", 0x5F10), ("SYNC", "sync forward "), ("PROPAGATE", "propagate ")],
)
def test_two_versions_side_by_side_exclude_each_other(name: str, key: int | str) -> None:
    assert getattr(locks, name) == key
