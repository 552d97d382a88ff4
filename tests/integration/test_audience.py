"""The audience: who may be written to, by channel, and who is lost for what, to the person."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pair import ROUTE, Pair
from shopferry.errors import MappingError
from shopferry.privacy import consents
from shopferry.report import audience
from shopferry.report.audience import Audience
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT

PEOPLE = """
INSERT INTO customers (id, email, full_name, phone, bill_country, newsletter, newsletter_date, active, deleted, created_at) VALUES
    (1, 'ewa@example.com', 'Ewa Lis', '601234567', 'PL', 'N', NULL, 'T', 'N', '2015-01-01'),
    (2, 'jan@example.com', 'Jan Kot', NULL, 'PL', 'T', '2012-01-01', 'T', 'N', '2015-01-01'),
    (3, 'blocked@example.com', 'Ola Wilk', '601234568', 'PL', 'N', NULL, 'N', 'N', '2015-01-01'),
    (4, 'gone@example.com', 'Iza Sowa', '601234569', 'PL', 'T', '2012-01-01', 'T', 'T', '2015-01-01'),
    (5, 'no address', 'Adam Bez', '601234560', 'PL', 'N', NULL, 'T', 'N', '2015-01-01'),
    (6, 'piotr@example.com', 'Piotr Nie', '601234561', 'PL', 'N', '2024-02-02', 'T', 'N', '2015-01-01');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, withdrawn_at, confirmed_at) VALUES
    (1, 1, 'email', 'T', '2019-01-01', 'v1', NULL, NULL),
    (2, 1, 'sms', 'T', '2019-01-01', NULL, NULL, NULL),
    (3, 2, 'phone', 'T', '2019-01-01', 'v1', NULL, NULL),
    (4, 3, 'email', 'T', '2019-01-01', 'v1', NULL, NULL),
    (5, 4, 'email', 'T', '2019-01-01', 'v1', NULL, NULL),
    (6, 5, 'email', 'T', '2019-01-01', 'v1', NULL, NULL),
    (7, 6, 'email', 'T', '2019-01-01', 'v1', NULL, NULL),
    (8, 1, 'post', 'T', '2019-01-01', 'v1', '2020-01-01', NULL),
    (9, 2, 'email', 'T', '2025-01-01', 'v7', NULL, NULL)
"""


def ask(pair: Pair) -> dict[str, Audience]:
    loaded = audience.load(ROUTE)
    assert loaded and loaded.phase == "contacts"
    return {a.channel: a for a in audience.answer(pair.shop, loaded.query, ROUTE.name)}


def test_each_person_is_lost_by_one_step_and_the_steps_add_up(pair: Pair) -> None:
    pair.write(*PEOPLE.strip().split(";\n"))
    pair.pass_phases()
    found = ask(pair)
    assert all(a.balanced for a in found.values())
    email = found["email"]
    assert (email.said, email.may) == (5, 1)  # the deleted one was written to by nobody
    assert {s.what: s.people for s in email.steps} == {
        "no customer here: in quarantine, or left out": -1,
        "not confirmed": -1,
        "refused: refused_for_address": -1,
        "not reachable: blocked": -1,
    }
    assert [(s.what, s.people) for s in found["sms"].steps] == [("not proven: wording_missing", -1)]
    assert [(s.what, s.people) for s in found["phone"].steps] == [("not reachable: no address", -1)]
    assert "post" not in found
    assert pair.ask("SELECT email FROM shop.audience JOIN shop.customer c ON c.id = customer_id") == [
        ("ewa@example.com",)
    ]


def test_who_gave_a_consent_for_a_period_is_written_to_until_it_ends(pair: Pair) -> None:
    pair.write(
        "INSERT INTO customers (id, email, full_name, newsletter, created_at) VALUES "
        "(1, 'ewa@example.com', 'Ewa Lis', NULL, '2015-01-01'), (2, 'iza@example.com', 'Iza Sowa', NULL, '2015-01-01')",
        "UPDATE consent_texts SET keep_months = 24 WHERE version = 'v1'",
        "INSERT INTO consents (customer_id, channel, granted, granted_at, wording) VALUES "
        "(1, 'email', 'T', now() - interval '23 months', 'v1'), (2, 'email', 'T', now() - interval '25 months', 'v1')",
    )
    pair.pass_phases()
    [email] = ask(pair).values()
    assert email.balanced and (email.said, email.may) == (2, 1)
    assert [(s.what, s.people) for s in email.steps] == [("expired: its text gave it a period", -1)]
    shown = []
    for account in (1, 2):
        with pair.shop.transaction():
            shown.append(consents.read(pair.shop, ROUTE, f"legacy:{account}"))
    assert [c.state[0].state for c in shown] == ["granted", "expired"]
    assert [[a.act for a in c.chain] for c in shown] == [["granted"], ["granted", "expired"]]


def test_it_adds_up_for_a_whole_shop_with_its_defects(filled: Pair) -> None:
    filled.pass_phases()
    found = ask(filled)
    assert set(found) == {"email", "sms", "phone", "post"}
    for channel, a in found.items():
        assert a.balanced, a
        assert a.said > a.may > 0, a
        granted = filled.one(
            "SELECT count(DISTINCT customer_id) FROM shop.consent s JOIN shop.customer c ON c.id = s.customer_id "
            "WHERE s.state = 'granted' AND c.status = 'active' AND s.channel::text = %s",
            channel,
        )
        assert a.may <= granted


def test_the_rules_are_those_by_which_the_mapping_judges() -> None:
    loaded = audience.load(ROUTE)
    assert loaded
    reasons = [rule.reason for rule in loaded.rules]
    [mapping] = [u for u in ROUTE.units if u.name == "contacts/consent"]
    judged = mapping.body.partition("reasoned AS (")[2].partition("AS account_why")[0]
    assert reasons == re.findall(r"THEN '([a-z_]+)'", judged)
    assert len(reasons) > 10 and all(rule.wants for rule in loaded.rules)


def test_rules_of_no_mapping_are_refused(tmp_path: Path) -> None:
    route = shutil.copytree(Path(SQL_ROOT) / "demo", tmp_path / "demo")
    file = route / "audience.sql"
    file.write_text(file.read_text().replace("-- rules: contacts/consent", "-- rules: contacts/none"))
    with pytest.raises(MappingError, match=r"demo/audience\.sql:2: rules: contacts/none: wants <phase>/<mapping>"):
        audience.load(Route.load("demo", tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT 'email' AS channel, 1 AS step, 'all' AS what", "wants the columns channel, step, what and people"),
        ("SELECT channel, 1 AS step, 'all' AS what, 1 AS people FROM shop.nobody", "shop.nobody"),
    ],
)
def test_a_question_that_cannot_be_answered_is_named(pair: Pair, query: str, says: str) -> None:
    with pytest.raises(MappingError, match=rf"demo/audience\.sql: .*{says}"):
        audience.answer(pair.shop, query, "demo")


def test_steps_that_do_not_add_up_are_told(pair: Pair) -> None:
    [found] = audience.answer(
        pair.shop,
        "SELECT * FROM (VALUES ('sms', 1, 'yes', 5), ('sms', 3, 'no', 1), ('sms', 9, 'may', 3)) x (channel, step, what, people)",
        "demo",
    )
    assert not found.balanced
