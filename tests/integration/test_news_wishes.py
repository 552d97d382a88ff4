"""How often news may come and what about: never is a refusal in every place that asks, and what is said goes back to legacy."""

from __future__ import annotations

import pytest
import turns
from pair import ROUTE, Pair
from shopferry.db import load_queries
from shopferry.report import audience
from shopferry.settings import SQL_ROOT

PEOPLE = (
    "INSERT INTO customers (id, email, full_name, newsletter, news_frequency, news_topics, created_at) VALUES "
    "(1, 'ewa@example.com', 'Ewa Lis', NULL, 'tyg.', 'Dom; BOOKS', '2015-01-01'), "
    "(2, 'jan@example.com', 'Jan Kot', NULL, 'Nigdy', NULL, '2015-01-01'), "
    "(3, 'ola@example.com', 'Ola Wilk', NULL, NULL, NULL, '2015-01-01'), "
    # One person with two accounts, and one who has left and shares the e-mail.
    "(4, 'iza@example.com', 'Iza Sowa', NULL, NULL, 'toys', '2015-01-01'), "
    "(5, 'Iza@example.com', 'Iza Sowa', NULL, 'M', 'sale, xyz', '2016-01-01'), "
    "(6, 'ula@example.com', 'Ula Lis', NULL, 'W', NULL, '2015-01-01'), "
    "(7, 'ULA@example.com', 'Ula Lis', NULL, 'never', NULL, '2016-01-01')",
    "UPDATE customers SET deleted = 'T' WHERE id = 7",
    "INSERT INTO consents (customer_id, channel, granted, granted_at, wording) "
    "SELECT id, 'email', 'T', '2019-01-01', 'v1' FROM customers WHERE id <> 7",
    "INSERT INTO consents (customer_id, channel, granted, granted_at, wording) VALUES (2, 'post', 'T', '2019-01-01', 'v1')",
    "INSERT INTO addresses (customer_id, street, city, postcode, country) VALUES (2, 'Polna 1', 'Warszawa', '00-001', 'PL')",
)
WISHES = "SELECT id, news_frequency, news_topics FROM customers ORDER BY id"


def move(pair: Pair) -> None:
    pair.write(*PEOPLE)
    pair.sync()
    pair.pass_phases()


def say(back: Pair, account: int, frequency: str | None, topics: str | None = None) -> None:
    """What the new shop's page of settings does."""
    back.legacy.execute(
        "INSERT INTO shop.communication_preference AS w (customer_id, channel, wanted, frequency, topics) "
        "SELECT customer_id, 'email', CASE WHEN %(frequency)s = 'never' THEN false END, %(frequency)s, %(topics)s::text[] "
        "FROM shop.customer_account WHERE legacy_customer_id = %(account)s ON CONFLICT (customer_id, channel) DO UPDATE "
        "SET wanted = coalesce(EXCLUDED.wanted, w.wanted), frequency = EXCLUDED.frequency, topics = EXCLUDED.topics",
        {"account": account, "frequency": frequency, "topics": topics},
    )


def find_addressed(pair: Pair, channel: str) -> set[int]:
    """Whom the new shop may write to, by legacy's number, wherever that is asked; all answers must be the same."""
    of = "SELECT c.legacy_customer_id FROM {} JOIN shop.customer c ON c.id = x.customer_id WHERE {}"
    asked = (
        ("shop.audience x", f"x.purpose = 'marketing' AND x.channel = '{channel}'"),
        ("shop.customer_profile x", f"'{channel}' = ANY (x.reachable_channels)"),
    )
    queries = load_queries(SQL_ROOT / "demo" / "activation.sql")
    allowed = set(pair.ask(queries["audience"].rstrip("; \n")))
    refused = set(pair.ask(queries["refused"].rstrip("; \n")))
    numbers = dict(pair.ask("SELECT id, legacy_customer_id FROM shop.customer"))
    found = [{n for (n,) in pair.ask(of.format(*parts))} for parts in asked]
    found.append(
        {
            numbers[who]
            for who, purpose, by, _ in allowed
            if (purpose, by) == ("marketing", channel) and (who, purpose, by) not in refused
        }
    )
    assert found[0] == found[1] == found[2]
    return found[0]


def test_never_is_a_refusal_wherever_somebody_asks_and_of_its_channel_alone(pair: Pair) -> None:
    move(pair)
    assert find_addressed(pair, "email") == {1, 3, 4}
    assert find_addressed(pair, "post") == {2}
    loaded = audience.load(ROUTE)
    assert loaded
    [email] = [a for a in audience.answer(pair.shop, loaded.query, ROUTE.name) if a.channel == "email"]
    assert email.balanced and {s.what: s.people for s in email.steps} == {"refused: wants no news": -2}
    pair.write("UPDATE customers SET news_frequency = 'W' WHERE id = 2", "DELETE FROM customers WHERE id = 7")
    pair.sync()
    assert find_addressed(pair, "email") == {1, 2, 3, 4, 6}
    pair.write("UPDATE customers SET news_frequency = '0' WHERE id = 5")
    pair.sync()
    assert find_addressed(pair, "email") == {1, 2, 3, 6}
    pair.check()


def test_silence_is_no_wish(pair: Pair) -> None:
    move(pair)
    pair.write("DELETE FROM consents WHERE customer_id IN (1, 3)")
    pair.sync()
    held = pair.ask(
        "SELECT c.legacy_customer_id, w.wanted, w.frequency FROM shop.communication_preference w "
        "JOIN shop.customer c ON c.id = w.customer_id WHERE c.legacy_customer_id IN (1, 3)"
    )
    assert held == [(1, None, "weekly")]
    assert find_addressed(pair, "email") == {4}


@pytest.mark.fresh
def test_what_is_said_in_the_new_shop_is_in_legacy_after_a_rollback_and_all_else_is_as_it_was_written(
    pair: Pair,
) -> None:
    move(pair)
    written = pair.legacy.execute(WISHES.encode()).fetchall()
    with turns.armed(pair) as back:
        turns.cut_over(pair, back)
        back.legacy.execute("UPDATE shop.customer SET phone = '+48601234567'")  # every account is merged
        back.sync()
        assert pair.legacy.execute(WISHES.encode()).fetchall() == written
        say(back, 1, "weekly", "{books,home}")  # what stands there already, in other words
        say(back, 2, "all", "{offers}")
        say(back, 3, "never")
        say(back, 4, "weekly", "{home}")
        back.sync()
        told = {
            **{row[0]: row for row in written},
            2: (2, "all", "offers"),
            3: (3, "never", None),
            4: (4, "weekly", "home"),
            5: (5, "weekly", "home"),
        }
        assert pair.legacy.execute(WISHES.encode()).fetchall() == [told[key] for key in sorted(told)]
        turns.roll_back(pair, back)
    assert find_addressed(pair, "email") == {1, 2, 4}
    assert pair.one("SELECT count(*) FROM shop.communication_preference WHERE source IS NULL") == 0
    pair.check()
