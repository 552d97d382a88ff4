"""What people read of PostgreSQL's errors: which object and what is wrong with it, and no value of a row."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from pair import connect
from shopferry.retry import describe

ADD = "INSERT INTO customer (id, email, age)"
TABLES = """
CREATE TABLE customer (id bigint PRIMARY KEY, email text UNIQUE CHECK (email <> 'secret@example.com'), age integer NOT NULL,
    lower_email text GENERATED ALWAYS AS (lower(email)) STORED, short varchar(3));
CREATE TABLE purchase (id bigint PRIMARY KEY, customer_id bigint REFERENCES customer);
INSERT INTO customer (id, email, age) VALUES (1, 'jan@example.com', 40);
CREATE VIEW both_of_us AS SELECT * FROM customer, purchase p (pid, cid);
"""


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT * FROM nowhere", 'UndefinedTable 42P01: relation "nowhere" does not exist'),
        ("SELECT nothing FROM customer", 'UndefinedColumn 42703: column "nothing" does not exist'),
        ("SELECT order FROM customer", 'SyntaxError 42601: syntax error at or near "FROM"'),
        ("UPDATE customer SET lower_email = 'jan@example.com'", 'column "lower_email" can only be updated to DEFAULT'),
        ("INSERT INTO customer (id, lower_email, age) VALUES (2, 'x', 1)", "GeneratedAlways 428C9: cannot insert"),
        ("SELECT id || 1 = 'x'::uuid FROM customer", "UndefinedFunction 42883: operator does not exist"),
        ("SELECT 'a'::citext", 'UndefinedObject 42704: type "citext" does not exist'),
        (
            "CREATE INDEX ON customer (user)",
            "InvalidObjectDefinition 42P17: functions in index expression must be marked",
        ),
        (
            "BEGIN READ ONLY; DELETE FROM customer",
            "ReadOnlySqlTransaction 25006: cannot execute DELETE",
        ),
        ("INSERT INTO both_of_us (id) VALUES (1)", "ObjectNotInPrerequisiteState 55000: cannot insert into view"),
        (
            "CREATE TABLE wide (" + ", ".join(f"c{n} int" for n in range(1700)) + ")",
            "TooManyColumns 54011: tables can have",
        ),
        (
            "SELECT convert_from('\\xb1', 'UTF8')",
            'CharacterNotInRepertoire 22021: invalid byte sequence for encoding "UTF8"',
        ),
        (
            ADD + " VALUES (2, 'jan@example.com', 1)",
            "UniqueViolation 23505 constraint customer_email_key in ",
        ),
        (
            ADD + " VALUES (2, 'secret@example.com', 1)",
            "CheckViolation 23514 constraint customer_email_check in ",
        ),
        (
            "INSERT INTO customer (id, email) VALUES (2, 'ola@example.com')",
            "NotNullViolation 23502 in public.customer.age",
        ),
        (
            "INSERT INTO purchase VALUES (1, 77)",
            "ForeignKeyViolation 23503 constraint purchase_customer_id_fkey",
        ),
        ("UPDATE customer SET age = 'jan@example.com'", "InvalidTextRepresentation 22P02"),
        ("UPDATE customer SET short = 'jan@example.com'", "StringDataRightTruncation 22001"),
        ("SELECT 'jan@example.com'::timestamp", "InvalidDatetimeFormat 22007"),
        ("DO $$ BEGIN RAISE EXCEPTION 'jan@example.com is not welcome'; END $$", "RaiseException P0001"),
    ],
)
def test_an_error_says_what_is_wrong_and_nothing_of_a_row(
    make_db: Callable[..., str], statement: str, said: str
) -> None:
    with connect(make_db()) as conn:
        conn.execute(TABLES.encode())
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(statement.encode())
    told = describe(caught.value)
    assert said in told
    assert "@example.com" not in told and "77" not in told
