"""The end of a migration on the real stack: refused while it may not be, and nothing of ours left when it is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from kafka import KafkaAdminClient
from live import RATE, Flow, acknowledged
from shopferry import db, phase_steps, stack
from shopferry.cli import main
from shopferry.control import routes
from shopferry.cutover import finish as end
from shopferry.cutover import switch
from shopferry.demo import shop
from shopferry.demo.writer import run_beside
from shopferry.errors import GateError, PhaseError
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT
from waiting import until

pytestmark = pytest.mark.stack
OURS = (
    "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^(ferry|mirror|legacy|shopferry.*)$' "
    "UNION ALL SELECT tgname FROM pg_trigger WHERE tgname ~ 'shopferry' UNION ALL SELECT pubname FROM pg_publication "
    "UNION ALL SELECT slot_name FROM pg_replication_slots UNION ALL SELECT roname FROM pg_replication_origin ORDER BY 1"
)


def ours(dsn: str) -> list[str]:
    """Whatever in a store's catalogue may be of ours."""
    with db.connect(dsn, "test") as conn:
        return [r[0] for r in conn.execute(OURS).fetchall()]


def relations(dsn: str) -> list[tuple[str, str]]:
    """Every relation outside of PostgreSQL's own schemas."""
    with db.connect(dsn, "test") as conn:
        return conn.execute(
            "SELECT relnamespace::regnamespace::text, relname::text FROM pg_class "
            "WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY 1, 2"
        ).fetchall()


def test_the_end_leaves_the_audit_log_and_nothing_else(
    empty: Flow, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = empty.settings
    shop.seed(settings, 100)
    before = {dsn: relations(dsn) for dsn in (settings.source_dsn, settings.target_dsn)}
    assert main(["finish", "demo", "--approved-by", "Anna", "Jan"]) == 1
    assert "nothing is installed" in capsys.readouterr().err
    phase_steps.install(settings)
    book = tmp_path / "ledger.jsonl"
    with run_beside(book, RATE):
        empty.ferry()
        with pytest.raises(GateError, match="legacy is the active store"):
            end.finish(settings, "demo", "Anna", "Jan")
        empty.prepare_switch()
        switch.cut_over(settings, "test")
        until(lambda: acknowledged(book, "shop") > 10)
    standing = ours(settings.source_dsn), ours(settings.target_dsn)
    with pytest.raises(
        GateError, match=r"the way back is promised until .* 14 days after the switch \(way_back_days in demo"
    ):
        end.finish(settings, "demo", "Anna", "Jan")
    with db.connect(settings.target_dsn, "test") as new:
        new.execute("UPDATE ferry.route SET changed_at = now() - interval '15 days'")
        new.execute(
            "CREATE VIEW public.sales AS SELECT count(*) FROM legacy.orders; CREATE VIEW legacy.lines AS SELECT 1 AS n"
        )
    with db.connect(settings.source_dsn, "test") as legacy:
        legacy.execute("CREATE TABLE note (about text REFERENCES ferry.route)")
    told = r"drop it first: relation legacy.lines, view sales; .* first: foreign key note_about_fkey of note"
    with pytest.raises(GateError, match=told):
        end.finish(settings, "demo", "Anna", "Jan")
    with db.connect(settings.target_dsn, "test") as new, db.connect(settings.source_dsn, "test") as legacy:
        new.execute("DROP VIEW public.sales, legacy.lines")
        legacy.execute("DROP TABLE note")
    told = r"rows wait in quarantine and would be lost: shop\..*quarantine drop --why"
    with pytest.raises(GateError, match=told):
        end.finish(settings, "demo", "Anna", "Jan")
    assert main(["quarantine", "drop", "--why", "looked at by the team"]) == 0
    capsys.readouterr()
    with pytest.raises(GateError, match="two different people"):
        end.finish(settings, "demo", "Anna", "Anna")
    with pytest.raises(GateError, match="type the route's name, 'demo'"):
        end.finish(settings, "dmeo", "Anna", "Jan")
    with pytest.raises(GateError, match="the shop was switched since"):
        end.finish(settings, "demo", "Anna", "Jan", datetime.now(UTC) - timedelta(days=20))
    assert (ours(settings.source_dsn), ours(settings.target_dsn)) == standing

    # It dies after the new shop's part: what is left is completed, whoever comes, and the stream has healed nothing.
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(end, "_finish_legacy", die)
        end.finish(settings, "demo", "Anna", "Jan")
    assert ours(settings.target_dsn) == ["shopferry_audit"]
    sync = next(s for s in stack.status() if s.name == "sync").log
    until(lambda: "the migration is finished" in sync.read_text())
    assert "shopferry" in ours(settings.source_dsn)
    assert main(["finish", "demo", "--approved-by", "Anna", "Jan"]) == 0
    told = capsys.readouterr()
    assert "legacy: replication slot shopferry_demo" in told.out
    assert "broker: topic demo.public.customers" in told.out
    assert "take writes again" in told.err

    assert ours(settings.source_dsn) == []
    assert ours(settings.target_dsn) == ["shopferry_audit"]
    audit = [("shopferry_audit", "entry"), ("shopferry_audit", "entry_id_seq"), ("shopferry_audit", "entry_pkey")]
    assert relations(settings.source_dsn) == before[settings.source_dsn]
    assert relations(settings.target_dsn) == sorted(before[settings.target_dsn] + audit)
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka)
    assert [t for t in admin.list_topics() if "demo" in t] == []
    admin.close()
    with db.connect(settings.target_dsn, "test") as new, db.connect(settings.source_dsn, "test") as legacy:
        kept = dict(new.execute("SELECT what, count(*) FROM shopferry_audit.entry GROUP BY what").fetchall())
        assert kept["phase"] == len(Route.load("demo").phases)
        assert {"verification", "backup", "gate", "switch", "left out", "finish"} <= kept.keys()
        rows = new.execute("SELECT who, detail::text FROM shopferry_audit.entry").fetchall()
        assert ("Anna, Jan", '{"approved": "Anna, Jan"}') in rows
        emails = {r[0] for r in legacy.execute("SELECT email FROM customers WHERE email LIKE '%@%'").fetchall()}
        assert not [e for e in emails if any(e in text for _, text in rows)]
        assert routes.is_finished(new, "demo")
        legacy.execute(
            "UPDATE customers SET phone = phone WHERE id = (SELECT min(id) FROM customers)"
        )  # no fence any more
    assert main(["finish", "demo", "--approved-by", "Anna", "Jan"]) == 0  # once more: nothing left to do
    with pytest.raises(psycopg.errors.UndefinedTable), db.connect(settings.target_dsn, "test") as new:
        new.execute("SELECT FROM ferry.route")


def test_nothing_was_there(empty: Flow) -> None:
    settings = empty.settings
    with db.connect(settings.target_dsn, "test") as new:
        new.execute((SQL_ROOT / "demo" / "shop.sql").read_bytes())
    with pytest.raises(PhaseError, match="nothing is installed"):
        end.finish(settings, "demo", "Anna", "Jan")
