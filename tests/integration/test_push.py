"""Activations that are pushed to a recipient's address: batches, keys, answers; and activations of one segment."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry import cli, db
from shopferry.errors import ConfigError, MappingError, PhaseError, TransientError
from shopferry.insight import activation, activation_file, delivery, permission, push
from shopferry.insight.activation_file import Activation, Segment
from shopferry.insight.delivery import Outcome
from shopferry.insight.push import Receiver
from shopferry.insight.selects import Select
from shopferry.stores import origin
from webhook import OK, Said, Webhook, receiving

PEOPLE = 10
BODY = "SELECT id AS customer_id, email, given_name FROM shop.customer"
ONE = Activation(
    "crm", "webhook", "marketing", "email", "The CRM", "Ada", "daily", Select(Path("demo/activate/crm.sql"), 7, BODY)
)


@pytest.fixture
def moved(pair: Pair) -> Pair:
    """Ten people who may be written to by e-mail."""
    pair.write(
        "INSERT INTO customers (id, login, email, full_name, bill_country, newsletter, created_at) "
        "SELECT n, 'p' || n, 'p' || n || '@example.com', 'Ewa Lisowska', 'PL', 'N', '2015-01-01' "
        f"FROM generate_series(1, {PEOPLE}) n",
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        f"SELECT n, n, 'email', 'T', '2019-01-01', 'v1' FROM generate_series(1, {PEOPLE}) n",
    )
    pair.sync()
    pair.pass_phases()
    return pair


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four people, and no patience for a recipient that stays away."""
    monkeypatch.setattr(push, "BATCH", 4)
    monkeypatch.setattr(push, "GIVE_UP_S", 1.0)


@contextmanager
def session(pair: Pair) -> Iterator[db.Connection]:
    with db.connect(read_dsn(pair.shop), "test") as shop:
        yield shop


def hand(pair: Pair, hook: Webhook, one: Activation = ONE, approved_by: str | None = "Ada") -> Outcome:
    """One run."""
    asked = permission.load(ROUTE)
    with session(pair) as shop:
        drawn = activation.draw(shop, ROUTE, asked, one)
        to = Receiver(hook.url, "shared secret")
        return delivery.hand_over(shop, ROUTE, asked, drawn, to, who="test", why="test", approved_by=approved_by)


def customers(pair: Pair) -> list[str]:
    return [str(key) for (key,) in pair.ask("SELECT id FROM shop.customer ORDER BY id")]


def states(pair: Pair) -> dict[str, str]:
    return dict(pair.ask("SELECT customer_id, state FROM ferry.activation_member"))


def in_shop(pair: Pair, statement: str) -> None:
    with pair.shop.transaction():
        pair.shop.execute(f"SELECT {origin.WRITER}".encode())
        pair.shop.execute(statement.encode())


def withdraw(pair: Pair, *keys: str) -> None:
    in_shop(
        pair,
        f"UPDATE shop.consent SET state = 'withdrawn', withdrawn_at = now() WHERE customer_id IN ({', '.join(keys)})",
    )


def test_members_come_in_batches_each_with_a_key_and_a_signature_of_its_own(moved: Pair) -> None:
    with receiving() as hook:
        done = hand(moved, hook)
        assert [len(p["people"]) for p in hook.posts] == [4, 4, 2]
        assert hook.keys == [f"demo-crm-1-members-{n}" for n in (1, 2, 3)]
        assert hook.list_people("members") == customers(moved)
        first = hook.posts[0]
        assert {k: first[k] for k in first if k != "people"} == {
            "activation": "crm",
            "run": 1,
            "purpose": "marketing",
            "channel": "email",
            "kind": "members",
            "batch": "1",
        }
        assert first["people"][0] == {
            "customer_id": customers(moved)[0],
            "email": "p1@example.com",
            "given_name": "Ewa",
            "basis": "consent",
        }
        for body, signature in hook.raw:
            assert signature == "sha256=" + hmac.new(b"shared secret", body, hashlib.sha256).hexdigest()
    assert (done.refused, done.stuck, list(done.files)) == (0, 0, [])
    assert set(states(moved).values()) == {"in"} and len(states(moved)) == PEOPLE
    with receiving() as hook:
        hand(moved, hook, approved_by=None)
        assert hook.posts == [], "a second run without changes sends nothing"


