"""Nothing outlives its period: what goes, what stays, and that a sweep takes nothing from who writes meanwhile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pair import ROUTE, Pair, other_flow, read_dsn
from psycopg.sql import Composed
from shopferry import cli, installation
from shopferry.backup import backup
from shopferry.cdc import broker as broker_module
from shopferry.control import backups
from shopferry.engine import verdicts
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import ConfigError
from shopferry.health import measure
from shopferry.health.problems import Code, find_problems
from shopferry.privacy import copies, retention
from shopferry.privacy.retention import Outcome
from shopferry.settings import Settings
from shopferry.stack.tansu import find_binary
from shopferry.stores import scratch
from waiting import until

IN_40_DAYS = timedelta(days=40)
JAN = "INSERT INTO customers (id, email, full_name) VALUES (1, 'jan@example.com', 'Jan Lis')"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of this test's own."""
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path / "data"))
    for name in ("BACKUP_COMMAND", "RESTORE_COMMAND", "BACKUP_ENCRYPT", "BACKUP_DECRYPT"):
        monkeypatch.delenv(f"SHOPFERRY_{name}", raising=False)
    return tmp_path / "data"


@pytest.fixture(scope="module", autouse=True)
def broker() -> Iterator[str]:
    """The embedded broker, without a topic."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    listen = ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    command = [str(find_binary()), "broker", *listen, "--storage-engine", "memory://tansu/"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        os.environ["SHOPFERRY_KAFKA"] = address
        try:
            until(lambda: answers(address))
            yield address
        finally:
            os.environ.pop("SHOPFERRY_KAFKA")
            running.terminate()


def answers(address: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address.split(":")[0], int(address.split(":")[1]))) == 0


def settings_of(pair: Pair) -> Settings:
    return Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka=os.environ["SHOPFERRY_KAFKA"])


def plant(pair: Pair, raws: list[str], kind: str = "email") -> None:
    """Verdicts as they are left when the last row that held the values has gone."""
    for start in range(0, len(raws), 1_000):
        verdicts.judge(pair.shop, [(kind, raw) for raw in raws[start : start + 1_000]])


def verdicts_on(pair: Pair, pattern: str) -> set[str]:
    return {raw for (raw,) in pair.ask("SELECT raw FROM ferry.standardized WHERE raw LIKE %s", pattern)}


def write_file(file: Path, days: float) -> Path:
    """A file of that age."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x")
    when = time.time() - days * 86_400
    os.utime(file, (when, when))
    return file


def removed(done: Outcome) -> dict[str, int]:
    return {p.place: p.removed for p in done.places if p.removed}


def test_a_sweep_under_live_writes_removes_every_orphaned_verdict_and_none_in_use(filled: Pair) -> None:
    filled.pass_phases()
    plant(filled, [f"gone{n}@planted.example" for n in range(10_000)])
    back = [f"back{n}@planted.example" for n in range(600)]  # judged before, and written again while the sweep runs
    plant(filled, back)
    stop, swept, written = threading.Event(), threading.Event(), list[str]()

    def write() -> None:
        for number, email in enumerate(back):
            if stop.is_set():
                break
            filled.write(
                f"INSERT INTO customers (id, email, full_name) VALUES ({800_000 + number}, '{email}', 'Jan Lis {number}')",
                f"INSERT INTO orders (id, number, customer_id, email) VALUES ({number + 900_000}, 'Z{number}', 0, '{email}')",
            )
            filled.sync()
            written.append(email)
            if swept.is_set() and len(written) > 20:
                break

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 5:
            time.sleep(0.01)
        done = retention.sweep(settings_of(filled))
    finally:
        swept.set()
        writer.join()
    assert len(written) > 10, "nobody wrote meanwhile"
    assert verdicts_on(filled, "gone%@planted.example") == set()
    assert verdicts_on(filled, "back%@planted.example") >= set(written)
    assert removed(done)["verdicts in the new shop"] >= 10_000
    filled.check()
    assert [filled.verify(phase).open for phase in ROUTE.phases] == [0, 0, 0, 0]


