"""Activations over random histories of the shop: at no hand-over anybody is told of who may not be, and who leaves is named.

The model is written while the shop lives, and knows nothing of the views and queries that the product asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import profiles
import pytest
from hypothesis import given, note, seed
from hypothesis import strategies as st
from pair import ROUTE, Pair, read_dsn
from profiles import LONG
from recipient import Recipient
from shopferry import db
from shopferry.control import requests
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.insight import activation, activation_file, campaigns, delivery, permission
from shopferry.insight.campaigns import Campaign
from shopferry.insight.selects import Select
from shopferry.stores import origin

_SHARES = 2 if LONG else 1
_PROFILE = profiles.choose(short=20, long=1_000, shares=_SHARES)
_ACTIVATIONS = {"marketing_email_klaviyo": "email", "marketing_sms_csv": "sms"}
_TABLES = ("communication_preference", "consent", "customer")
ASK_ALL = Campaign(
    "all",
    "Everybody by e-mail",
    "test",
    "marketing",
    Select(Path("all.sql"), 1, "SELECT id AS customer_id, 'test' AS why, 'email' AS may_ask_by FROM shop.customer"),
)

Step = tuple[str, int, str]  # what is done, to which customer, by which channel
DONE = (
    "grant",
    "grant",
    "withdraw",
    "unprove",
    "expire",
    "unwish",
    "wish",
    "block",
    "unblock",
    "rename",
    "renumber",
)
ASKED = ("restriction", "objection", "erasure", "refuse", "opt out", "leave", "run", "run", "run", "run late")
steps = st.lists(
    st.tuples(st.sampled_from((*DONE, *ASKED)), st.integers(1, 4), st.sampled_from(("email", "sms"))),
    min_size=6,
    max_size=24 if LONG else 16,
)


@dataclass
class Customer:
    """What the model knows of one: addresses, status, and by channel the state of the consent and the wish."""

    email: str
    phone: str | None
    active: bool = True
    consents: dict[str, str] = field(default_factory=dict)  # granted, withdrawn, unproven, expired
    unwanted: set[str] = field(default_factory=set)
    requests: dict[int, str] = field(default_factory=dict)

    def address(self, channel: str) -> str | None:
        return self.email if channel == "email" else self.phone

    def refuses(self, channel: str) -> bool:
        """Whether this one has said no to the channel."""
        return (
            self.consents.get(channel) == "withdrawn"
            or channel in self.unwanted
            or "objection" in self.requests.values()
        )


class Model:
    """All customers, and the opt-outs that came in."""

    def __init__(self) -> None:
        self.customers = {
            n: Customer(f"p{n}@example.com", None if n == 4 else f"+4860000000{1 if n < 4 else n}") for n in range(1, 5)
        }
        self.opted_out: set[tuple[str, str]] = set()
        self.names = 0

    def may(self, number: int, channel: str) -> bool:
        """Whether this customer may be written to by the channel."""
        one = self.customers[number]
        address = one.address(channel)
        return (
            address is not None
            and one.active
            and one.consents.get(channel) == "granted"
            and not one.refuses(channel)
            and not one.requests
            and not any((channel, own) in self.opted_out for own in (one.email, one.phone))
            and not any(c.refuses(channel) and c.address(channel) == address for c in self.customers.values())
        )

    def allowed(self, channel: str) -> dict[str, str]:
        """The list that a recipient should have: customers by address, each address once."""
        found: dict[str, str] = {}
        for number, one in sorted(self.customers.items()):
            if self.may(number, channel):
                found.setdefault(str(one.address(channel)), str(number))
        return found


@contextmanager
def writing(shop: Connection) -> Iterator[None]:
    """One transaction of the shop's application, which the fence lets through."""
    with shop.transaction():
        shop.execute(f"SELECT {origin.WRITER}".encode())
        yield


