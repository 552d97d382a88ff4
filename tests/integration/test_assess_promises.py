"""What an assessment promises whoever runs it: nothing is changed, nobody is named, the page needs nothing else."""

# ruff: noqa: F811 - a fixture of another file is asked for by its name
from __future__ import annotations

import io
import json
import re
from pathlib import Path

import psycopg
import pytest
from pair import Pair, read_dsn
from rich.console import Console
from shopferry import assess, cli, db
from shopferry.assess import readiness, report
from shopferry.demo import leaks
from shopferry.pages import languages
from shopferry.settings import Settings
from test_assess import Stores, clean_template, no_broker, stores_  # noqa: F401


def _fingerprint(*stores_: db.Connection) -> list[object]:
    """Every relation, and every row of every table that is not PostgreSQL's own."""
    seen: list[object] = []
    for conn in stores_:
        relations = conn.execute(
            """SELECT n.nspname, c.relname, c.relkind, c.relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1, 2"""
        ).fetchall()
        seen.append(relations)
        for schema, name, kind, _ in relations:
            if kind == "r":
                seen.append(
                    conn.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM {schema}.{name} t".encode()).fetchone()
                )
            if kind == "S":
                seen.append(conn.execute(f"SELECT last_value, is_called FROM {schema}.{name}".encode()).fetchone())
        seen.append(conn.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1").fetchall())
        seen.append(conn.execute("SELECT count(*) FROM pg_publication").fetchone())
    return seen


def test_nothing_is_changed_in_either_store(filled: Pair, stores_: Stores) -> None:
    for legacy, shop in ((filled.legacy, filled.shop), (stores_.legacy, stores_.shop)):  # installed, and before that
        before = _fingerprint(legacy, shop)
        dsns = [read_dsn(c) for c in (legacy, shop)]
        assess.assess(Settings(*dsns, "127.0.0.1:1"))
        assert _fingerprint(legacy, shop) == before


def test_the_connections_cannot_write(stores_: Stores) -> None:
    for dsn in (stores_.settings.source_dsn, stores_.settings.target_dsn):
        conn, finding = readiness.reach(dsn, "a store", "a setting")
        assert conn and not finding
        with conn, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            conn.execute("CREATE TABLE public.t ()")


def test_no_person_is_in_what_it_says(filled: Pair) -> None:
    known = leaks.collect_stored(filled.legacy, "public")
    assert len(known) > 200
    dsns = [read_dsn(c) for c in (filled.legacy, filled.shop)]
    found = assess.assess(Settings(*dsns, "127.0.0.1:1"))
    assert sum(len(f.examples) for f in found.findings) > 30
    out = io.StringIO()
    report.show(found, Console(file=out, width=160))
    page = report.as_html(found, languages.load("en"))
    texts = [
        ("terminal", out.getvalue()),
        ("json", json.dumps(report.as_json(found), ensure_ascii=False)),
        ("html", page),
        ("log", "\n".join(map(str, found.findings))),
    ]
    finds, lines = leaks.search(known, texts)
    assert finds == [] and lines > 200


def test_the_page_needs_nothing_else_and_escapes(
    stores_: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stores_.legacy.execute("""UPDATE orders SET status_code = '<b>"&' WHERE id = 1; CREATE TABLE "<i>x" (id int);
                              INSERT INTO "<i>x" VALUES (1)""")
    for name, value in (("LEGACY_DSN", stores_.settings.source_dsn), ("SHOP_DSN", stores_.settings.target_dsn)):
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    file = tmp_path / "deep" / "assessment.html"
    assert cli.main(["assess", "--json", "--html", str(file)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["blocked"] and {"route", "at", "findings", "estimate"} <= set(said)
    assert all(
        {"subject", "severity", "blocking", "count", "text", "consequence", "remedy"} <= set(f)
        for f in said["findings"]
    )
    page = file.read_text()
    assert "legacy table &lt;i&gt;x" in page and "&lt;x&gt;&#34;&amp;" in page
    assert "<i>" not in page and "<script" not in page
    assert not re.findall(r"(?:src|href)\s*=|url\(|@import|https?://", page)
    assert [p.name for p in file.parent.iterdir()] == ["assessment.html"]
