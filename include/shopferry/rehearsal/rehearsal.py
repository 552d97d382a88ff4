"""Rehearsal: a sample of legacy goes through all phases into scratch databases, and is verified as the real one will be.

Scratch lies in the new shop's cluster and is dropped at the end; only the rehearsed shop may be kept for a time, for teams to
look at. Nothing changes in a scratch legacy store, so there is no stream: what is copied is all there is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from shopferry import db, phase_steps
from shopferry.backup import dump
from shopferry.control import differences, phases, rehearsals, routes, schema
from shopferry.control.phases import State
from shopferry.control.rehearsals import Rehearsal, Rehearsed
from shopferry.engine import backfill, captured, clean, mirror, pair
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ConfigError, ShopferryError
from shopferry.phase_steps import Options
from shopferry.privacy import roles
from shopferry.rehearsal import note, sample
from shopferry.rehearsal.pseudonyms import Pseudonyms
from shopferry.retry import describe
from shopferry.route import personal
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import scratch
from shopferry.verify.verification import verify

_OURS = ("ferry", "ferry_masked", "mirror", "legacy", "shopferry")
_HOLDER = "rehearsal"
_EXAMPLES = 5  # of what was found, per phase
_FEW = 10  # customers of the small sample, which tells the part of a phase's time that does not grow with its rows


@dataclass(frozen=True)
class Form:
    """What is asked for: customers at random (the oddest come beside them), with pseudonyms unless a person decided otherwise."""

    customers: int = 200
    real_data: str | None = None  # who decided that real data goes into scratch
    keep_hours: int | None = None  # how long teams may look at the rehearsed shop

    def __post_init__(self) -> None:
        if self.real_data and self.keep_hours:
            raise ConfigError(
                "a rehearsal with real data is not kept, since teams look at pseudonyms only: leave out --keep or --real-data"
            )


def rehearse(settings: Settings, who: str, form: Form, say: Callable[[str], None] = lambda _: None) -> Rehearsal:
    """Rehearse the route's phases and book how it ended; what breaks it off is booked too, and raised."""
    route = Route.load(settings.route)
    plan = sample.load(route)
    with db.connect(settings.target_dsn, "rehearsal") as shop:
        _install(shop, route)
        if form.keep_hours:
            roles.ensure(shop, route)  # now, since who may not make them should not hear it at the end
    started, done, problem = time.monotonic(), list[Rehearsed](), None
    few, options = list[Rehearsed](), Options(without_rehearsal=_HOLDER)
    if form.customers < rehearsals.MEASURED:
        options = replace(options, chunk_size=1_000)  # so that a small sample has several chunks, too
    try:
        if form.customers >= rehearsals.MEASURED:
            say("a few customers first, to know which part of the time does not grow with the rows")
            _run(settings, route, plan, Form(_FEW, form.real_data), options, few, lambda _: None)
        _run(settings, route, plan, form, options, done, say)
        done = [large.expect(small) for large, small in zip(done, few, strict=True)] if few else done
        return _record(settings, route, who, form, time.monotonic() - started, done, None)
    except (ShopferryError, psycopg.Error) as error:
        problem = describe(error)
        _record(settings, route, who, form, time.monotonic() - started, done, problem)
        raise


def _install(shop: db.Connection, route: Route) -> None:
    """Install the control tables where they are missing: to install them again would take locks that hold up the stream."""
    if not schema.is_current(shop):
        with shop.transaction():
            routes.pause(shop, route.name)
            schema.install_control(shop)
    with shop.transaction():
        phases.register(shop, route.name, route.phases)


def _record(
    settings: Settings, route: Route, who: str, form: Form, seconds: float, done: list[Rehearsed], problem: str | None
) -> Rehearsal:
    green = problem is None and all(p.clean for p in done) and len(done) == len(route.phases)
    with db.connect(settings.target_dsn, "rehearsal") as shop, shop.transaction():
        made = rehearsals.record(
            shop,
            route.name,
            who=who,
            fingerprint=route.fingerprint,
            customers=form.customers,
            real_data_by=form.real_data,
            seconds=seconds,
            phases=done,
            problem=problem,
            green=green,
        )
    note.write(made, route.name)
    return made