def open_shop(shop: Connection, model: Model) -> None:
    """Empty the shop and our books, and put the model's customers there."""
    with writing(shop):
        for table in _TABLES:
            shop.execute(f"DELETE FROM shop.{table}".encode())
        shop.execute("TRUNCATE ferry.activation_member, ferry.activation_run, ferry.optout, ferry.request CASCADE")
        for number, one in model.customers.items():
            shop.execute(
                "INSERT INTO shop.customer (id, email, phone) VALUES (%s, %s, %s)", (number, one.email, one.phone)
            )


def do(shop: Connection, model: Model, step: Step) -> None:
    """Do one step in the shop and in the model."""
    what, number, channel = step
    one = model.customers.get(number)
    if one is None:
        return
    with writing(shop):
        if what in ("grant", "withdraw", "unprove", "expire"):
            set_consent(shop, one, number, channel, what)
        elif what in ("wish", "unwish"):
            one.unwanted = one.unwanted | {channel} if what == "unwish" else one.unwanted - {channel}
            shop.execute(
                "INSERT INTO shop.communication_preference (customer_id, channel, wanted) VALUES (%s, %s, %s) "
                "ON CONFLICT (customer_id, channel) DO UPDATE SET wanted = excluded.wanted",
                (number, channel, what == "wish"),
            )
        elif what in ("block", "unblock"):
            one.active = what == "unblock"
            shop.execute(
                "UPDATE shop.customer SET status = %s WHERE id = %s", ("active" if one.active else "blocked", number)
            )
        elif what in ("rename", "renumber"):
            model.names += 1
            if what == "rename":
                one.email = f"P{model.names}.New@example.com".lower()
            else:
                one.phone = f"+4870000{model.names:04}"
            shop.execute(
                "UPDATE shop.customer SET email = %s, phone = %s WHERE id = %s", (one.email, one.phone, number)
            )
        elif what in ("restriction", "objection", "erasure"):
            opening = requests.Opening(what, date.today(), "test", "by passport")
            one.requests[requests.open_request(shop, "demo", opening, {"shop": [str(number)]})] = what
        elif what == "refuse" and one.requests:
            request, _ = one.requests.popitem()
            requests.refuse(shop, request, "test", "not theirs")
        elif what == "opt out" and (address := one.address(channel)):
            model.opted_out.add((channel, address))
            opt_out(shop, address, channel)
        elif what == "leave":
            del model.customers[number]
            for table, column in (
                ("communication_preference", "customer_id"),
                ("consent", "customer_id"),
                ("customer", "id"),
            ):
                shop.execute(f"DELETE FROM shop.{table} WHERE {column} = %s".encode(), (number,))


def set_consent(shop: Connection, one: Customer, number: int, channel: str, what: str) -> None:
    """Set a consent to marketing by the channel."""
    state = {"grant": "granted", "withdraw": "withdrawn", "unprove": "unproven", "expire": "expired"}[what]
    one.consents[channel] = state
    granted = state in ("granted", "expired")
    shop.execute(
        "INSERT INTO shop.consent (customer_id, purpose, channel, state, granted_at, wording_version, expires_at) "
        "VALUES (%s, 'marketing', %s, %s, %s, %s, %s) ON CONFLICT (customer_id, purpose, channel) DO UPDATE "
        "SET state = excluded.state, granted_at = excluded.granted_at, wording_version = excluded.wording_version, "
        "expires_at = excluded.expires_at",
        (
            number,
            channel,
            "granted" if granted else state,
            datetime.now(UTC) if granted else None,
            "v1" if granted else None,
            datetime.now(UTC) - timedelta(days=1) if state == "expired" else None,
        ),
    )


def opt_out(shop: Connection, address: str, channel: str) -> None:
    """Keep an opt-out as another tool's export brings it."""
    [(imported,)] = shop.execute(
        "INSERT INTO ferry.optout_import (route, source, format, file_sha256, imported_by) "
        "VALUES ('demo', 'list', 'csv', repeat('0', 64), 'test') RETURNING id"
    ).fetchall()
    shop.execute(
        "INSERT INTO ferry.optout (route, source, mark, kind, channel, reason, imported) "
        "VALUES ('demo', 'list', %s, %s, %s, 'unsubscribed', %s) ON CONFLICT DO NOTHING",
        (marks.make(address), "email" if "@" in address else "phone", channel, imported),
    )


