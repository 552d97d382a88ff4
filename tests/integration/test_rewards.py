"""Rewards and promotions: what is owed stays owed on both ways, and ends on its day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import turns
from pair import Pair
from shopferry.control import installed_settings
from shopferry.engine import clock
from shopferry.insight import derived
from shopferry.route.settings import INACTIVE_SINCE

FIRST = date(2030, 1, 1)
ROWS = (
    "INSERT INTO customers (id, email, full_name, created_at) VALUES "
    "(1, 'ewa@example.com', 'Ewa Lis', '2010-01-01'), (2, 'jan@example.com', 'Jan Kot', '2010-01-01')",
    "INSERT INTO loyalty_rewards (id, customer_id, code, reward, points, earned_at, valid_until, taken_at, state, order_id) "
    "VALUES "
    "(1, 1, 'R-1', 'Kubek&nbsp;', -40, '2019-05-01', '10.01.2030', NULL, 'o', 77), "
    "(2, 1, NULL, 'Bon', 40, '2019-05-01', NULL, NULL, NULL, 0), "
    "(3, 1, ' ', 'Bon', 40, '2019-05-01', '0000-00-00', '2019-06-01', ' ', NULL), "
    "(4, 2, 'R-4', 'Bon', 40, '2019-05-01', 'koniec roku', NULL, 'O', 0)",
    "INSERT INTO promotions (id, code, kind, value, currency, min_order, valid_from, valid_to, max_uses, used) VALUES "
    "(1, 'lato ', 'proc.', 10.004, 'zł', NULL, '1.6.2020', '2099-12-31', NULL, NULL), "
    "(2, 'ZIMA', '?', 5, NULL, 0, NULL, NULL, 0, 3)",
)
TABLES = ("loyalty_rewards", "promotions")


@pytest.fixture
def moved(pair: Pair) -> Iterator[Pair]:
    pair.write(*ROWS)
    pair.sync()
    clock.put(pair.shop, FIRST)
    pair.pass_phases()
    yield pair
    clock.put(pair.shop, date(2026, 1, 1))


def read(pair: Pair) -> list[list[tuple[object, ...]]]:
    return [
        pair.legacy.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY id".encode()).fetchall() for table in TABLES
    ]


def test_a_profile_counts_the_rewards_that_may_still_be_taken_and_a_tick_ends_them(moved: Pair) -> None:
    counted = "SELECT p.rewards_open FROM shop.customer_profile p JOIN shop.customer c ON c.id = p.customer_id ORDER BY c.email"
    assert moved.ask(counted) == [(2,), (0,)]
    derived.tick(moved.stores, FIRST + timedelta(days=9))  # the last day counts
    assert moved.ask(counted) == [(2,), (0,)]
    assert derived.tick(moved.stores, FIRST + timedelta(days=10)).merged == 1
    assert moved.ask(counted) == [(1,), (0,)]
    moved.write("UPDATE loyalty_rewards SET state = 'W', taken_at = '2026-01-01' WHERE id = 2")
    moved.sync()
    assert moved.ask(counted) == [(0,), (0,)]
    moved.check()


@pytest.mark.fresh
def test_what_was_not_touched_is_in_legacy_as_it_was_written_and_what_the_new_shop_did_is_there(moved: Pair) -> None:
    written = read(moved)
    with turns.armed(moved) as back:
        turns.cut_over(moved, back)
        for status in ("blocked", "active"):
            back.write(f"UPDATE shop.customer SET status = '{status}'")
            back.sync()
        back.write("UPDATE shop.promotion SET uses = uses + 1", "UPDATE shop.promotion SET uses = uses - 1")
        back.sync()
        assert read(moved)[0] == written[0]
        back.write(
            "UPDATE shop.loyalty_reward SET state = 'taken', taken_at = '2026-02-01 12:00+01' WHERE id = 2",
            "INSERT INTO shop.loyalty_reward (customer_id, code, reward, points, state, earned_at, valid_until) "
            "SELECT id, 'N-5', 'Torba', 30, 'open', '2026-01-01 12:00+01', '2027-01-01' "
            "FROM shop.customer WHERE email LIKE 'jan%'",
            "UPDATE shop.promotion SET uses = uses + 1 WHERE code = 'LATO'",
            "INSERT INTO shop.promotion (code, kind, value, currency) VALUES ('NOWA', 'amount', 20, 'PLN')",
        )
        back.sync()
        rewards, promotions = read(moved)
        assert [r for (r,) in rewards][:4:2] == [r for (r,) in written[0]][:4:2]
        assert (rewards[1][0]["state"], rewards[1][0]["taken_at"]) == ("W", "2026-02-01T12:00:00")
        assert rewards[4][0] == {
            "id": 5,
            "customer_id": 2,
            "code": "N-5",
            "reward": "Torba",
            "points": 30,
            "earned_at": "2026-01-01T12:00:00",
            "valid_until": "2027-01-01",
            "taken_at": None,
            "state": "O",
            "order_id": 0,
        }
        assert promotions[0][0] == {**written[1][0][0], "used": 1}
        assert promotions[1] == written[1][1]  # it waits in quarantine, and nobody touches it
        assert (promotions[2][0]["code"], promotions[2][0]["kind"], promotions[2][0]["used"]) == ("NOWA", "amount", 0)
        turns.roll_back(moved, back)
    moved.check()


def test_an_account_that_is_owed_a_reward_is_not_left_behind_as_inactive(pair: Pair) -> None:
    installed_settings.replace(pair.shop, INACTIVE_SINCE, "2021-01-01")
    pair.write(*ROWS, "UPDATE loyalty_rewards SET valid_until = '2020-12-31' WHERE customer_id = 2")
    pair.sync()
    pair.pass_phases()
    behind = "SELECT row_key FROM ferry.left_out WHERE entity = 'shop.customer' AND reason = 'inactive_by_policy'"
    assert pair.ask(behind) == [("2",)]
    pair.write("UPDATE loyalty_rewards SET valid_until = NULL WHERE customer_id = 2")
    pair.sync()
    assert pair.ask(behind) == []
    pair.write("UPDATE loyalty_rewards SET state = 'X'")
    pair.sync()
    assert pair.ask(behind + " ORDER BY row_key::int") == [("1",), ("2",)]
    pair.check()
