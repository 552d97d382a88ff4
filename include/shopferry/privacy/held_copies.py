"""What the move keeps of people in databases and at the broker: mirrors, verdicts, topics, quarantine, scratch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from psycopg.sql import SQL, Identifier

from shopferry.cdc import broker
from shopferry.control import offsets, quarantine
from shopferry.engine import mirror
from shopferry.engine.pair import Stores
from shopferry.privacy import copies
from shopferry.privacy.held import Held
from shopferry.route.entities import name_witness
from shopferry.route.settings import Retention
from shopferry.settings import Settings
from shopferry.stores import scratch

_BATCH = 5_000  # verdicts forgotten between two merges: the stream waits for one look through the rows of their kind
# As the planner knows them: to count the rows of a mirror takes as long as to read it.
_ROWS = """SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_class c
           WHERE c.oid = ANY (SELECT to_regclass('mirror.' || quote_ident(split_part(r, '.', 2))) FROM unnest(%s::text[]) r)"""
_END_OF_MOVE = "the end of the move (`shopferry finish`)"


def find_rows(flow: Stores) -> Iterator[Held]:
    """Find what the flow keeps of the rows themselves: the mirror, with witnesses, and verdicts on raw values."""
    written = flow.names[1]
    row = flow.target.execute(_ROWS, ([table.relation for table in mirror.load(flow.target).values()],)).fetchone()
    yield Held(f"mirror in {written}", "rows, about", int(row[0]) if row else 0, stays=_END_OF_MOVE)
    for table in flow.route.witnessed:
        count, since = _count_states(flow, table)
        yield Held(f"witnesses in {written}", "states", count, since, stays=_END_OF_MOVE)
    counted = flow.target.execute("SELECT count(*) FROM ferry.standardized").fetchone()
    held = int(counted[0]) if counted else 0
    orphans = sum(len(raws) for raws in copies.find_orphans(flow, _BATCH))
    place = f"verdicts in {written}"
    yield Held(place, "that no row holds any more", orphans, goes=True, remove=partial(_forget_orphans, flow))
    yield Held(place, "on values that rows hold", held - orphans, stays="no row holds the value any more")


def _count_states(flow: Stores, table: str) -> tuple[int, datetime | None]:
    query = SQL("SELECT count(*), min(_known) FROM {}").format(Identifier("ferry", name_witness(table)))
    [(count, since)] = flow.target.execute(query).fetchall()
    return count, since


def _forget_orphans(flow: Stores) -> int:
    return sum(copies.forget_verdicts(flow, raws) for raws in copies.find_orphans(flow, _BATCH))


def find_quarantined(flow: Stores, terms: Retention) -> Iterator[Held]:
    """Find rows in quarantine. To keep or to give them up is for people to decide, so no sweep removes them."""
    for entity, rows, since in quarantine.count_by_age(flow.target):
        until = since + timedelta(days=terms.quarantine)
        yield Held(f"quarantine in {flow.names[1]}", entity, rows, since, until)


def find_topics(settings: Settings, flow: Stores, terms: Retention) -> Iterator[Held]:
    """Find the records at the broker: those that were applied, and those that wait. Raises TransientError if it is away.

    A topic is trimmed no further than the offsets that are committed with the rows; the consumer begins there, so nothing is
    missing for it.
    """
    way = settings.reversed if flow.route.reverse else settings
    applied = offsets.load(flow.target, flow.route.name)
    if not applied:
        return
    held = broker.read_held(way, sorted({topic for topic, _ in applied}), {})
    behind = {p: min(applied[p], h.end) - h.first for p, h in held.items() if p in applied}
    gone = sum(n for n in behind.values() if n > 0)
    place, days = f"topics of {flow.route.name}", f"{terms.topics:g} days after they came (retention.ms)"
    if broker.can_trim(way):
        yield Held(place, "records that were applied", gone, goes=True, remove=partial(_trim, way, flow))
    else:
        yield Held(
            place, "records that were applied", gone, stays="its next start: the embedded broker deletes no records"
        )
    yield Held(place, "records that wait", sum(h.end - h.first for h in held.values()) - gone, stays=days)


def _trim(settings: Settings, flow: Stores) -> int:
    """Trim the topics to what is applied by now; returns how many records went."""
    applied = offsets.load(flow.target, flow.route.name)
    names = sorted({topic for topic, _ in applied})
    before = broker.read_held(settings, names, {})
    broker.trim(settings, {p: offset for p, offset in applied.items() if p in before and offset > before[p].first})
    after = broker.read_held(settings, names, {})
    return sum(after[p].first - before[p].first for p in before if p in after)


def find_scratch(flow: Stores) -> Iterator[Held]:
    """Find scratch databases in the new shop's cluster: a rehearsed shop that is kept, and what killed commands have left."""
    for name, end in scratch.find_standing(flow.target, flow.route.name):
        remove = partial(scratch.drop_standing, flow.target, name, end)
        yield Held("scratch databases", name, 1, until=end, goes=end is None, remove=remove)


def find_ledger(flow: Stores) -> Iterator[Held]:
    """Find the ledger of erasures, which must outlive every backup in which erased people stand."""
    row = flow.target.execute(
        SQL("SELECT count(*), min(at) FROM shopferry.erased WHERE route = {}").format(flow.route.base_name)
    ).fetchone()
    count, since = (int(row[0]), row[1]) if row else (0, None)
    yield Held(f"ledger of erasures in {flow.names[1]}", "rows, as keyed marks", count, since, stays=_END_OF_MOVE)
