"""Backfill: a generated shop with all its defects goes through the phases; chunks die, come late and come again."""

from __future__ import annotations

import psycopg
import pytest
from pair import ROUTE, Pair, connect
from shopferry import backfill
from shopferry.backfill import Stores
from shopferry.control import chunks


def test_a_generated_shop_passes_all_phases_and_every_row_is_accounted_for(filled: Pair) -> None:
    filled.pass_phases()
    for phase in ROUTE.phases:
        outcome = filled.verify(phase)
        assert outcome.clean, outcome.differences
        for entry in outcome.accounts:
            assert entry.legacy_rows == entry.migrated + entry.quarantined + sum(entry.left_out.values())
            assert entry.legacy_rows > 0
    filled.check()
