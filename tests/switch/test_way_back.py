"""The way back on the real stack: armed, used under the writer there and back, completed when it died, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from live import RATE, Flow, acknowledged
from shopferry import cli, db, phase_steps, stack
from shopferry.cdc import proof
from shopferry.control import phases, quarantine
from shopferry.control.gates import Gate
from shopferry.cutover import gates, losses, rollback, switch, way_back
from shopferry.cutover.rollback import roll_back
from shopferry.demo import ledger
from shopferry.demo.writer import run_beside
from shopferry.engine import pair
from shopferry.errors import GateError, VerificationError
from shopferry.health import measure
from shopferry.health.problems import find_problems
from shopferry.phase_steps import Options
from shopferry.route.losses import load_decisions
from shopferry.route.route import Route
from shopferry.route.settings import Allowance, Terms
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify import differ
from waiting import until

pytestmark = pytest.mark.stack
BACK = Route.load("demo_reverse")


def states(settings: Settings) -> tuple[set[str], set[str]]:
    """The states of the phases there and back."""
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        return (
            {p.state for p in phases.load_all(new, settings.route)},
            {p.state for p in phases.load_all(legacy, BACK.name)},
        )


def open_stores(settings: Settings) -> list[str]:
    """The stores without a fence."""
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        return [name for name, conn in (("legacy", legacy), ("shop", new)) if not fence.find_fenced(conn)]


def test_what_nobody_has_changed_would_stay_as_it_is(settings: Settings) -> None:
    """The mappings back make of the untouched shop what stands in legacy, to the letter; rows that never moved apart."""
    assert states(settings) == ({"verified"}, {"cut_over"})
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        stayed = {
            (entity.removeprefix("shop."), key)
            for table in ("quarantine", "left_out")
            for entity, key in new.execute(f"SELECT entity, row_key FROM ferry.{table}".encode()).fetchall()
        }
        made_of = {m.counts.table: m.entity.removeprefix("shop.") for m in Route.load("demo").mappings if m.counts}
        for unit in BACK.mappings:
            table = unit.entity.removeprefix("public.")
            for found in (d for part in differ.compare(legacy, unit) for d in part.found):
                merged = table == "customers" or table == "consents"  # whose rows of merged accounts are led back to
                assert found.kind == "extra", found
                assert (made_of[table], found.key) in stayed or merged, found
        assert (
            legacy.execute("SELECT count(*) FROM mirror.customer_order").fetchone()
            == new.execute("SELECT count(*) FROM shop.customer_order").fetchone()
        )


def judge_way_back(settings: Settings) -> Gate:
    with pair.open_stores(settings.reversed, "test") as s:
        return way_back.gate(s, settings)


def test_the_gate_wants_a_marker_to_make_the_round(settings: Settings, each_limit: Callable[..., None]) -> None:
    until(lambda: judge_way_back(settings).met)  # a busy machine may still carry what tests before wrote
    each_limit("ROUND_TRIP_S")
    gate = judge_way_back(settings)
    assert gate.met and "a marker went from the new shop to legacy in" in gate.evidence
    consumer = next(s.pid for s in stack.status() if s.name == "sync-reverse")
    assert consumer
    os.kill(consumer, signal.SIGSTOP)
    try:
        gate = judge_way_back(settings)
        assert not gate.met and "events behind" in gate.evidence
    finally:
        os.kill(consumer, signal.SIGCONT)
    until(lambda: judge_way_back(settings).met)


def test_somebody_accepts_by_name_what_cannot_be_carried(settings: Settings) -> None:
    route = Route.load("demo")
    lost = load_decisions(BACK)
    assert len(lost) > 10
    with db.connect(settings.target_dsn, "test") as new:
        for line in lost:
            schema, table, column = line.name.split(".")
            assert new.execute(
                "SELECT FROM information_schema.columns WHERE (table_schema, table_name) = (%s, %s) AND column_name LIKE %s",
                (schema, table, column.replace("*", "%")),
            ).fetchall(), line
    assert not losses.judge_accepted(route, None).met
    assert losses.judge_accepted(route, "Anna").evidence.endswith("accepted by Anna")


def test_the_gate_wants_legacys_numbers_to_be_readable(settings: Settings) -> None:
    with db.connect(settings.source_dsn, "test") as legacy:
        row = legacy.execute("SELECT pg_get_serial_sequence('consents', 'id')").fetchone()
        legacy.execute(f"ALTER TABLE consents ALTER id DROP DEFAULT; ALTER SEQUENCE {row[0]} OWNED BY NONE".encode())  # type: ignore[index]
        try:
            gate = judge_way_back(settings)
            assert not gate.met and "public.consents.id is not numbered by a sequence" in gate.evidence
        finally:
            legacy.execute(
                f"ALTER TABLE consents ALTER id SET DEFAULT nextval('{row[0]}'); "  # type: ignore[index]
                f"ALTER SEQUENCE {row[0]} OWNED BY consents.id".encode()  # type: ignore[index]
            )
    assert judge_way_back(settings).met


def test_what_legacy_refuses_keeps_the_new_shop_open(
    ready: Flow, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = "SELECT full_name ~ ' Odd$', last_ip FROM customers WHERE id = %s"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        row = new.execute(
            "SELECT min(legacy_customer_id), customer_id FROM shop.customer_account GROUP BY 2 HAVING count(*) = 1 LIMIT 1"
        ).fetchone()
        assert row
        account, person = row
        legacy.execute("UPDATE customers SET last_ip = '10.0.0.1' WHERE id = %s", (account,))  # which nothing maps
        way_back.arm(settings)
        switch.cut_over(settings, "test")
        legacy.execute("ALTER TABLE customers ADD CONSTRAINT odd CHECK (full_name NOT LIKE '% Odd') NOT VALID")
        new.execute("UPDATE shop.customer SET given_name = 'Jan', family_name = 'Odd' WHERE id = %s", (person,))
        until(lambda: quarantine.count_by_reason(legacy))
        assert legacy.execute(theirs, (account,)).fetchone() == (False, "10.0.0.1")
        with pytest.raises(GateError, match="1 of 9 gates not met: nothing held back: 1 rows refused_by_constraint"):
            roll_back(settings, "test")
        assert cli.main(["gates", "--json"]) == 1
        judged = {g["gate"]: g["met"] for g in json.loads(capsys.readouterr().out)}
        assert [gate for gate, met in judged.items() if not met] == ["nothing held back"]
        with pair.open_stores(settings.reversed, "test") as s:
            for rows, met in ((0, False), (1, True)):
                allowed = {"refused_by_constraint": Allowance("refused_by_constraint", rows, "Anna")}
                assert gates.judge_held_back(s, Terms(way_back_quarantine=allowed)).met is met
        with monkeypatch.context() as patched:  # refused between the gates and the lock
            patched.setattr(rollback.gates, "require_back", lambda _: [])
            with pytest.raises(GateError, match="nothing held back"):
                roll_back(settings, "test")
        assert open_stores(settings) == ["shop"]
        assert states(settings) == ({"cut_over"}, {"in_sync"})

        assert cli.main(["quarantine", "list", "--reverse", "--json"]) == 0
        [held] = json.loads(capsys.readouterr().out)
        assert held == {"entity": "public.customers", "reason": "refused_by_constraint", "rows": 1}
        legacy.execute("ALTER TABLE customers DROP CONSTRAINT odd")
        assert cli.main(["quarantine", "release", "--reverse"]) == 0
        roll_back(settings, "test")
        assert legacy.execute(theirs, (account,)).fetchone() == (True, "10.0.0.1")
    phase_steps.run_again(settings, "test", lambda _: None)
    assert not ready.differences()


def test_what_is_too_long_for_legacy_is_kept_or_keeps_the_new_shop_open(ready: Flow, settings: Settings) -> None:
    long, changed = "Bardzo długa " + "a" * 250, "Zmieniona " + "b" * 250
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        way_back.arm(settings)
        switch.cut_over(settings, "test")
        book = new.execute(
            "SELECT id, legacy_address_id FROM shop.customer_address WHERE legacy_address_id IS NOT NULL ORDER BY id LIMIT 2"
        ).fetchall()
        order = new.execute("SELECT max(id) FROM shop.customer_order").fetchone()
        for (address, _), street in zip(book, (long, changed), strict=True):
            new.execute("UPDATE shop.customer_address SET street = %s WHERE id = %s", (street, address))
        new.execute("UPDATE shop.customer_order SET number = repeat('9', 40) WHERE id = %s", order)
        until(lambda: quarantine.count_by_reason(legacy))
        assert quarantine.count_by_reason(legacy) == [("public.orders", "refused_by_type", 1)]
        with pytest.raises(GateError, match="nothing held back: 1 rows refused_by_type"):
            roll_back(settings, "test")
        new.execute("UPDATE shop.customer_order SET number = repeat('9', 30) WHERE id = %s", order)
        until(lambda: not quarantine.count_by_reason(legacy))

        roll_back(settings, "test")
        streets = "SELECT street FROM addresses WHERE id = ANY(%s) ORDER BY id"
        theirs = [account for _, account in book]
        assert sorted(legacy.execute(streets, (theirs,)).fetchall()) == sorted([(long[:255],), (changed[:255],)])
        phase_steps.run_again(settings, "test", lambda _: None)
        ours = "SELECT street FROM shop.customer_address WHERE id = %s"
        assert new.execute(ours, (book[0][0],)).fetchone() == (long[:255],)
        legacy.execute("UPDATE addresses SET street = 'Nowa 1' WHERE id = %s", (book[1][1],))

        way_back.arm(settings)
        switch.cut_over(settings, "test")
        assert new.execute(ours, (book[0][0],)).fetchone() == (long,)
        assert new.execute(ours, (book[1][0],)).fetchone() == ("Nowa 1",)
        assert new.execute("SELECT count(*) FROM ferry.kept").fetchone() == (0,)
        roll_back(settings, "test")
        assert new.execute('SELECT entity, "column", value FROM ferry.kept').fetchall() == [
            ("shop.customer_address", "street", long)
        ]
        phase_steps.run_again(settings, "test", lambda _: None)
    assert not ready.differences()


def test_what_was_emptied_of_a_customer_who_left_stays_in_legacy_as_it_was(ready: Flow, settings: Settings) -> None:
    columns = "customer_id, note, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone"
    theirs = f"SELECT {columns} FROM orders WHERE id = %s"
    history = "SELECT id, changed_by, note FROM order_status_log WHERE order_id = %s ORDER BY id"
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        emptied = "SELECT id FROM shop.customer_order WHERE 'of_deleted_customer' = ANY(notes) ORDER BY id LIMIT 2"
        until(lambda: len(new.execute(emptied).fetchall()) == 2)
        (sent,), (called,) = new.execute(emptied).fetchall()
        legacy.execute(
            "UPDATE orders SET note = 'kod 1234', ship_country = 'PL', ship_postcode = '00950', ship_phone = '601 234 567' "
            "WHERE id = ANY(%s)",
            ([sent, called],),
        )
        legacy.execute(
            "UPDATE order_status_log SET note = 'odebrał sąsiad' WHERE order_id = ANY(%s)", ([sent, called],)
        )
        way_back.arm(settings)
        before = {order: legacy.execute(theirs, (order,)).fetchone() for order in (sent, called)}
        written = legacy.execute(history, (sent,)).fetchall()
        switch.cut_over(settings, "test")
        assert new.execute("SELECT postcode, phone FROM shop.delivery WHERE order_id = %s", (sent,)).fetchone() == (
            "00",
            None,
        )
        new.execute("UPDATE shop.customer_order SET status = 'refunded' WHERE id = %s", (sent,))
        new.execute(
            "UPDATE shop.order_event SET happened_at = happened_at + interval '1 day' WHERE order_id = %s", (sent,)
        )
        new.execute("UPDATE shop.delivery SET phone = '+48601999888' WHERE order_id = %s", (called,))
        roll_back(settings, "test")
        assert legacy.execute("SELECT status_code FROM orders WHERE id = %s", (sent,)).fetchone() == ("REFUND",)
        assert legacy.execute(theirs, (sent,)).fetchone() == before[sent]
        assert legacy.execute(history, (sent,)).fetchall() == written
        assert legacy.execute(theirs, (called,)).fetchone() == (*before[called][:-1], "+48601999888")  # type: ignore[index]
        phase_steps.run_again(settings, "test", lambda _: None)
    assert not ready.differences()


def test_who_takes_back_a_consent_in_the_new_shop_has_done_so_for_all_their_old_accounts(
    ready: Flow, settings: Settings
) -> None:
    """Else the grant of another account comes to life again once the one that decided has left."""
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        row = new.execute(
            """SELECT m.customer_id, array_agg(m.legacy_customer_id ORDER BY m.legacy_customer_id) FROM shop.customer_account m
               WHERE NOT EXISTS (SELECT FROM shop.consent s
                                 WHERE s.customer_id = m.customer_id AND s.purpose = 'marketing' AND s.channel = 'post')
               GROUP BY 1 HAVING count(*) = 2 ORDER BY 1 LIMIT 1"""
        ).fetchone()
        assert row
        person, accounts = row
        legacy.execute(
            """INSERT INTO consents (customer_id, channel, granted, granted_at, wording)
               SELECT unnest(%s::integer[]), 'post', 'T', now() AT TIME ZONE 'Europe/Warsaw', 'v6'""",
            (accounts,),
        )
        held = "SELECT state, legacy_customer_id FROM shop.consent WHERE customer_id = %s AND channel = 'post'"
        until(lambda: new.execute(held, (person,)).fetchall() == [("granted", accounts[1])])

        way_back.arm(settings)
        switch.cut_over(settings, "test")
        new.execute(
            "UPDATE shop.consent SET state = 'withdrawn', withdrawn_at = now() WHERE customer_id = %s AND channel = 'post'",
            (person,),
        )
        roll_back(settings, "test")
        ended = legacy.execute(
            "SELECT customer_id, withdrawn_at IS NOT NULL FROM consents WHERE customer_id = ANY(%s) AND channel = 'post'",
            (accounts,),
        ).fetchall()
        assert sorted(ended) == [(account, True) for account in accounts]
        phase_steps.run_again(settings, "test", lambda _: None)
        legacy.execute("UPDATE customers SET deleted = 'T' WHERE id = %s", (accounts[1],))
        until(lambda: new.execute(held, (person,)).fetchall() != [("withdrawn", accounts[1])])
        assert new.execute(held, (person,)).fetchall() == [("withdrawn", accounts[0])]
    assert not ready.differences()


def test_who_takes_back_the_newsletter_in_the_new_shop_gets_it_by_none_of_their_old_accounts(
    ready: Flow,
    settings: Settings,
) -> None:
    """Legacy writes to every account whose flag says so; and a withdrawal must stay with each when they part."""
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:

        def persons(having: int, limit: int) -> dict[int, list[int]]:
            """Customer → old accounts, of people without a consent by e-mail; their flags say yes, since 2011."""
            found = dict(
                new.execute(
                    """SELECT m.customer_id, array_agg(m.legacy_customer_id ORDER BY m.legacy_customer_id)
                       FROM shop.customer_account m
                       WHERE NOT EXISTS (SELECT FROM shop.consent s WHERE s.customer_id = m.customer_id
                                         AND s.purpose = 'marketing' AND s.channel = 'email')
                       GROUP BY 1 HAVING count(*) = %s ORDER BY 1 LIMIT %s""",
                    (having, limit),
                ).fetchall()
            )
            assert len(found) == limit
            legacy.execute(
                "UPDATE customers SET newsletter = 'Y', newsletter_date = '05.03.2011' WHERE id = ANY(%s)",
                ([account for accounts in found.values() for account in accounts],),
            )
            return found

        def flags(accounts: list[int]) -> list[tuple[str, str | None]]:
            said = "SELECT newsletter, newsletter_date FROM customers WHERE id = ANY(%s) ORDER BY id"
            return legacy.execute(said, (accounts,)).fetchall()

        def held(person: int) -> list[tuple[str]]:
            state = "SELECT state FROM shop.consent WHERE customer_id = %s AND purpose = 'newsletter'"
            return new.execute(state, (person,)).fetchall()

        (both, theirs), (again, refused) = persons(2, 2).items()
        (all_at_once, one), (untimed, two), (untouched, three), (newcomer, four) = persons(1, 4).items()
        legacy.execute(
            "UPDATE customers SET newsletter = 'N', newsletter_date = '2012-01-01' WHERE id = %s", (refused[0],)
        )
        legacy.execute("UPDATE customers SET newsletter = 'N', newsletter_date = NULL WHERE id = %s", (four[0],))
        legacy.execute(
            """INSERT INTO consents (customer_id, channel, granted, granted_at, wording)
               VALUES (%s, 'email', 'T', now() AT TIME ZONE 'Europe/Warsaw', 'v6')""",
            (one[0],),
        )
        until(lambda: held(again) == [("withdrawn",)] and not held(newcomer) and held(untouched) == [("unproven",)])

        way_back.arm(settings)
        switch.cut_over(settings, "test")
        new.execute(  # the one has no other consent, the other takes back all there are
            """UPDATE shop.consent SET state = 'withdrawn', withdrawn_at = '2024-05-06 12:00Z'
               WHERE customer_id = ANY(%s) AND channel = 'email'""",
            ([both, all_at_once],),
        )
        new.execute(
            "UPDATE shop.consent SET state = 'withdrawn' WHERE customer_id = %s AND purpose = 'newsletter'", (untimed,)
        )
        granted = "'granted', '2025-06-07 12:00Z', 'v6'"
        new.execute(
            f"""UPDATE shop.consent SET (state, granted_at, wording_version, withdrawn_at) = ROW({granted}, NULL)
                WHERE customer_id = %s AND purpose = 'newsletter'""".encode(),
            (again,),
        )
        new.execute(
            f"""INSERT INTO shop.consent (customer_id, purpose, channel, state, granted_at, wording_version)
                VALUES (%s, 'newsletter', 'email', {granted})""".encode(),
            (newcomer,),
        )
        new.execute("UPDATE shop.customer SET phone = '+48601000111' WHERE id = %s", (untouched,))
        roll_back(settings, "test")
        assert flags(theirs) == [("N", "2024-05-06")] * 2
        assert flags(one) == [("N", "2024-05-06")]
        assert flags(two)[0][0] == "N" and flags(two)[0][1] is not None
        assert flags(three) == [("Y", "05.03.2011")]
        assert flags(refused) == [("T", "2025-06-07"), ("Y", "05.03.2011")]
        assert flags(four) == [("T", "2025-06-07")]

        phase_steps.run_again(settings, "test", lambda _: None)
        assert [held(p) for p in (both, all_at_once, untimed)] == [[("withdrawn",)]] * 3
        # A flag proves nothing: it does not answer a refusal that was seen in legacy.
        assert [held(p) for p in (again, newcomer, untouched)] == [[("withdrawn",)], [("unproven",)], [("unproven",)]]
        legacy.execute("UPDATE customers SET email = 'parted@example.com' WHERE id = %s", (theirs[0],))
        parted = """SELECT s.state FROM shop.customer c JOIN shop.consent s ON s.customer_id = c.id
                    WHERE c.legacy_customer_id = ANY(%s) AND s.purpose = 'newsletter'"""
        until(lambda: new.execute(parted, (theirs,)).fetchall() == [("withdrawn",)] * 2)
    assert not ready.differences()


def test_there_and_back_and_there_again_loses_nothing(ready: Flow, settings: Settings, tmp_path: Path) -> None:
    book, begun = tmp_path / "ledger.jsonl", datetime.now(UTC)
    with run_beside(book, RATE):
        for _ in range(2):
            way_back.arm(settings)
            switch.cut_over(settings, "test")
            assert states(settings) == ({"cut_over"}, {"in_sync"})
            assert open_stores(settings) == ["shop"]
            with db.connect(settings.source_dsn, "test") as legacy:  # as after a mapping that leads back was mended
                legacy.execute("UPDATE ferry.route SET installed = 'other mappings' WHERE route = %s", (BACK.name,))
            assert not judge_way_back(settings).met
            assert way_back.arm(settings) == 0
            assert judge_way_back(settings).met
            assert states(settings) == ({"cut_over"}, {"in_sync"})
            enough = acknowledged(book, "shop") + 120
            until(lambda enough=enough: acknowledged(book, "shop") >= enough)  # type: ignore[misc]
            health = measure.measure(settings)
            assert (health.route, health.watched, find_problems(health)) == (BACK.name, True, [])
            assert health.events > 0 and health.written == "the legacy store"
            roll_back(settings, "test")
            assert states(settings) == ({"in_sync"}, {"cut_over"})
            assert open_stores(settings) == ["legacy"]
            with pytest.raises(GateError, match="phases verified: contacts is in_sync"):
                switch.cut_over(settings, "test")  # what was not carried back may differ: first merge_again
            phase_steps.run_again(settings, "test", lambda _: None)
        with pytest.raises(GateError, match=r"it was approved at .* UTC, and the shop was switched since, at "):
            switch.cut_over(settings, "test", approved=begun)
        assert open_stores(settings) == ["legacy"]
        begun = datetime.now(UTC)
        switch.cut_over(settings, "test", approved=begun)
        with pytest.raises(GateError, match=r"it was approved at .* UTC, and the shop was switched since, at "):
            roll_back(settings, "test", approved=begun)
        assert open_stores(settings) == ["shop"]
        enough = acknowledged(book, "shop") + 60
        until(lambda: acknowledged(book, "shop") >= enough)
    proof.await_both(settings)
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        assert quarantine.count_by_reason(legacy) == []
        report = ledger.check(book, legacy, new)
    assert report.acknowledged > 400
    assert report.missing == []
    assert report.failed_for_the_user == 0
    assert [r["store"] for r in ledger.read(book) if r["acknowledged"]].count("shop") > 100
    roll_back(settings, "test")
    with db.connect(settings.target_dsn, "test") as new, new.transaction():  # as a row of a table without an identity
        new.execute("SET LOCAL shopferry.writer = 'ferry'")
        new.execute(
            "INSERT INTO shop.customer_address (customer_id, source_key, city) SELECT id, 'born', 'X' FROM shop.customer LIMIT 1"
        )
    says = "extra.*`shopferry repair contacts`, then `shopferry phase run contacts`, `shopferry phase run orders`"
    with pytest.raises(VerificationError, match=says):
        phase_steps.run_again(settings, "test", lambda _: None)
    assert phase_steps.repair(settings, "contacts", "test").remaining == []
    phase_steps.run_again(settings, "test", lambda _: None)
    assert not ready.differences()


def test_a_rollback_that_died_is_completed_and_nothing_else_is_possible(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    way_back.arm(settings)
    switch.cut_over(settings, "test")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rollback.fence, "lift_fence", die)
        roll_back(settings, "test")
    assert open_stores(settings) == []
    with pytest.raises(GateError, match="a rollback has begun and closed the new shop"):
        switch.cut_over(settings, "test")
    roll_back(settings, "test")
    assert open_stores(settings) == ["legacy"]
    for phase in Route.load(settings.route).phases:
        phase_steps.run(settings, phase, "test", Options(), lambda _: None)
