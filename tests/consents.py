"""Random histories of consents, and a model of them: what legacy has ever committed, and what that allows.

The model is written while the shop lives. It knows the values of its own pools by heart, and nothing of the mappings.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier, Literal
from shopferry.db import Connection
from steps import Again, Replay, Resync

NOW = "now"  # the moment of the write, by the shop's clock
TEXT = 1001  # of the one wording that is decided anew; those of the demo stay as they are
_APART_S = 0.002  # events tell commits apart by their milliseconds
_WARSAW = ZoneInfo("Europe/Warsaw")
# Raw value → the address that it is.
EMAILS: dict[str | None, str | None] = {
    "ewa@example.com": "ewa@example.com",
    " Ewa@Example.COM": "ewa@example.com",
    "ola@example.com": "ola@example.com",
    "": None,
    None: None,
}
PHONES: dict[str | None, str | None] = {
    "601234567": "+48601234567",
    "+48 601-234-567": "+48601234567",
    "602000000": "+48602000000",
    "12": None,
    None: None,
}
CHANNELS = {"email": "email", "E": "email", "sms": "sms", "T": "phone", "post": "post", "all": None}
_EVERY = ("email", "sms", "phone", "post")
_DATES: list[str | None] = [
    "2019-05-01 10:00",
    "2021-06-01 12:00",
    "2024-05-01 08:30",
    NOW,
    "2031-01-01 00:00",
    "1960-01-01 00:00",
    None,
]
_DAYS = {"2018-01-01": "2018-01-01", "05.03.2022": "2022-03-05", "2031-01-01": "2031-01-01", "0000-00-00": None}

_BORN: dict[str, dict[str, object]] = {
    "customers": {"full_name": "Ewa Lis", "bill_country": "PL", "newsletter": "N", "created_at": "2015-01-01"},
    "consents": {
        "customer_id": 1,
        "channel": "email",
        "granted": "T",
        "granted_at": "2019-05-01 10:00",
        "wording": "v1",
    },
    "consent_texts": {
        "version": "own",
        "body": "Tak",
        "purposes": "marketing",
        "channels": ", ".join(_EVERY),
        "usable": "T",
    },
}
_POOLS: dict[str, dict[str, list[object]]] = {
    "customers": {
        "email": [*EMAILS],
        "phone": [*PHONES],
        "deleted": ["T", "N", "N"],
        "newsletter": ["T", "N"],
        "newsletter_date": [*_DAYS, None],
    },
    "consents": {
        "customer_id": [1, 2, 3, 0],
        "email": [*EMAILS],
        "channel": [*CHANNELS],
        "granted": ["T", "N", "N", None],
        "granted_at": [*_DATES],
        "withdrawn_at": [*_DATES, None, None],
        "wording": ["v1", "own", None],
    },
    "consent_texts": {"usable": ["T", "N"], "channels": ["email", ", ".join(_EVERY)], "double_opt_in": ["T", "N"]},
}
_SAID = ("granted", "granted_at", "withdrawn_at")

Row = dict[str, object]


@dataclass(frozen=True)
class Put:
    """Insert a row, or change these columns of the one that is there."""

    table: str
    id: int
    values: Row

    def run(self, conn: Connection, row: Row) -> None:
        """Make it the row that is given."""
        names = SQL(", ").join(map(Identifier, row))
        change = SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(n)) for n in row)
        conn.execute(
            SQL("INSERT INTO {} (id, {}) VALUES ({}, {}) ON CONFLICT (id) DO UPDATE SET {}").format(
                Identifier(self.table),
                names,
                Literal(self.id),
                SQL(", ").join(map(Literal, row.values())),
                change,
            )
        )


@dataclass(frozen=True)
class Delete:
    """Delete a row, if it is there."""

    table: str
    id: int

    def run(self, conn: Connection) -> None:
        """Do it."""
        conn.execute(SQL("DELETE FROM {} WHERE id = {}").format(Identifier(self.table), Literal(self.id)))


@dataclass(frozen=True)
class Refusal:
    """A no: by which channels, made when at the latest, and for which addresses."""

    channels: tuple[str, ...]
    at: datetime
    addresses: frozenset[str]


@dataclass(frozen=True)
class OptOut:
    """An address that refuses a channel elsewhere; `day` is None where the list tells no time."""

    address: str
    channel: str
    day: str | None


@dataclass
class Model:
    """All states that legacy has committed, in their order, and the rows as they are now."""

    rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    states: dict[tuple[str, int], list[tuple[datetime, Row | None]]] = field(default_factory=dict)
    optouts: list[OptOut] = field(default_factory=list)

    def write(self, conn: Connection, operations: list[Put | Delete], *, commit: bool) -> None:
        """Have legacy do it, in one transaction, and keep the rows in mind."""
        conn.execute("BEGIN")
        kept = dict(self.rows)
        for operation in operations:
            key = operation.table, operation.id
            if isinstance(operation, Delete):
                operation.run(conn)
                self.rows.pop(key, None)
                continue
            now = datetime.now(_WARSAW).replace(tzinfo=None).isoformat(" ")
            row = _BORN[operation.table] | self.rows.get(key, {}) | operation.values
            self.rows[key] = {name: now if value == NOW else value for name, value in row.items()}
            operation.run(conn, self.rows[key])
        time.sleep(_APART_S)
        if not commit:
            self.rows = kept
        conn.execute("COMMIT" if commit else "ROLLBACK")

    def note(self) -> None:
        """Note what of the rows is new: this is what the ferry can know of now."""
        time.sleep(_APART_S)
        now = datetime.now(_WARSAW).replace(tzinfo=None)
        for key in self.rows.keys() | self.states.keys():
            states, row = self.states.setdefault(key, []), self.rows.get(key)
            if not states or states[-1][1] != row:
                states.append((now, row))

    # -- refusals --------------------------------------------------------------------------------------------------

    def declared_refusals(self) -> Iterator[tuple[int, datetime, Row]]:
        """Yield every state of a declaration that says no: its key, by when it stood there, the row."""
        for (table, key), states in self.states.items():
            for known, row in states:
                if table == "consents" and row and _says_no(row):
                    yield key, known, row

    def expect_events(self) -> set[tuple[str, str | None, datetime | None]]:
        """Return what the chain must hold of refusals: declaration and account, channel, when."""
        return {
            (f"{key}/{row['customer_id']}", CHANNELS[str(row["channel"])], _find_told(row, known))
            for key, known, row in self.declared_refusals()
        }

    def _list_refusals(self) -> Iterator[Refusal]:
        for _, known, row in self.declared_refusals():
            channel = CHANNELS[str(row["channel"])]
            account = int(str(row["customer_id"]))
            addresses = {EMAILS.get(_text(row.get("email")))}
            if account:
                addresses |= {*self._find_addresses(account, known), *self._find_addresses(account, None)}
            at = _find_told(row, known) or known
            yield Refusal((channel,) if channel else _EVERY, at, frozenset(a for a in addresses if a))
        for (table, key), states in self.states.items():
            for known, row in states if table == "customers" else ():
                day = _DAYS.get(_text(row.get("newsletter_date"))) if row else None
                if row and day and row["newsletter"] == "N":
                    emails = {self._find_addresses(key, known)[0], self._find_addresses(key, None)[0]}
                    at = min(datetime.fromisoformat(day), known)
                    yield Refusal(("email",), at, frozenset(a for a in emails if a))
        for o in self.optouts:
            at = datetime.fromisoformat(o.day) if o.day else datetime.max
            yield Refusal((o.channel,), at, frozenset({o.address}))

    # -- grants ----------------------------------------------------------------------------------------------------

    def find_breach(self, email: str, phone: str | None, channel: str) -> str | None:
        """Say why this person must not be written to by this channel; None where the last word is a yes with proof."""
        addresses = {email, phone} if channel in {"sms", "phone"} else {email}
        said_no = [r for r in self._list_refusals() if channel in r.channels and r.addresses & addresses]
        found = "nobody has said yes with proof"
        for (table, key), row in self.rows.items():
            if table != "consents" or CHANNELS[str(row["channel"])] != channel or _says_no(row):
                continue
            account = self.rows.get(("customers", int(str(row["customer_id"]))), {"deleted": "T"})
            if account.get("deleted") == "T" or EMAILS[_text(account.get("email"))] != email:
                continue
            runs = [known for known, was in self.states[table, key] if was and _is_same(was, row)]
            given = self._find_proof(row, runs[0])
            if given is None:
                continue
            wanted = email if channel == "email" else phone
            place = 0 if channel == "email" else 1
            named = EMAILS[_text(row.get("email"))]
            if (channel == "email" and named not in {None, email}) or (
                channel != "post"
                and not any(
                    self._find_addresses(int(str(row["customer_id"])), known)[place] == wanted for known in runs
                )
            ):
                found = f"declaration {key} was for another address"
                continue
            later = [r for r in said_no if r.at >= given]
            if not later:
                return None
            found = f"declaration {key} of {given} is before {later}"
        return found

    def _find_proof(self, row: Row, known: datetime) -> datetime | None:
        """When a yes was given that is proven; None where it is not."""
        told = _find_told(row, known)
        if row.get("granted") != "T" or told is None:
            return None
        if row.get("wording") == "v1":
            return told
        text = self.rows.get(("consent_texts", TEXT))
        if row.get("wording") != "own" or text is None:
            return None
        asks = str(CHANNELS[str(row["channel"])]) in str(text["channels"]).split(", ")
        return told if text["usable"] == "T" and text.get("double_opt_in") != "T" and asks else None

    def _find_addresses(self, account: int, at: datetime | None) -> tuple[str | None, str | None]:
        """Find e-mail and number that an account had at a time, or where it was not there yet, first; None: has now."""
        if at is None:
            row = self.rows.get(("customers", account))
        else:
            states = [(known, was) for known, was in self.states.get(("customers", account), ()) if was]
            row = next((was for known, was in reversed(states) if known <= at), states[0][1] if states else None)
        if row is None:
            return None, None
        return EMAILS.get(_text(row.get("email"))), PHONES.get(row.get("phone"))  # type: ignore[call-overload]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _says_no(row: Row) -> bool:
    return row.get("withdrawn_at") is not None or row.get("granted") == "N"


def _is_same(one: Row, other: Row) -> bool:
    return all(one.get(name) == other.get(name) for name in _SAID)


def _find_told(row: Row, known: datetime) -> datetime | None:
    """When it says itself that it was made, if that can be true."""
    told = row.get("withdrawn_at") or row.get("granted_at")
    if not told:
        return None
    at = datetime.fromisoformat(str(told))
    return at if datetime(1995, 1, 1) <= at <= known else None


# -- random histories --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Write:
    """One transaction."""

    operations: list[Put | Delete]
    commit: bool = True


Step = Write | Replay | Again | Resync | OptOut


def _changes(table: str, most: int = 3) -> st.SearchStrategy[Row]:
    pairs = [(column, value) for column, pool in _POOLS[table].items() for value in pool]
    return st.lists(st.sampled_from(pairs), min_size=1, max_size=most).map(lambda drawn: dict(drawn))


_SAYINGS: list[Row] = [
    {"granted": "N", "withdrawn_at": None},
    *({"granted": "T", "withdrawn_at": taken} for taken in (_DATES[1], NOW, None)),
]
_ACCOUNT, _DECLARATION = st.integers(1, 3), st.integers(1, 5)
_put_account = st.builds(Put, st.just("customers"), _ACCOUNT, _changes("customers", 2))
_put_consent = st.builds(Put, st.just("consents"), _DECLARATION, _changes("consents"))
_put_text = st.builds(Put, st.just("consent_texts"), st.just(TEXT), _changes("consent_texts", 1))
_delete = st.builds(Delete, st.just("consents"), _DECLARATION)
_remove_text = st.just(Delete("consent_texts", TEXT))
_operation = st.one_of(
    _put_consent,
    _put_consent,
    _put_consent,
    _put_consent,
    _put_account,
    _put_account,
    _delete,
    st.one_of(_put_text, _remove_text),
)
_operations = st.lists(_operation, min_size=1, max_size=4)
_write = st.builds(Write, _operations, st.sampled_from([True, True, True, True, False]))


@st.composite
def _flips(draw: st.DrawFn) -> list[Step]:
    """One declaration that is written over and over, now and then with a replay between."""
    key = draw(_DECLARATION)
    steps: list[Step] = []
    for _ in range(draw(st.integers(2, 4))):
        said: Row = dict(draw(st.sampled_from(_SAYINGS)))
        if draw(st.booleans()):
            said = said | {"granted_at": draw(st.sampled_from(_DATES))}
        steps.append(Write([Put("consents", key, said)]))
        if draw(st.booleans()):
            steps.append(Replay())
    return steps


_optout = st.builds(
    OptOut,
    st.sampled_from(["ewa@example.com", "ola@example.com"]),
    st.sampled_from(["email", "sms"]),
    st.sampled_from(["2020-01-01", "2022-01-01", None]),
)
_step = st.one_of(
    _write.map(lambda w: [w]),
    _write.map(lambda w: [w]),
    _write.map(lambda w: [w, Replay()]),
    _flips(),
    st.lists(st.integers(0, 4), min_size=1, max_size=4).map(lambda cuts: [Replay(tuple(cuts))]),
    st.integers(1, 12).map(lambda n: [Again(n)]),
    st.one_of(st.builds(Resync, st.lists(_operation, max_size=2)), _optout).map(lambda s: [s]),
)
histories = st.lists(_step, min_size=3, max_size=9).map(lambda parts: [step for part in parts for step in part])
openings = st.tuples(
    st.lists(st.builds(Put, st.just("consents"), _DECLARATION, _changes("consents")), max_size=4),
    st.sampled_from(["not", "alone", "before the stream"]),
)


def open_accounts() -> list[Put | Delete]:
    """Return two accounts of one person and one of another, and the wording."""
    people = [("ewa@example.com", "601234567"), (" Ewa@Example.COM", None), ("ola@example.com", "602000000")]
    accounts: list[Put | Delete] = [
        Put("customers", n, {"email": email, "phone": phone}) for n, (email, phone) in enumerate(people, 1)
    ]
    return [*accounts, Put("consent_texts", TEXT, {})]
