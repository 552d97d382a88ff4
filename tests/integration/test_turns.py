"""What a cutover and a rollback leave in the control tables."""

from __future__ import annotations

import pytest
import turns
from pair import Pair, connect, read_dsn


@pytest.mark.fresh
def test_what_was_known_of_rows_that_the_way_back_has_deleted_is_forgotten(pair: Pair) -> None:
    pair.write(
        "INSERT INTO customers (id, email, full_name, created_at) VALUES "
        "(2, 'jan.kot@example.com', 'Jan Kotarski', '2015-01-01'), (3, 'jan.kot@example.com', 'Jan Kotarski', '2016-01-01')",
        "INSERT INTO addresses (id, customer_id, street) VALUES (11, 99, 'Jasna 1')",
    )
    pair.pass_phases()
    left = "SELECT row_key FROM ferry.left_out WHERE reason = 'merged_duplicate'"
    held = "SELECT row_key FROM ferry.quarantine WHERE entity = 'shop.customer_address'"
    assert (pair.ask(left), pair.ask(held)) == ([("3",)], [("11",)])
    with turns.armed(pair) as back:
        turns.cut_over(pair, back)
        with connect(read_dsn(pair.shop)) as shop:
            shop.execute("DELETE FROM shop.consent")
            shop.execute("DELETE FROM shop.customer_account")
            shop.execute("DELETE FROM shop.customer")
        back.sync()
        turns.roll_back(pair, back)
    assert pair.ask(left) == []
    assert pair.ask(held) == [("11",)]  # legacy has it still
    pair.write("DELETE FROM addresses WHERE id = 11")
    pair.sync()
    pair.check()