def test_leavers_come_before_members_and_suppressions_are_hashes(moved: Pair) -> None:
    first, second, *_ = customers(moved)
    with receiving() as hook:
        hand(moved, hook)
    withdraw(moved, first)
    in_shop(moved, f"UPDATE shop.customer SET given_name = 'Ewelina' WHERE id = {second}")
    with receiving() as hook:
        hand(moved, hook)
        assert [p["kind"] for p in hook.posts] == ["leavers", "suppressed", "members"]
        leaver = {"customer_id": first, "sha256": hashlib.sha256(b"p1@example.com").hexdigest()}
        assert hook.posts[0]["people"] == [leaver] and hook.posts[1]["people"] == [leaver]
        assert hook.list_people("members") == [second]
        assert b"p1@example.com" not in b"".join(body for body, _ in hook.raw)
    assert states(moved)[first] == "out"


@pytest.mark.parametrize("code", [400, 413, 422])
def test_one_member_who_is_not_taken_loses_none_of_the_others(moved: Pair, code: int) -> None:
    bad = customers(moved)[5]

    def answer(body: dict[str, Any]) -> Said:
        return (code, {}, {}) if any(p["customer_id"] == bad for p in body["people"]) else OK

    with receiving(answer) as hook:
        done = hand(moved, hook)
        assert sorted(hook.list_people("members"), key=int) == [c for c in customers(moved) if c != bad]
        assert len(set(hook.keys)) == len(hook.keys), "another content has another key"
    assert done.refused == 1 and done.told[0].startswith("1 people were refused")
    assert states(moved)[bad] == "refused" and list(states(moved).values()).count("in") == PEOPLE - 1
    with receiving(answer) as hook:
        hand(moved, hook)
        assert hook.posts == [], "as long as nothing changes"
    in_shop(moved, f"UPDATE shop.customer SET given_name = 'Ewelina' WHERE id = {bad}")
    with receiving() as hook:
        assert hand(moved, hook).refused == 0
        assert hook.list_people("members") == [bad] and states(moved)[bad] == "in"


def test_members_that_the_answer_names_are_booked_as_refused(moved: Pair) -> None:
    bad = customers(moved)[2]
    with receiving(lambda body: (207, {}, {"refused": [{"customer_id": bad, "why": "no such city"}]})) as hook:
        assert hand(moved, hook).refused == 1
        assert len(hook.posts) == 3, "nothing is halved"
    assert [c for c, state in states(moved).items() if state == "refused"] == [bad]


@pytest.mark.parametrize("told", [b"OK", b"[1, 2]", b'{"refused": 7}'.replace(b"7", b"[7]"), b""])
def test_an_answer_of_another_kind_is_a_yes(moved: Pair, told: bytes) -> None:
    with receiving(lambda body: (200, {}, told)) as hook:
        assert hand(moved, hook).refused == 0
    assert set(states(moved).values()) == {"in"}


@pytest.mark.parametrize("code", [429, 503])
def test_a_recipient_that_asks_to_wait_gets_the_same_batch_again_with_the_same_key(moved: Pair, code: int) -> None:
    waited = [time.monotonic()]

    def answer(body: dict[str, Any]) -> Said:
        waited.append(time.monotonic())
        return (code, {"Retry-After": "1"}, {}) if len(waited) == 2 else OK

    with receiving(answer) as hook:
        hand(moved, hook)
        assert hook.keys[0] == hook.keys[1] and hook.raw[0] == hook.raw[1]
        assert waited[2] - waited[1] >= 1.0, "as long as it asked for"
        assert hook.list_people("members") == customers(moved)


def test_what_was_answered_before_the_recipient_went_away_is_not_sent_again(moved: Pair) -> None:
    with receiving(lambda body: OK if body["batch"] == "1" else (500, {}, {})) as hook:
        with pytest.raises(TransientError, match=r"^the recipient at 127.0.0.1 answers 500$"):
            hand(moved, hook)
        there = hook.list_people("members")
    assert len(there) == 4 and sorted(states(moved).values()) == ["failed"] * 6 + ["in"] * 4
    with receiving() as hook:
        hand(moved, hook, approved_by=None)
        assert hook.list_people("members") == customers(moved)[4:]
    assert set(states(moved).values()) == {"in"}


def test_nobody_who_withdrew_while_the_recipient_was_away_is_handed_over(moved: Pair) -> None:
    with receiving(lambda body: (500, {}, {})) as hook, pytest.raises(TransientError):
        hand(moved, hook)
    gone = customers(moved)[0]
    withdraw(moved, gone)
    with receiving() as hook:
        hand(moved, hook)
        assert gone not in hook.list_people("members") and gone in hook.list_people("leavers")


