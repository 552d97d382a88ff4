"""What each destination's files look like, against recorded shapes; and what is refused of an activation's file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import jsonschema
import pytest
from pair import ROUTE
from shopferry.errors import ConfigError, MappingError
from shopferry.insight import activation_file, campaigns, permission
from shopferry.insight.formats import FORMATS, Leaver, Row, Sheet

RECORDED = Path(__file__).parents[1] / "destinations"
COLUMNS = {
    "mailchimp": ("Email Address", "First Name"),
    "brevo": ("EMAIL", "FIRSTNAME"),
    "klaviyo": ("email", "first_name"),
    "hubspot": ("Email", "First Name"),
    "csv": ("email", "given_name"),
    "jsonl": ("email", "given_name"),
}
FIRST = {"mailchimp": "Ewa, the first", "brevo": "Ewa; the first"}


def rows(name: str) -> list[Row]:
    return [
        Row("7", "ewa@example.com", "consent", ("ewa@example.com", FIRST.get(name, "Ewa"))),
        Row("12", "jan@example.com", "soft_opt_in", ("jan@example.com", None)),
    ]


def write(name: str) -> bytes:
    [made] = FORMATS[name].write_members(Sheet(COLUMNS[name], "marketing", "email"), rows(name))
    return made


@pytest.mark.parametrize("file", ["mailchimp.csv", "brevo.csv", "hubspot.csv", "csv.csv", "jsonl.jsonl"])
def test_members_have_the_recorded_shape(file: str) -> None:
    assert write(file.partition(".")[0]) == (RECORDED / file).read_bytes()


def test_klaviyo_gets_an_import_of_profiles_that_subscribes_nobody() -> None:
    schema = json.loads((RECORDED / "klaviyo.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    made = json.loads(write("klaviyo"))
    jsonschema.Draft202012Validator(schema).validate(made)
    assert "historical_import" not in json.dumps(made) and "subscri" not in json.dumps(made)
    ewa, jan = (p["attributes"] for p in made["data"]["attributes"]["profiles"]["data"])
    assert ewa == {"email": "ewa@example.com", "first_name": "Ewa", "external_id": "7", "properties": {}}
    assert "first_name" not in jan  # null clears nothing there


def test_what_is_no_field_of_klaviyo_is_a_property_of_the_profile() -> None:
    sheet = Sheet(("email", "orders"), "marketing", "email")
    [made] = FORMATS["klaviyo"].write_members(sheet, [Row("7", "e@example.com", "consent", ("e@example.com", 3))])
    [profile] = json.loads(made)["data"]["attributes"]["profiles"]["data"]
    assert profile["attributes"]["properties"] == {"orders": 3}


@pytest.mark.parametrize("name", FORMATS)
def test_leavers_are_named_by_address_and_number_or_by_hash(name: str) -> None:
    form = FORMATS[name]
    made = form.write_leavers("email", [Leaver("7", "ewa@example.com"), Leaver("12", None)])
    lines = list(csv.reader(io.StringIO(made.decode(), newline=""), delimiter=form.delimiter))
    hashed = hashlib.sha256(b"ewa@example.com").hexdigest()
    key, first = ("sha256", hashed) if form.hashed else (form.address["email"], "ewa@example.com")
    assert lines == [[key, form.number], [first, "7"], ["", "12"]]
    assert form.hashed == (b"ewa@" not in made)


def test_nobody_is_no_file() -> None:
    assert FORMATS["csv"].write_members(Sheet(("email",), "marketing", "email"), []) == []


@pytest.mark.parametrize("name", ["brevo", "klaviyo"])
def test_a_file_is_cut_before_it_is_larger_than_its_destination_takes(name: str) -> None:
    form = FORMATS[name]
    many = [Row(str(n), None, "consent", (f"p{n}@example.com", "x" * 1_000)) for n in range(9_000)]
    parts = form.write_members(Sheet(COLUMNS[name], "marketing", "email"), many)
    assert len(parts) > 1 and all(len(part) < {"brevo": 8_100_000, "klaviyo": 5_000_000}[name] for part in parts)
    found = b"".join(parts)
    assert all(found.count(f"p{n}@example.com".encode()) == 1 for n in (0, 4_500, 8_999))


def test_the_field_that_is_too_long_is_named_by_bytes_not_letters() -> None:
    form, columns = FORMATS["mailchimp"], COLUMNS["mailchimp"]
    assert form.find_too_long(columns, Row("7", None, "consent", ("e@example.com", "ż" * 127))) is None
    assert form.find_too_long(columns, Row("7", None, "consent", ("e@example.com", "ż" * 128))) == "First Name"


@pytest.mark.parametrize(
    ("name", "columns", "says"),
    [
        ("mailchimp", ("email",), "mailchimp wants the address as column 'Email Address'"),
        ("hubspot", ("Email", "Legal basis explanation"), "column 'Legal basis explanation' is filled by shopferry"),
        ("brevo", ("EMAIL", "EXT_ID"), "column 'EXT_ID' is filled by shopferry"),
        ("jsonl", ("email", "anything"), None),
    ],
)
def test_columns_are_what_the_destination_takes(name: str, columns: tuple[str, ...], says: str | None) -> None:
    found = FORMATS[name].find_fault("email", columns)
    assert found is None if says is None else says in str(found)


RIGHT = {
    "destination": "mailchimp",
    "purpose": "marketing",
    "channel": "email",
    "recipient": "Mailchimp",
    "owner": "Ada",
    "schedule": "daily",
}
BODY = 'SELECT id AS customer_id, email AS "Email Address" FROM shop.customer;'
ASKED = "-- purposes: marketing, newsletter\n-- name: people\nSELECT 1\n-- name: audience\nSELECT 1\n-- name: refused\nSELECT 1\n"


def load(root: Path, words: dict[str, str], body: str = BODY, file: str = "one.sql", asked: str = ASKED) -> None:
    folder = root / "demo" / activation_file.FOLDER
    folder.mkdir(parents=True)
    (root / "demo" / permission.FILE).write_text(asked)
    head = "".join(f"-- {word}: {value}\n" for word, value in words.items())
    (folder / file).write_text(f"{head}{body}\n")
    activation_file.load(ROUTE, root)


def test_a_right_file_is_read(tmp_path: Path) -> None:
    load(tmp_path, RIGHT)
    [one] = activation_file.load(ROUTE, tmp_path)
    assert (one.name, one.format.name, one.select.line, one.schedule) == ("one", "mailchimp", 7, "daily")
    with pytest.raises(MappingError, match="there is no activation 'two': one"):
        activation_file.find((one,), "two")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            {"destination": "hermes"},
            r"one.sql:1: destination 'hermes' is none of mailchimp, brevo, klaviyo, hubspot, csv, jsonl",
        ),
        ({"purpose": "love"}, r"one.sql:2: purpose 'love' is none of those: marketing, newsletter"),
        ({"channel": "sms"}, r"one.sql:3: channel 'sms' is none of those that mailchimp serves: email"),
        ({"recipient": ""}, r"one.sql:4: header 'recipient' says nothing"),
        ({"audience": "all"}, r"one.sql:7: header 'audience' is none of destination, purpose"),
    ],
)
def test_a_header_that_is_wrong_is_refused_with_its_line(tmp_path: Path, words: dict[str, str], says: str) -> None:
    with pytest.raises(MappingError, match=says):
        load(tmp_path, RIGHT | words)


@pytest.mark.parametrize("word", RIGHT)
def test_every_header_is_wanted(tmp_path: Path, word: str) -> None:
    with pytest.raises(MappingError, match=f"header line `-- {word}:` is missing"):
        load(tmp_path, {w: v for w, v in RIGHT.items() if w != word})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("DELETE FROM shop.customer", "one.sql:7: it wants one SELECT"),
        ("SELECT 1;\nSELECT 2", "one.sql:7: it wants one SELECT: something stands behind"),
        ("", "there is no SELECT"),
    ],
)
def test_what_is_no_single_select_is_refused(tmp_path: Path, body: str, says: str) -> None:
    with pytest.raises(MappingError, match=says):
        load(tmp_path, RIGHT, body)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (ASKED.replace("refused", "banned"), "activation.sql:7: query 'banned' is none of people, audience, refused"),
        (ASKED.partition("-- name: refused")[0], "there is no query `-- name: refused`"),
        (ASKED.replace("-- purposes: marketing, newsletter\n", ""), "header line `-- purposes:` is missing"),
        (f"-- identity: who\n{ASKED}", "activation.sql:1: identity 'who' is none of this route's: account, customer"),
    ],
)
def test_a_route_that_does_not_say_who_may_be_written_to_is_refused(tmp_path: Path, asked: str, says: str) -> None:
    with pytest.raises(MappingError, match=says):
        load(tmp_path, RIGHT, asked=asked)


def test_without_that_file_nothing_is_handed_over(tmp_path: Path) -> None:
    load(tmp_path, RIGHT)
    (tmp_path / "demo" / permission.FILE).unlink()
    with pytest.raises(
        ConfigError, match=r"route demo has no activation.sql: write the queries people, audience, refused"
    ):
        activation_file.load(ROUTE, tmp_path)


def test_the_demos_own_files_are_right() -> None:
    assert [a.destination for a in activation_file.load(ROUTE)] == ["klaviyo", "csv", "mailchimp"]
    assert {c.name for c in campaigns.load(ROUTE)} == {
        "consent_to_ask_again",
        "contact_data_incomplete",
        "inactive_to_be_warned",
        "password_to_be_set",
    }