def run_all(
    shop: Connection,
    model: Model,
    recipients: dict[str, Recipient],
    ever: set[tuple[str, str, str]],
    folder: Path,
    late: Step | None,
) -> None:
    """Hand over each activation, with something done between drawing and handing over, and look at what the recipients have."""
    asked = permission.load(ROUTE)
    loaded = activation_file.load(ROUTE)
    drawn = {name: activation.draw(shop, ROUTE, asked, activation_file.find(loaded, name)) for name in recipients}
    if late:
        do(shop, model, late)
    for name, recipient in recipients.items():
        hand(shop, drawn[name], recipient, folder)
        allowed = model.allowed(recipient.channel)
        extra = recipient.held.items() - allowed.items()
        assert not extra, f"{name} has {extra}, who may not be written to"
        if not late:  # who was granted after it was drawn comes in the next run
            assert recipient.held == allowed
        ever |= {(name, address, number) for address, number in recipient.held.items()}
        for of, address, number in ever:
            if of == name and address not in allowed and number not in allowed.values():
                assert recipient.knows_as_suppressed(number, address)
        assert not [a for a, number in recipient.held.items() if recipient.knows_as_suppressed(number, a)]
    if not late:
        for name, recipient in recipients.items():
            again = activation.draw(shop, ROUTE, asked, activation_file.find(loaded, name))
            hand(shop, again, recipient, folder)
            assert (recipient.members, recipient.leavers) == (0, 0), "a second run without changes hands over nothing"
    proposed = {one.customer_id: one.may_ask_by for one in campaigns.draw(shop, ROUTE, asked, ASK_ALL)}
    assert proposed.keys() == {str(n) for n in model.customers}
    for customer, way in proposed.items():
        assert (way == "email") == model.may(int(customer), "email")
        if way != "email":
            refused = model.customers[int(customer)].refuses("email")
            assert way == "nobody" if refused else way in ("nobody", "next_sign_in")


def hand(shop: Connection, drawn: activation.Draft, recipient: Recipient, folder: Path) -> None:
    """Hand one draft to its recipient."""
    asked = permission.load(ROUTE)
    files = delivery.hand_over(shop, ROUTE, asked, drawn, folder, who="test", why="test", approved_by="test").files
    recipient.take(files)
    for file in files:
        file.unlink()


def play(shop: Connection, history: list[Step], folder: Path) -> None:
    """Play one history, and hand over at its end."""
    model, ever = Model(), set[tuple[str, str, str]]()
    loaded = {a.name: a.destination for a in activation_file.load(ROUTE)}
    recipients = {name: Recipient(loaded[name], channel) for name, channel in _ACTIVATIONS.items()}
    open_shop(shop, model)
    for step in [("grant", number, channel) for number in list(model.customers) for channel in ("email", "sms")]:
        do(shop, model, step)
    for step in history:
        if step[0] == "run":
            run_all(shop, model, recipients, ever, folder, None)
        elif step[0] == "run late":
            kind = ("withdraw", "unwish", "objection", "rename", "leave")[step[1] % 5]
            run_all(shop, model, recipients, ever, folder, (kind, step[1], step[2]))
        else:
            do(shop, model, step)
    run_all(shop, model, recipients, ever, folder, None)


@pytest.mark.fresh
@pytest.mark.parametrize("share", range(_SHARES))
def test_nobody_is_handed_over_without_a_grant_at_that_moment(
    share: int, make_pair: Callable[..., Pair], tmp_path: Path
) -> None:
    pair = make_pair()
    pair.pass_phases(["contacts"])
    with profiles.book(share, "of activations") as run, db.connect(read_dsn(pair.shop), "test") as shop:

        @seed(run.seed)
        @_PROFILE
        @given(history=steps)
        def test(history: list[Any]) -> None:
            run.begun += 1
            for step in history:
                note(str(step))
            play(shop, history, tmp_path)

        test()