def test_who_withdraws_while_the_run_is_under_way_is_in_none_of_the_batches_to_come(
    moved: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "LOOK_AGAIN_S", 0.0)
    late = customers(moved)[-1]

    def answer(body: dict[str, Any]) -> Said:
        if body["batch"] == "1":
            withdraw(moved, late)
        return OK

    with receiving(answer) as hook:
        done = hand(moved, hook)
        assert hook.list_people("members") == customers(moved)[:-1]
    assert done.run.withheld == 1 == moved.one("SELECT withheld FROM ferry.activation_run")
    assert states(moved)[late] == "failed", "it was announced and not sent"
    with receiving() as hook:
        hand(moved, hook)
        assert hook.list_people("leavers") == [late] and hook.list_people("members") == []


@pytest.mark.parametrize("code", [302, 401, 403, 404])
def test_a_wrong_address_or_secret_ends_the_run_at_once(moved: Pair, code: int) -> None:
    with receiving(lambda body: (code, {}, {})) as hook:
        with pytest.raises(ConfigError) as refused:
            hand(moved, hook)
        assert len(hook.posts) == 1
    assert str(refused.value).startswith(f"the recipient at 127.0.0.1 answers {code}")
    assert "top-secret" not in str(refused.value) and set(states(moved).values()) == {"failed"}


def test_a_leaver_of_whom_it_will_not_hear_is_told_again(moved: Pair) -> None:
    first, second, *_ = customers(moved)
    with receiving() as hook:
        hand(moved, hook)
    withdraw(moved, first, second)

    def answer(body: dict[str, Any]) -> Said:
        deaf = body["kind"] == "leavers" and first in [p["customer_id"] for p in body["people"]]
        return (422, {}, {}) if deaf else OK

    with receiving(answer) as hook:
        done = hand(moved, hook)
    assert done.stuck == 1 and (states(moved)[first], states(moved)[second]) == ("in", "out")
    with receiving() as hook:
        assert hand(moved, hook).stuck == 0
        assert hook.list_people("leavers") == [first]


def test_an_address_without_tls_and_a_missing_secret_are_refused() -> None:
    for url, secret, says in (
        ("http://crm.example.com/people", "s", "must begin with https://"),
        ("ftp://crm.example.com", "s", "must begin with https://"),
        ("https://crm.example.com/people", "", "no secret for the recipient at crm.example.com"),
    ):
        with pytest.raises(ConfigError, match=says):
            Receiver(url, secret)
    assert "token" not in repr(Receiver("https://crm.example.com/?token=x", "s"))


def test_only_a_webhook_is_pushed_to(moved: Pair) -> None:
    with receiving() as hook, pytest.raises(ConfigError, match="csv takes files"):
        hand(moved, hook, Activation(**{**vars(ONE), "destination": "csv"}))


def test_before_a_phase_is_through_nobody_is_to_be_written_to(moved: Pair, make_db: Callable[..., str]) -> None:
    assert activation.is_filled(moved.shop, ROUTE)
    with db.connect(make_db("bare"), "test") as bare:
        assert not activation.is_filled(bare, ROUTE)
    moved.shop.execute("UPDATE ferry.phase SET state = 'new'")
    assert not activation.is_filled(moved.shop, ROUTE)


def test_the_first_push_wants_an_approval(moved: Pair) -> None:
    with receiving() as hook:
        with pytest.raises(PhaseError, match=f"{PEOPLE} people come in"):
            hand(moved, hook, approved_by=None)
        assert hook.posts == []