@pytest.mark.parametrize("echo", [True, False])
def test_a_verdict_that_a_batch_has_found_stays_until_the_batch_is_committed(pair: Pair, echo: bool) -> None:
    pair.write(
        "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, created_at) VALUES "
        "(1, 'Z1', 0, 'jan@example.com', 'NEW', 1, 'PLN', now())",
        "INSERT INTO order_items (order_id, sku, name, quantity, unit_price, vat_rate, line_total) "
        "VALUES (1, 'S', 'N', 1, 1, 23, 1)",
    )
    pair.pass_phases()
    verdicts.judge(pair.shop, [("currency", "zł")])
    with open_stores(settings_of(pair), "test") as other:
        sweeping = threading.Thread(target=copies.forget_verdicts, args=(other, [("currency", "zł")]))
        seen = threading.Event()

        def pause(statement: str) -> None:
            if seen.is_set() and sweeping.ident is None:
                sweeping.start()  # the batch has just asked which of its values have no verdict
                sweeping.join(0.5)
            if "ferry.standardized s WHERE s.kind" in statement:
                seen.set()

        with other_flow(read_dsn(pair.legacy)) as flow:
            writer = flow if echo else pair.legacy
            writer.execute("UPDATE orders SET currency = 'zł'")
            pair.shop.before = pause
            pair.sync()
        pair.shop.before = None
        assert sweeping.ident is not None
        sweeping.join()
    assert pair.ask("SELECT value FROM ferry.standardized WHERE raw = 'zł'") == [("PLN",)]
    pair.write("UPDATE orders SET note = 'x'")
    pair.sync()
    assert pair.ask("SELECT currency, note FROM shop.customer_order") == [("PLN", "x")]
    pair.check()


