"""What a route asks of its legacy store in SQL: each question finds its defect, and one that is wrong is named."""

# ruff: noqa: F811 - a fixture of another file is asked for by its name
from __future__ import annotations

import re
from pathlib import Path

import pytest
from pair import ROUTE
from shopferry.assess import own_checks, readiness
from shopferry.errors import MappingError
from test_assess import NOTE, WARNING, Stores, clean_template, no_broker, stores_  # noqa: F401

CHECKS = {  # what the demo route asks in SQL: (statement that makes it, rows)
    "blanks_around": ("UPDATE customers SET phone = ' 601234001' WHERE id = 1", 1),
    "card_numbers_in_notes": ("UPDATE orders SET note = 'karta 4111 1111 1111 1111' WHERE id = 1", 1),
    "channels_unknown": ("UPDATE consents SET channel = 'fax' WHERE id = 1", 1),
    "consents_without_proof": ("UPDATE consents SET wording = NULL WHERE id < 3", 2),
    "currencies": ("UPDATE orders SET currency = 'eur' WHERE id = 1", 5),
    "dates_implausible": ("UPDATE orders SET created_at = '1970-01-01' WHERE id = 1", 1),
    "guests_with_account": ("UPDATE orders SET customer_id = 0 WHERE id = 1", 1),
    "login_is_not_email": ("UPDATE customers SET login = 'jan' WHERE id = 1", 1),
    "names_too_long": ("UPDATE customers SET full_name = repeat('Jan ', 40) WHERE id = 1", 1),
    "newsletter_flags": ("UPDATE customers SET newsletter = 'T' WHERE id = 1; DELETE FROM consents WHERE id = 1", 1),
    "news_wishes_unread": ("UPDATE customers SET news_frequency = 'czasem', news_topics = 'dom;xyz' WHERE id = 1", 2),
    "numbers_twice": ("UPDATE orders SET number = 'N1' WHERE id = 2", 2),
    "password_schemes": ("UPDATE customers SET pass_hash = repeat('a', 32) WHERE id = 1", 5),
    "passwords_nobody_can_verify": ("UPDATE customers SET pass_hash = 'tajne' WHERE id = 1", 1),
    "phones_shared": ("UPDATE customers SET phone = '601 234 002' WHERE id = 1", 2),
    "points_differ": ("UPDATE loyalty_accounts SET points = 8 WHERE id = 1", 1),
    "promotions_twice": ("INSERT INTO promotions (code) VALUES ('LATO'), ('lato ')", 1),
    "silent_accounts": (
        "UPDATE customers SET created_at = '2011-01-01', last_login = NULL WHERE id = 1; "
        "DELETE FROM orders WHERE customer_id = 1; "
        "UPDATE consents SET granted_at = '2012-01-01', withdrawn_at = NULL WHERE customer_id = 1; "
        "DELETE FROM loyalty_accounts WHERE customer_id = 1",
        1,
    ),
    "totals_differ": ("UPDATE orders SET total = 9.99 WHERE id = 1", 1),
    "towns_without_capitals": ("UPDATE addresses SET city = 'warszawa' WHERE id = 1", 1),
}


def test_every_check_of_the_demo_route_is_tried() -> None:
    assert set(CHECKS) == {Path(c.file).stem for c in own_checks.load(ROUTE)}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_a_check_of_the_route_finds_its_defect(stores_: Stores, name: str) -> None:
    statement, rows = CHECKS[name]
    (check,) = [c for c in own_checks.load(ROUTE) if Path(c.file).stem == name]
    before = list(own_checks.run(stores_.legacy, check))
    assert not before or before[0].severity is NOTE, "only counts of groups are there without a defect"
    stores_.legacy.execute(statement.encode())
    (after,) = own_checks.run(stores_.legacy, check)
    assert (after.count, after.severity) == (rows, check.severity)
    assert [after] != before
    assert not any(re.search(r"[a-wyzA-WYZ0-8]", e.masked) for e in after.examples), "examples are shapes"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "-- severity: note\n-- consequence: c\n-- remedy: r\nSELECT 'a', 'b'",
            ":1: header line `-- finding:` is missing",
        ),
        (
            "-- finding: f\n-- severity: bad\n-- consequence: c\n-- remedy: r\nSELECT 1",
            ":2: severity is one of blocking",
        ),
        ("-- finding: f\n-- severity: note\n-- consequence: c\n-- remedy: r\n", ":1: there is no SELECT"),
    ],
)
def test_a_check_that_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "demo" / "assess" / "odd.sql"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(MappingError, match=re.escape(f"demo/assess/odd.sql{says}")):
        own_checks.load(ROUTE, tmp_path)


def test_a_check_that_does_not_run_does_not_hide_the_others(stores_: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = own_checks.OwnCheck("demo/assess/odd.sql", "odd", "f", WARNING, "c", "r", "SELECT nonsense, 1")
    slow = own_checks.OwnCheck("demo/assess/slow.sql", "slow", "f", WARNING, "c", "r", "SELECT pg_sleep(9)::text, ''")
    monkeypatch.setattr(own_checks, "load", lambda route: (odd, slow))
    monkeypatch.setattr(readiness, "_PATIENCE", "700ms")
    found = {f.subject: f.text for f in stores_.found().findings}
    assert 'column "nonsense" does not exist' in found["odd"]
    assert found["slow"] == "could not be looked at: looking took too long"
