"""How long an erasure takes beside a running shop, and what the stream feels of it.

    python benchmarks/erasures.py [--people 100] [--rate 50] [--customers 2000] [--pause 0]

It brings up an embedded stack of its own and moves a generated shop, with the writer at work all the time. Half a minute without
erasures, half a minute beside a process that only computes, and ten erasures take turns, since the shop grows meanwhile.
`--pause` are seconds after each erasure. Each person registers anew once they are erased. Prints one JSON object: milliseconds
from `request run` to the certificate, the lag in each kind of turn, how many of those who registered anew are in the shop,
how many rows differ in the end, and how many acknowledged writes are missing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cutover import quantiles, settled
from replay import own_stack
from shopferry import db, phase_steps
from shopferry.control.requests import Opening
from shopferry.cutover import way_back
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from shopferry.engine.pair import open_stores
from shopferry.phase_steps import Options
from shopferry.privacy import erasure, reception
from shopferry.route.route import Route
from shopferry.settings import Settings

_SOMEBODY = """
SELECT c.id, l.email FROM shop.customer c JOIN legacy.customers l ON l.id = c.legacy_customer_id
WHERE c.status = 'active' AND (SELECT count(*) FROM shop.customer_account m WHERE m.customer_id = c.id) = 1
  AND EXISTS (SELECT FROM shop.customer_order x WHERE x.customer_id = c.id)
ORDER BY c.id LIMIT 1
"""
_REGISTER = """
INSERT INTO customers (email, full_name, newsletter, active, deleted, created_at)
VALUES (%s, 'Anna Nowa', 'N', 'T', 'N', now()) RETURNING id
"""
_LAG = "SELECT lag FROM ferry.replay_batch, unnest(lag_ms) AS lag WHERE route = %s AND at BETWEEN %s AND %s"
_TURN = 10  # erasures
_CALM_S = 30.0


def erase(settings: Settings, person: int) -> float:
    """Erase somebody; returns the seconds from the command to the certificate."""
    with open_stores(settings, "benchmark") as s:
        opening = Opening("erasure", date.today(), "benchmark", "a list")
        number = reception.open_request(s, opening, {"shop": [str(person)]})
        reception.grant(s, number, "benchmark", "a benchmark")
    began = time.monotonic()
    erasure.run(settings, number, "benchmark")
    return time.monotonic() - began


def register(legacy: db.Connection, email: str) -> int:
    """Register an account in legacy; returns its key."""
    row = legacy.execute(_REGISTER, (email,)).fetchone()
    assert row
    return int(row[0])


@contextmanager
def computing() -> Iterator[None]:
    """Keep one core busy meanwhile, by a process that takes no lock and no disk."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            yield
        finally:
            busy.kill()


def read_lags(settings: Settings, since: datetime) -> list[float]:
    """Read the stream's lags since then, in ms."""
    with db.connect(settings.target_dsn, "benchmark") as conn:
        return [float(r[0]) for r in conn.execute(_LAG, (settings.route, since, datetime.now(UTC))).fetchall()]


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--people", type=int, default=100)
    options.add_argument("--rate", type=float, default=50.0)
    options.add_argument("--customers", type=int, default=2_000)
    options.add_argument("--pause", type=float, default=0.0)
    given = options.parse_args()
    seconds: list[float] = []
    lags: dict[str, list[float]] = {"alone": [], "beside a busy core": [], "with erasures": []}
    with own_stack() as settings, TemporaryDirectory() as folder:
        book = Path(folder) / "ledger.jsonl"
        shop.seed(settings, given.customers)
        for phase in Route.load(settings.route).phases:
            phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
        way_back.arm(settings)
        anew: list[int] = []
        with (
            run_beside(book, given.rate),
            db.connect(settings.source_dsn, "benchmark") as legacy,
            db.connect(settings.target_dsn, "benchmark") as new,
        ):
            for began in range(0, given.people, _TURN):
                since = datetime.now(UTC)
                time.sleep(_CALM_S)
                lags["alone"] += read_lags(settings, since)
                since = datetime.now(UTC)
                with computing():
                    time.sleep(_CALM_S)
                lags["beside a busy core"] += read_lags(settings, since)
                since = datetime.now(UTC)
                for _ in range(min(_TURN, given.people - began)):
                    [(person, email)] = new.execute(_SOMEBODY).fetchall()
                    seconds.append(erase(settings, person))
                    anew.append(register(legacy, email))
                    print(f"{len(seconds)} of {given.people}: {seconds[-1]:.1f} s", file=sys.stderr, flush=True)
                    time.sleep(given.pause)
                lags["with erasures"] += read_lags(settings, since)
        differing = settled(settings)
        with db.connect(settings.source_dsn, "b") as legacy, db.connect(settings.target_dsn, "b") as new:
            [(there,)] = new.execute(
                "SELECT count(*) FROM shop.customer_account m JOIN shop.customer c ON c.id = m.customer_id "
                "WHERE m.legacy_customer_id = ANY(%s)",
                (anew,),
            ).fetchall()
            [(left,)] = legacy.execute(
                "SELECT count(*) FROM unnest(%s::int[]) AS n (id) WHERE NOT EXISTS (SELECT FROM customers c "
                "WHERE c.id = n.id AND c.deleted = 'N')",
                (anew,),
            ).fetchall()
            waiting = new.execute(
                "SELECT reasons, count(*) FROM ferry.quarantine WHERE row_key = ANY(%s) AND entity LIKE 'shop.customer%%' "
                "GROUP BY 1",
                ([str(key) for key in anew],),
            ).fetchall()
            checked = ledger.check(book, legacy, new)
    print(
        json.dumps(
            {
                "erasures": len(seconds),
                "certificate_ms": quantiles([s * 1000 for s in seconds])
                | {"mean": round(statistics.mean(seconds) * 1000)},
                "lag_ms": {when: quantiles(found) for when, found in lags.items()},
                "registered anew": len(anew),
                "of them in the shop": there,
                "left again": left,
                "in quarantine": {" ".join(reasons): n for reasons, n in waiting},
                "rows that differ": differing,
                "acknowledged": checked.acknowledged,
                "missing": len(checked.missing),
            },
            indent=2,
        )
    )
    print("\n".join(checked.missing[:20]), file=sys.stderr)


if __name__ == "__main__":
    main()
