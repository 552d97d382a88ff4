"""Values that look like people's data: found where the data map says there are none, in keys, and in free text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from own_shop import write_route
from shopferry import assess, db
from shopferry.assess import Finding, readiness
from shopferry.route import personal
from shopferry.settings import Settings
from stdnum.pl import pesel

LEGACY = """
CREATE TABLE tickets (id text PRIMARY KEY, code text, number bigint, data jsonb, flags text, note text);
INSERT INTO tickets SELECT 'T-' || n, 'C' || n, 10000000000 + n, '{"colour": "red"}', 'x', 'bitte klingeln'
FROM generate_series(1, 3000) n;
"""
SHOP = """CREATE SCHEMA new; CREATE TABLE new.ticket (id text PRIMARY KEY, code text, number bigint, data jsonb, flags text,
                                                    note text)"""
MAPPING = """-- entity: new.ticket
-- key: id
-- scope: id
-- source: legacy.tickets(id)
SELECT t.id, t.code, t.number, t.data, t.flags, t.note, '{}'::text[] AS problems
FROM affected a JOIN legacy.tickets t ON t.id = a.key
"""
FREE = "for care; basis contract; keep a year; erase null; see care"
MAP = f"""
legacy.tickets.id     -- key
legacy.tickets.code   -- none
legacy.tickets.number -- key
legacy.tickets.data   -- technical
legacy.tickets.flags  -- technical
legacy.tickets.note   -- free text; {FREE}
new.*.*               -- none
"""


class Own:
    """A pair of stores with a data map, and what the assessment says of people's data in them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.file = settings, folder / "own" / personal.FILE

    def found(self, change: str, data_map: str = MAP, *, thorough: bool = False) -> list[Finding]:
        self.file.write_text(data_map)
        with db.connect(self.settings.source_dsn, "test") as conn:
            conn.execute(change.encode())
        found = assess.assess(self.settings).findings if thorough else assess.find_obstacles(self.settings)
        return [f for f in found if f.subject.startswith(("legacy tickets.", "new.ticket."))]


@pytest.fixture
def own(make_db: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Own:
    write_route(tmp_path, {"all/ticket.sql": MAPPING})
    settings = Settings(make_db("legacy"), make_db("shop"), "127.0.0.1:1", "own")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    monkeypatch.setattr(readiness, "check_broker", lambda settings: iter(()))
    for dsn, text in ((settings.source_dsn, LEGACY), (settings.target_dsn, SHOP)):
        with db.connect(dsn, "test") as conn:
            conn.execute(text.encode())
    return Own(settings, tmp_path)


@pytest.mark.parametrize(
    ("change", "column", "kind"),
    [
        ("UPDATE tickets SET code = 'to a' || code || '@wp.pl' WHERE id IN {}", "code", "e-mail addresses"),
        ("UPDATE tickets SET flags = '+48 601 987 123' WHERE id IN {}", "flags", "phone numbers"),
        ("UPDATE tickets SET flags = 'PESEL 44051401359' WHERE id IN {}", "flags", "national numbers"),
        ("""UPDATE tickets SET data = '{{"mail": "a@wp.pl"}}' WHERE id IN {}""", "data", "e-mail addresses"),
    ],
)
def test_more_than_one_value_in_a_thousand_blocks(own: Own, change: str, column: str, kind: str) -> None:
    assert own.found("SELECT") == []
    assert own.found(change.format("('T-1', 'T-2', 'T-3')")) == []
    (found,) = own.found(change.format("('T-1', 'T-2', 'T-3', 'T-4')"))
    category = "none" if column == "code" else "technical"
    assert found.blocking and found.count == 4
    assert (found.subject, found.text) == (
        f"legacy tickets.{column}",
        f"values look like {kind}, in a column that personal.txt calls {category}",
    )
    assert found.examples and not any("wp" in e.masked or "1" in e.masked for e in found.examples)
    signed = MAP.replace(f"{column} ", f"{column}\t", 1).replace(f"-- {category}", f"-- {category}; despite a trial", 2)
    noted = own.found("SELECT", signed)
    assert [(f.blocking, f.text) for f in noted] == [(False, f"values that look like {kind}, and are none: a trial")]


def test_national_numbers_are_found_in_numbers_and_other_numbers_are_not(own: Own) -> None:
    own.found("UPDATE tickets SET number = 600000000 + substr(id, 3)::int")  # nine digits, and no phones
    assert own.found("SELECT") == []
    born = [f"{year}0{month}1{year % 10}1234" for year in (44, 71, 92) for month in (2, 5)]
    several = ", ".join(f"({body}{pesel.calc_check_digit(body)})" for body in born)
    change = f"UPDATE tickets SET number = v FROM (SELECT row_number() OVER () AS n, v FROM (VALUES {several}) t(v)) w"
    (found,) = own.found(f"{change} WHERE id = 'T-' || n")
    assert (found.subject, found.blocking) == ("legacy tickets.number", True) and "national numbers" in found.text


def test_a_key_that_is_an_address_blocks_and_shows_no_value(own: Own) -> None:
    (found,) = own.found("UPDATE tickets SET id = 'jan' || code || '@poczta.pl'")
    assert (found.subject, found.text) == ("legacy tickets.id", "values look like e-mail addresses, in the table's key")
    assert found.blocking and found.count == 3000
    assert [e.key for e in found.examples] == ["", "", ""] and "poczta" not in str(found.examples)


def test_a_key_that_the_map_calls_a_contact_blocks_in_either_store(own: Own) -> None:
    own_line = "\n".join(f"new.ticket.{name} -- none" for name in ("code", "number", "data", "flags", "note"))
    told = MAP.replace("legacy.tickets.id     -- key", f"legacy.tickets.id -- contact; {FREE}")
    told = told.replace("new.*.*               -- none", f"new.ticket.id -- identity; {FREE}\n{own_line}")
    assert [(f.subject, f.text, f.blocking) for f in own.found("SELECT", told)] == [
        ("legacy tickets.id", "is part of the table's key, and personal.txt calls it contact", True),
        ("new.ticket.id", "is part of the table's key, and personal.txt calls it identity", True),
    ]


def test_free_text_is_warned_of_with_shapes(own: Own) -> None:
    change = "UPDATE tickets SET note = v FROM (VALUES ('T-1', 'insulina w lodówce'), ('T-2', 'zadzwoń 601 987 123')) w(k, v)"
    found = own.found(f"{change} WHERE id = k", thorough=True)
    assert {(f.subject, f.text, f.severity.value, f.count) for f in found} == {
        ("legacy tickets.note", "free texts with words about health", "warning", 1),
        ("legacy tickets.note", "free texts with phone numbers", "warning", 1),
    }
    assert {str(e) for f in found for e in f.examples} == {"T-1 xxxxxxxx x xxxxxxx", "T-2 xxxxxxx 999 999 999"}
    assert own.found("SELECT") == [], "what does not block is not asked for at a phase's start"
