"""Pushes over random histories of the shop, to a recipient that goes away and refuses people: nobody comes without a grant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import profiles
import pytest
from hypothesis import given, note, seed
from hypothesis import strategies as st
from pair import ROUTE, Pair, read_dsn
from profiles import LONG
from shopferry import db
from shopferry.db import Connection
from shopferry.errors import TransientError
from shopferry.insight import activation, delivery, permission, push
from shopferry.insight.activation_file import Activation
from shopferry.insight.push import Receiver
from shopferry.insight.selects import Select
from test_activation_histories import DONE, Model, do, open_shop
from webhook import OK, Said, Webhook, receiving

_PROFILE = profiles.choose(short=15, long=1_000, shares=1)
ONE = Activation(
    "crm",
    "webhook",
    "marketing",
    "email",
    "The CRM",
    "Ada",
    "daily",
    Select(Path("crm.sql"), 1, "SELECT id AS customer_id, email FROM shop.customer"),
)
RUNS = ("run", "run", "run broken", "run choosy")
steps = st.lists(
    st.tuples(
        st.sampled_from((*DONE, "objection", "refuse", "erasure", "opt out", "leave", *RUNS)),
        st.integers(1, 4),
        st.just("email"),
    ),
    min_size=6,
    max_size=24 if LONG else 16,
)


@dataclass
class Crm:
    """What the recipient holds, customers by address; `answers` posts before it goes away; whom it will not take."""

    model: Model
    held: dict[str, str] = field(default_factory=dict)
    unwanted: set[tuple[str, str]] = field(default_factory=set)  # address and number that it has refused
    answers: int = 1_000
    refuses: str = ""

    def answer(self, body: dict[str, Any]) -> Said:
        self.answers -= 1
        if self.answers < 0:
            return 503, {}, {}
        if body["kind"] == "members":
            return self.add(body["people"])
        if body["kind"] == "leavers":
            for one in body["people"]:
                self.let_go(one["sha256"], one["customer_id"])
        return OK

    def add(self, people: list[dict[str, Any]]) -> Said:
        allowed = self.model.allowed("email")
        for one in people:
            assert allowed.get(one["email"]) == one["customer_id"], "somebody comes who may not be written to"
        if self.refuses in [one["customer_id"] for one in people]:
            if len(people) == 1:
                self.unwanted.add((people[0]["email"], self.refuses))
                self.held.pop(people[0]["email"], None)
            return 422, {}, {}
        for one in people:
            self.held[one["email"]] = one["customer_id"]
            self.unwanted.discard((one["email"], one["customer_id"]))
        return OK

    def let_go(self, named: str | None, number: str) -> None:
        for address, holder in (*self.held.items(), *self.unwanted):
            if hashlib.sha256(address.encode()).hexdigest() == named or (not named and holder == number):
                self.held.pop(address, None)
                self.unwanted.discard((address, holder))


def run(shop: Connection, hook: Webhook) -> None:
    asked = permission.load(ROUTE)
    drawn = activation.draw(shop, ROUTE, asked, ONE)
    to = Receiver(hook.url, "secret")
    delivery.hand_over(shop, ROUTE, asked, drawn, to, who="test", why="test", approved_by="test")


def play(shop: Connection, history: list[Any], hook: Webhook) -> None:
    """Play one history, and run at its end."""
    model, errors = Model(), list[AssertionError]()
    crm = Crm(model)

    def answer(body: dict[str, Any]) -> Said:
        try:
            return crm.answer(body)
        except AssertionError as error:
            errors.append(error)
            return 500, {}, {}

    hook.answer = answer
    open_shop(shop, model)
    for number in list(model.customers):
        do(shop, model, ("grant", number, "email"))
    for what, number, channel in (*history, ("run", 0, "")):
        if not what.startswith("run"):
            do(shop, model, (what, number, channel))
            continue
        crm.answers = number if what == "run broken" else 1_000
        crm.refuses = str(number) if what == "run choosy" else ""
        try:
            run(shop, hook)
        except TransientError:
            assert what == "run broken" or errors
        else:
            expected = {a: n for a, n in model.allowed("email").items() if (a, n) not in crm.unwanted}
            assert crm.held == expected
            sent = len(hook.posts)
            if what == "run":
                run(shop, hook)
                again = [p for p in hook.posts[sent:] if p["kind"] != "suppressed"]
                assert again == [], "a second run without changes sends nobody"
        assert not errors, errors[0]


@pytest.mark.fresh
def test_nobody_is_pushed_without_a_grant_and_nobody_is_lost(
    make_pair: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "BATCH", 2)
    monkeypatch.setattr(push, "GIVE_UP_S", 0.0)
    pair = make_pair()
    pair.pass_phases(["contacts"])
    with profiles.book(0, "of pushes") as booked, db.connect(read_dsn(pair.shop), "test") as shop, receiving() as hook:

        @seed(booked.seed)
        @_PROFILE
        @given(history=steps)
        def test(history: list[Any]) -> None:
            booked.begun += 1
            for step in history:
                note(str(step))
            play(shop, history, hook)

        test()