def _run(
    settings: Settings,
    route: Route,
    plan: sample.Plan,
    form: Form,
    options: Options,
    done: list[Rehearsed],
    say: Callable[[str], None],
) -> None:
    with (
        scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "rehearsal_legacy")) as old,
        scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "rehearsal_shop")) as new,
    ):
        there = replace(settings, source_dsn=old, target_dsn=new, kafka="")
        say("making the new shop's structure anew")
        copy_structure(settings.target_dsn, there.target_dsn)
        say(f"choosing {form.customers} customers and the oddest ones, with all that is theirs")
        rows, sizes = _fill(settings, there, route, plan, form)
        say(f"{sum(rows.values()):,} rows in {len(rows)} tables")
        phase_steps.install(there)
        for phase in route.phases:
            say(f"phase {phase}")
            own = route.tables_of(phase) or route.tables  # what reads the new shop alone grows with all of it
            sizes_of = sum(rows[t] for t in own), sum(sizes[t] for t in own)
            done.append(_rehearse_phase(there, phase, options, *sizes_of))
        if form.keep_hours:
            say(_keep(there, route, form.keep_hours))


def _keep(there: Settings, route: Route, hours: int) -> str:
    """Keep the rehearsed shop alone, for the roles of those who look; returns where it is and until when, in words."""
    until = datetime.now(UTC) + timedelta(hours=hours)
    with db.connect(there.target_dsn, "rehearsal") as new:
        with new.transaction():
            clean.drop(new)
            for schema_name in _OURS:
                new.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema_name)))
            roles.let_read(new, route)
            scratch.keep(new, until)
        dsn = make_conninfo(host=new.info.host, port=new.info.port, dbname=new.info.dbname)
    readers = ", ".join(roles.name_role(route.name, kind) for kind in roles.KINDS)
    return f"kept until {until:%Y-%m-%d %H:%M} UTC for {readers}: {dsn}"


def copy_structure(dsn: str, there: str, install: Callable[[db.Connection], None] = schema.install_control) -> None:
    """Copy a store's tables, types, functions and fences, without a row, beside tables of ours that `install` makes."""
    with db.connect(there, "rehearsal") as new, new.transaction():
        install(new)  # fences call its function
    with db.connect(dsn, "rehearsal") as store, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "structure.dump"
        server = store.info.server_version
        dump.dump(dsn, file, server, "--schema-only", *(f"--exclude-schema={s}" for s in _OURS))
        dump.restore(there, file, server)


def _fill(
    settings: Settings, there: Settings, route: Route, plan: sample.Plan, form: Form
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Bring the sample into the scratch legacy store; returns its rows per table, and those of the whole."""
    with (
        db.connect(settings.source_dsn, "rehearsal") as legacy,
        db.connect(there.source_dsn, "rehearsal") as old,
        db.connect(there.target_dsn, "rehearsal") as new,
    ):
        full = mirror.reflect(legacy, route.tables)
        tables: dict[str, MirrorTable] = captured.cut_to_read(new, route, full)
        kinds = {} if form.real_data else sample.find_kinds(personal.load(route), tables)
        with legacy.transaction(), old.transaction():
            legacy.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            sample.choose(legacy, plan, tables, form.customers)
            rows = sample.carry(legacy, old, plan, tables, kinds, None if form.real_data else Pseudonyms())
            return rows, sample.estimate_sizes(legacy, tables)


def _rehearse_phase(there: Settings, phase: str, options: Options, rows: int, legacy_rows: int) -> Rehearsed:
    """Run one phase as it will be, but for the stream, which has nothing to bring."""
    laps = [time.monotonic()]
    phase_steps.begin(there, phase, _HOLDER, options)
    with pair.open_stores(there, f"rehearse {phase}") as s:
        backfill.plan_copy(s, phase)
    phase_steps.in_threads(lambda worker, stop: phase_steps.copy(there, phase, worker, stop=stop))
    laps.append(time.monotonic())
    phase_steps.go_live(there, phase)
    phase_steps.standardize(there, phase)
    phase_steps.in_threads(lambda worker, stop: phase_steps.merge(there, phase, worker, stop))
    laps.append(time.monotonic())
    with pair.open_stores(there, f"rehearse {phase}") as s:
        with s.target.transaction():
            phases.move(s.target, s.route.name, phase, State.IN_SYNC)
        outcome = verify(s.source, s.target, s.route, phase, lambda: None)
        counted = differences.count(s.target, s.route.name)
    breaches = sum(c["differences"] for c in counted if (c["phase"], c["layer"]) == (phase, "check"))
    laps.append(time.monotonic())
    phase_steps.finish(there, phase, _HOLDER)
    copy_s, merge_s, verify_s = (after - before for before, after in pairwise(laps))
    return Rehearsed(
        phase,
        rows,
        legacy_rows,
        copy_s,
        merge_s,
        verify_s,
        (laps[-1] - laps[0]) * max(legacy_rows, rows) / max(rows, 1),
        outcome.open - breaches,
        breaches,
        sum(a.quarantined for a in outcome.accounts),
        sum(n for a in outcome.accounts for n in a.left_out.values()),
        [d.where for d in outcome.differences[:_EXAMPLES]],
    )