@pytest.mark.parametrize("before", [True, False])
def test_no_batch_waits_while_rows_are_looked_through_for_a_verdict(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    pair.write(JAN)
    pair.pass_phases()
    raws = [("email", "back@planted.example"), ("email", "gone@planted.example"), ("email", "jan@example.com")]
    verdicts.judge(pair.shop, raws)
    look = copies._find_held

    def look_beside_a_batch(s: Stores, held: Composed | None, values: Sequence[str]) -> set[str]:
        found = set() if before else look(s, held, values)
        pair.write("INSERT INTO customers (id, email, full_name) VALUES (2, 'back@planted.example', 'Ola Lis')")
        pair.sync()
        return look(s, held, values) if before else found

    monkeypatch.setattr(copies, "_find_held", look_beside_a_batch)
    pair.shop.execute("SET lock_timeout = '5s'")
    with open_stores(settings_of(pair), "test") as other:
        assert copies.forget_verdicts(other, raws) == 1
    pair.shop.execute("RESET lock_timeout")
    assert pair.ask("SELECT raw FROM ferry.standardized WHERE kind = 'email' AND judged_by < 0") == []
    assert verdicts_on(pair, "%@planted.example") == {"back@planted.example"}
    assert verdicts_on(pair, "jan@example.com") == {"jan@example.com"}
    pair.check()


def test_of_two_sweeps_that_meet_none_deletes_what_a_batch_has_found(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.write(JAN)
    pair.pass_phases()
    raws = [("email", "back@planted.example")]
    verdicts.judge(pair.shop, raws)
    look = copies._find_held

    def look_beside_the_other(s: Stores, held: Composed | None, values: Sequence[str]) -> set[str]:
        found = look(s, held, values)
        monkeypatch.setattr(copies, "_find_held", look)
        verdicts.judge(pair.shop, raws)  # as a batch does that needs it
        with pair.shop.transaction():
            pair.shop.execute(copies._CONDEMN, (-7, "email", [raws[0][1]], [raws[0][1]]))  # the other sweep begins
        return found

    monkeypatch.setattr(copies, "_find_held", look_beside_the_other)
    with open_stores(settings_of(pair), "test") as other:
        assert copies.forget_verdicts(other, raws) == 0
        assert verdicts_on(pair, "back@planted.example") == {"back@planted.example"}
        assert copies.forget_verdicts(other, raws) == 1


def test_what_a_witness_still_holds_and_what_no_mapping_judges_any_more(pair: Pair) -> None:
    pair.write(JAN)
    pair.pass_phases()
    pair.write("UPDATE customers SET email = 'new@example.com'")
    pair.sync()
    witnessed = pair.one("SELECT count(*) FROM ferry.standardized WHERE kind = 'email' AND raw = 'jan@example.com'")
    retention.sweep(settings_of(pair))
    assert (
        pair.one("SELECT count(*) FROM ferry.standardized WHERE kind = 'email' AND raw = 'jan@example.com'")
        == witnessed
    )
    pair.check()


@pytest.mark.fresh
def test_legacys_copy_of_the_verdicts_goes_with_those_of_the_new_shop(pair: Pair) -> None:
    assert ROUTE.back
    pair.write(JAN)
    pair.pass_phases()
    plant(pair, ["gone@planted.example"])
    installation.install(pair.shop, pair.legacy, ROUTE.back)
    for kind, raw in pair.ask("SELECT kind, raw FROM ferry.standardized"):
        verdicts.judge(pair.legacy, [(kind, raw)])
    verdicts.judge(pair.legacy, [("email", "gone before@planted.example")])
    done = retention.sweep(settings_of(pair))
    assert removed(done) == {"verdicts in the new shop": 1, "verdicts in legacy": 2}
    both = [
        sorted(conn.execute("SELECT kind, raw FROM ferry.standardized").fetchall()) for conn in (pair.shop, pair.legacy)
    ]
    assert both[0] == both[1] and ("email", "jan@example.com") in both[0]


def test_40_days_later_nothing_is_past_its_period_after_one_sweep(filled: Pair, data: Path) -> None:
    filled.pass_phases()
    settings, now = settings_of(filled), datetime.now(UTC) + IN_40_DAYS
    old = backup.take(settings, "me", "legacy", test_restore=True)
    proven = backup.take(settings, "me", "legacy", test_restore=True)
    untried = backup.take(settings, "me", "legacy")
    shop = backup.take(settings, "me", "shop")
    Path(old.file).with_suffix(".log").write_text("what a command said")
    plant(filled, ["gone@planted.example"])
    filled.shop.execute("CREATE DATABASE shopferry_demo_rehearsal_legacy")
    gone = [write_file(data / "requests" / "7.zip", 0), write_file(data / "reports" / "old.html", 330)]
    gone += [
        write_file(data / "backups" / f"demo-shop-20260101T000000000000.{end}", 0) for end in ("part", "dump", "log")
    ]
    stays = [write_file(data / "reports" / "new.html", 3), write_file(data / "backups" / "notes.txt", 900)]
    stays.append(write_file(data / "backups" / "other-shop-20260101T000000000000.dump", 900))  # another route's

    told = retention.sweep(settings, now, dry=True)
    assert {h.place for h in told.due} == {
        "verdicts in the new shop",
        "scratch databases",
        "backups",
        "reports",
        "exports",
    }
    assert all(f.exists() for f in [*gone, Path(old.file), Path(shop.file)])
    assert verdicts_on(filled, "gone%") and not removed(told)

    done = retention.sweep(settings, now)
    assert removed(done) == {
        "verdicts in the new shop": 1,
        "scratch databases": 1,
        "backups": 6,
        "reports": 1,
        "exports": 1,
    }
    assert done.past == done.away == []
    assert [f for f in [*gone, *map(Path, (old.file, untried.file, shop.file))] if f.exists()] == []
    assert not Path(old.file).with_suffix(".log").exists()
    assert all(f.exists() for f in [*stays, Path(proven.file)])
    kept = {b.id: b.removed is None for b in backups.list_all(filled.shop, "demo")}
    assert kept == {old.id: False, proven.id: True, untried.id: False, shop.id: False}
    [place] = [p for p in done.places if p.place == "backups"]
    assert place.stays == 1 and place.until.startswith("a newer one was restored without a problem, at the earliest")

    again = retention.sweep(settings, now)
    assert again.due == [] and again.past == [] and not removed(again)
    assert retention.sweep(settings, now, dry=True).due == []


def test_rows_that_wait_too_long_in_quarantine_are_told_and_stay(filled: Pair) -> None:
    filled.pass_phases()
    waiting = filled.one("SELECT count(*) FROM ferry.quarantine")
    assert waiting > 0
    settings, now = settings_of(filled), datetime.now(UTC)
    assert retention.sweep(settings, now + timedelta(days=89)).past == []
    assert measure.measure(settings).overlong == ()
    done = retention.sweep(settings, now + timedelta(days=91))
    assert {h.place for h in done.past} == {"quarantine in the new shop"}
    assert sum(h.count for h in done.past) == filled.one("SELECT count(*) FROM ferry.quarantine") == waiting
    filled.shop.execute("UPDATE ferry.quarantine SET since = since - interval '91 days'")
    overlong = measure.measure(settings).overlong
    assert len(overlong) == filled.one("SELECT count(DISTINCT entity) FROM ferry.quarantine")
    assert Code.QUARANTINE_OVERLONG in {p.code for p in find_problems(measure.measure(settings))}


def test_a_file_that_may_not_be_removed_is_told_and_keeps_nothing_else(
    pair: Pair, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = write_file(data / "requests" / "1.zip", 31), write_file(data / "requests" / "2.zip", 31)
    unlink = Path.unlink

    def refuse(file: Path, *given: bool, **more: bool) -> None:
        if file == stuck:
            raise PermissionError(13, "Permission denied")
        unlink(file, *given, **more)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = retention.sweep(settings_of(pair))
    assert [h.what for h in done.past] == ["1.zip"] and not other.exists()


def test_a_broker_that_is_away_is_told_and_keeps_nothing_else(
    pair: Pair, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "_ANSWER_MS", 300)
    pair.write(JAN)
    pair.pass_phases()
    plant(pair, ["gone@planted.example"])
    done = retention.sweep(replace(settings_of(pair), kafka="127.0.0.1:1"))
    assert removed(done) == {"verdicts in the new shop": 1}
    assert [clause.partition(":")[0] for clause in done.away] == ["topics of demo"]


def test_scratch_of_a_rehearsal_that_runs_is_left_alone(pair: Pair) -> None:
    settings = settings_of(pair)
    with scratch.create(settings.target_dsn, scratch.name_scratch("demo", "rehearsal_shop")):
        assert not removed(retention.sweep(settings))
        assert scratch.drop_standing(pair.shop, "shopferry_demo_rehearsal_shop", None) == 0
        assert pair.ask("SELECT FROM pg_database WHERE datname = 'shopferry_demo_rehearsal_shop'")
    assert pair.ask("SELECT FROM pg_database WHERE datname = 'shopferry_demo_rehearsal_shop'") == []


def test_a_backup_whose_folder_is_elsewhere_is_told(pair: Pair) -> None:
    made = backup.take(settings_of(pair), "me", "shop")
    pair.shop.execute("UPDATE ferry.backup SET file = '/nowhere/here/x.dump', keep_until = now()")
    done = retention.sweep(settings_of(pair))
    assert [h.what for h in done.past] == [f"backup {made.id} of store shop"]
    pair.shop.execute("UPDATE ferry.backup SET file = %s", (made.file,))
    Path(made.file).unlink()  # a person was faster
    assert retention.sweep(settings_of(pair)).past == []


def test_before_anything_is_installed_files_alone_are_swept_and_an_old_schema_is_told(
    make_db: object, pair: Pair, data: Path
) -> None:
    bare = make_db("bare")  # type: ignore[operator]
    export = write_file(data / "requests" / "1.zip", 31)
    done = retention.sweep(Settings(read_dsn(pair.legacy), bare, ""))
    assert removed(done) == {"exports": 1} and not export.exists()
    pair.shop.execute("UPDATE ferry.meta SET version = version - 1")
    with pytest.raises(ConfigError, match="shopferry phase init"):
        retention.sweep(settings_of(pair))


def test_the_command_line(
    pair: Pair, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", read_dsn(pair.legacy))
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", read_dsn(pair.shop))
    export = write_file(data / "requests" / "1.zip", 31)
    assert cli.main(["privacy", "sweep", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(d["place"], d["what"], d["count"]) for d in told["due"]] == [("exports", "1.zip", 1)]
    assert export.exists()
    assert cli.main(["privacy", "sweep", "--dry-run"]) == 0
    assert "1.zip" in capsys.readouterr().out
    assert cli.main(["privacy", "sweep"]) == 0
    said = capsys.readouterr()
    assert "exports" in said.out and not export.exists()
    pair.shop.execute(
        "INSERT INTO ferry.quarantine VALUES ('shop.customer', '1', '1', '{x}', NULL, NULL, now() - interval '91 days')"
    )
    assert cli.main(["privacy", "sweep"]) == 1
    assert "quarantine in the new shop: shop.customer, 1" in capsys.readouterr().err