@pytest.fixture
def run(moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`run(*words)` is `shopferry activate run crm …`, an activation of the test's own route."""
    import shutil

    from shopferry.settings import SQL_ROOT

    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    head = "".join(
        f"-- {word}: {value}\n"
        for word, value in (
            ("destination", "webhook"),
            ("purpose", "marketing"),
            ("channel", "email"),
            ("recipient", "The CRM"),
            ("owner", "Ada"),
            ("schedule", "daily"),
        )
    )
    (tmp_path / "demo" / "activate" / "crm.sql").write_text(f"{head}{BODY}\n")
    for name, value in (
        ("ROUTES", str(tmp_path)),
        ("LEGACY_DSN", read_dsn(moved.legacy)),
        ("SHOP_DSN", read_dsn(moved.shop)),
        ("KAFKA", "127.0.0.1:1"),
        ("ACTIVATE_SECRET", "shared secret"),
    ):
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    return lambda *words: cli.main(["activate", "run", "crm", "--why", "test", *words])


def test_the_verb_pushes_to_an_address_and_logs_nobody(
    run: Callable[..., int],
    moved: Pair,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([(503, {}, {}), OK, OK, (422, {}, {})])
    with caplog.at_level(logging.DEBUG), receiving(lambda body: next(answers, OK)) as hook:
        assert run("--to", hook.url, "--approve", "Ada", "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["gained"] == PEOPLE and told["files"] == [] and told["refused"] == 0
    said = err + caplog.text + out
    assert "answers 503" in said and "@example.com" not in said and "top-secret" not in said and "secret" not in said
    monkeypatch.setenv("SHOPFERRY_ACTIVATE_SECRET", "")
    assert run("--to", hook.url) == 1
    assert "there is no secret" in capsys.readouterr().err


def within(scheme: str, name: str) -> Activation:
    return Activation(**{**vars(ONE), "segment": Segment(scheme, name, 6)})


def make_segments(pair: Pair, *rows: tuple[str, str, str]) -> None:
    """The new shop's table of segments, as the shop itself keeps it."""
    pair.shop.execute(
        "CREATE TABLE IF NOT EXISTS shop.customer_segment (customer_id bigint, scheme text, segment text)"
    )
    pair.shop.execute("TRUNCATE shop.customer_segment")
    with pair.shop.cursor() as cursor:
        cursor.executemany("INSERT INTO shop.customer_segment VALUES (%s, %s, %s)", rows)


@pytest.mark.fresh
def test_an_activation_of_a_segment_tells_of_its_customers_and_of_those_who_left_it(moved: Pair) -> None:
    one, two, three, *_ = customers(moved)
    make_segments(
        moved,
        (one, "lifecycle", "new"),
        (two, "lifecycle", "new"),
        (three, "lifecycle", "lost"),
        (three, "value", "new"),
    )
    with receiving() as hook:
        hand(moved, hook, within("lifecycle", "new"))
        assert hook.list_people("members") == [one, two]
    make_segments(moved, (two, "lifecycle", "new"), (one, "lifecycle", "lost"))
    with receiving() as hook:
        hand(moved, hook, within("lifecycle", "new"))
        assert hook.list_people("leavers") == [one] and hook.list_people("members") == []


@pytest.mark.fresh
def test_a_segment_does_not_make_anybody_one_who_may_be_written_to(moved: Pair) -> None:
    one, two, *_ = customers(moved)
    make_segments(moved, (one, "value", "top"), (two, "value", "top"))
    withdraw(moved, one)
    with receiving() as hook:
        hand(moved, hook, within("value", "top"))
        assert hook.list_people("members") == [two]


@pytest.mark.fresh
def test_an_unknown_segment_is_refused_with_those_that_there_are(moved: Pair) -> None:
    one, two, *_ = customers(moved)
    with receiving() as hook:
        with pytest.raises(MappingError, match=r"crm.sql:6: the new shop has no table shop.customer_segment"):
            hand(moved, hook, within("lifecycle", "new"))
        make_segments(moved)
        with pytest.raises(MappingError, match="none: no customer is in any segment yet"):
            hand(moved, hook, within("lifecycle", "new"))
        make_segments(moved, (one, "value", "top"), (two, "lifecycle", "new"), (one, "lifecycle", "new"))
        with pytest.raises(MappingError) as refused:
            hand(moved, hook, within("lifecycle", "nwe"))
        assert str(refused.value) == (
            "demo/activate/crm.sql:6: segment lifecycle/nwe is none of the shop's: lifecycle/new, value/top"
        )
        assert hook.posts == []


def test_the_header_is_read(tmp_path: Path, run: Callable[..., int], moved: Pair) -> None:
    file = tmp_path / "demo" / "activate" / "crm.sql"
    whole = file.read_text()
    file.write_text(f"-- segment: lifecycle/new\n{whole}")
    found = activation_file.find(activation_file.load(ROUTE, tmp_path), "crm")
    assert found.segment == Segment("lifecycle", "new", 1)
    for wrong in ("lifecycle", "/new", "lifecycle/"):
        file.write_text(f"-- segment: {wrong}\n{whole}")
        with pytest.raises(MappingError, match=r"crm.sql:1: segment '.*' is none: write it as `scheme/name`"):
            activation_file.load(ROUTE, tmp_path)
