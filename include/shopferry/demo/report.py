"""The demo's report: what moved, what did not and why, what was compared, what the shop's users noticed.

`demo-report.json` is a contract: keys may be added, none renamed or removed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from shopferry.control import differences, offsets, phases
from shopferry.db import Connection
from shopferry.demo.ledger import LedgerReport


def build(shop: Connection, route: str, ledger: LedgerReport, compared: dict[str, int]) -> dict[str, Any]:
    """Build the report as a plain dictionary; `compared` holds rows_compared and differences of the last look at both stores."""
    sync = offsets.measure(shop, route)
    return {
        "phases": {p.phase: _count_phase(shop, route, p.phase, p.seconds) for p in phases.load_all(shop, route)},
        "verification": compared,
        "ledger": {
            "acknowledged": ledger.acknowledged,
            "missing": len(ledger.missing),
            "failed_for_the_user": ledger.failed_for_the_user,
        },
        "cutover": {
            "downtime_ms": round(ledger.longest_gap_ms),
            "longest_write_ms": round(ledger.longest_write_ms),
            "steps_ms": _read_steps(shop, route),
        },
        "sync": {"events": sync.events, "lag_ms_p50": sync.lag_ms_p50, "lag_ms_p99": sync.lag_ms_p99},
    }


def _count_phase(shop: Connection, route: str, phase: str, seconds: float) -> dict[str, Any]:
    last = differences.load_latest(shop, route).get(phase)
    tables = last.accounting if last else []
    left_out: dict[str, int] = {}
    for table in tables:
        for reason, count in table["left_out"].items():
            left_out[reason] = left_out.get(reason, 0) + count
    return {
        "legacy_rows": sum(t["legacy_rows"] for t in tables),
        "migrated": sum(t["migrated"] for t in tables),
        "quarantined": sum(t["quarantined"] for t in tables),
        "left_out": dict(sorted(left_out.items())),
        "seconds": round(seconds, 1),
        "tables": {t.pop("table"): t for t in tables},
    }


def _read_steps(shop: Connection, route: str) -> dict[str, float]:
    rows = shop.execute("SELECT step, ms FROM ferry.cutover_step WHERE route = %s ORDER BY id", (route,)).fetchall()
    return {step: round(ms, 1) for step, ms in rows}


def write(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    path.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def judge(report: dict[str, Any]) -> list[str]:
    """Say what is wrong, in words; empty when nothing was lost."""
    wrong = []
    for name, phase in report["phases"].items():
        counted = phase["migrated"] + phase["quarantined"] + sum(phase["left_out"].values())
        if counted != phase["legacy_rows"]:
            wrong.append(f"{name}: {phase['legacy_rows']} rows in legacy, {counted} accounted for")
    if report["verification"]["differences"]:
        wrong.append(f"{report['verification']['differences']} differences between the stores")
    if report["ledger"]["missing"]:
        wrong.append(f"{report['ledger']['missing']} acknowledged writes are missing")
    if (privacy := report.get("privacy")) and privacy["found"]:
        wrong.append(f"{privacy['found']} places in logs tell about a customer: {', '.join(privacy['places'][:5])}")
    if report["ledger"]["failed_for_the_user"]:
        wrong.append(f"{report['ledger']['failed_for_the_user']} writes failed for the user")
    return wrong


def show(report: dict[str, Any], console: Console) -> None:
    """Print the report as tables."""
    table = Table("phase", "table", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("legacy rows", "migrated", "quarantined", "left out"):
        table.add_column(name, justify="right")
    table.add_column("left out because")
    for name, phase in report["phases"].items():
        for source, rows in phase["tables"].items():
            table.add_row(name, source, *_render_counts(rows))
            name = ""
    console.print(table)
    ledger, cutover, sync = report["ledger"], report["cutover"], report["sync"]
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_row("compared", f"{report['verification']['rows_compared']:,} rows, {_render_differences(report)}")
    facts.add_row(
        "writers' ledger",
        f"{ledger['acknowledged']:,} writes acknowledged, {ledger['missing']} missing, "
        f"{ledger['failed_for_the_user']} failed for the user",
    )
    facts.add_row(
        "cutover",
        f"no write for {cutover['downtime_ms']:,} ms, the longest write took {cutover['longest_write_ms']:,} ms",
    )
    facts.add_row(
        "stream", f"{sync['events']:,} changes replayed, lag p50 {sync['lag_ms_p50']} ms, p99 {sync['lag_ms_p99']} ms"
    )
    if privacy := report.get("privacy"):
        facts.add_row(
            "logs",
            f"{privacy['lines_searched']:,} lines searched for {privacy['looked_for']:,} e-mails, phones and names, "
            f"{privacy['found'] or 'none'} found",
        )
    console.print(facts)


def _render_counts(rows: dict[str, Any]) -> list[str]:
    left_out = rows["left_out"]
    return [
        f"{rows['legacy_rows']:,}",
        f"{rows['migrated']:,}",
        f"{rows['quarantined']:,}",
        f"{sum(left_out.values()):,}",
        ", ".join(f"{reason} {count:,}" for reason, count in left_out.items()),
    ]


def _render_differences(report: dict[str, Any]) -> str:
    count = report["verification"]["differences"]
    return f"{count} differences" if count else "no difference"
