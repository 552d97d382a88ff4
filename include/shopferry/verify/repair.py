"""Repair: bring what verification found back to what it should be, and look at it again.

The mirror's rows are read again from legacy, without overtaking the stream: batches of the table wait while we read and
write, and the row keeps its version, so that what the stream still has of it counts as newer. All else is merged
again by the mappings, parents before children, in slices between which the stream has its turn. Accounts and business
checks follow from the rest and are judged again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import differences, locks, phases, quarantine
from shopferry.control.differences import Difference
from shopferry.engine import backfill, merge, mirror, mirror_rows
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.noted import keep_together
from shopferry.engine.pair import Stores
from shopferry.engine.writes import target_of
from shopferry.errors import PhaseError
from shopferry.keys import key_text
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit
from shopferry.stores import origin
from shopferry.verify import checksums
from shopferry.verify.verification import judge, verify_rows

log = logging.getLogger(__name__)
MOST = 5_000  # rows mended in one transaction: what the stream may have to wait for
_ROUNDS = 3  # mending one thing can bring another to light: a child whose parent is back, a refused row that fits again
_MENDED = {"mirror", "identity", "shop", "quarantine"}  # the other layers follow from these


@dataclass(frozen=True)
class Repair:
    """What a repair of one phase did: rows that differed, that are as they should be again, that are not."""

    phase: str
    differences: int
    repaired: int
    remaining: list[Difference]
    seconds: float


def repair(
    stores: Stores, phase: str, await_applied: Callable[[], object], who: str, target: str | None = None
) -> Repair:
    """Mend the open differences of a phase, or of one target in it, and record what came of it.

    Raises PhaseError where the stream does not keep the phase: before it is live and after the cutover.
    """
    started = time.monotonic()
    shop, route = stores.target, stores.route
    found = [e.difference for e in differences.load(shop, route.name, phase, target=target)]
    open_now = to_mend = [d for d in found if d.layer in _MENDED]
    for _ in range(_ROUNDS):
        if not open_now:
            break
        for table, keys in _group_mirror_rows(open_now).items():
            for n in range(0, len(keys), MOST):
                _mend_mirror(stores, phase, table, keys[n : n + MOST])
        _mend_shop(stores, phase, open_now)
        open_now = verify_rows(stores.source, shop, route, phase, to_mend, await_applied)
    remaining = open_now
    if len(to_mend) < len(found):
        with keep_together(shop, route):
            remaining = open_now + judge(stores.source, shop, route, phase)[1]
    left = {_row(d) for d in remaining}
    mended, seconds = sorted({_row(d) for d in found} - left), time.monotonic() - started
    with shop.transaction():
        differences.record_repair(shop, route.name, phase, mended, len(left), seconds, who)
    log.info("repaired", extra={"phase": phase, "rows": len(mended), "remaining": len(left)})
    return Repair(phase, len(mended) + len(left), len(mended), remaining, seconds)


def _row(d: Difference) -> tuple[str, str, str]:
    return d.layer, d.target, d.key


def _group_mirror_rows(found: Sequence[Difference]) -> dict[str, list[str]]:
    """Group the mirror's rows among the differences by table."""
    keys: dict[str, set[str]] = {}
    for d in found:
        if d.layer == "mirror":
            keys.setdefault(d.target, set()).add(d.key)
    return {target: sorted(of) for target, of in sorted(keys.items())}


def _lock_live(stores: Stores, phase: str) -> list[Unit]:
    """Find the units that the stream keeps, and lock that until the transaction ends."""
    states = phases.lock(stores.target, stores.route.name)
    if not any(p == phase and state.live for p, state, _ in states):
        raise PhaseError(f"phase {phase} is not kept by the stream now: there is nothing that a repair could go by")
    return [u for p, state, _ in states if state.live for u in stores.route.of(p)]


def _mend_mirror(stores: Stores, phase: str, name: str, keys: Sequence[str]) -> None:
    """Read rows of the mirror again from the source, and merge what they affect."""
    shop = stores.target
    stores.merger.stage(stores.route.units)
    with shop.transaction():
        live = _lock_live(stores, phase)
        table = mirror.load(shop, name)[name]
        # Replay holds this lock shared until its batch commits: so none is between what we read and what we write.
        locks.lock_mirror(shop, name)
        backfill.fetch(stores, table, checksums.match_keys(table, keys, in_source=True))
        read = any(s.relation == table.relation for u in live for s in u.sources)
        _restore(stores, table, checksums.match_keys(table, keys, in_source=False), noted=read)
        if read:
            stores.merger.propagate(live, {table.relation})


def _restore(stores: Stores, table: MirrorTable, within: Composed, *, noted: bool) -> None:
    """Bring the mirror's rows under these keys to what stands in `incoming`; versions stay, a new row has none."""
    shop = stores.target
    key = SQL(", ").join(map(Identifier, table.key))
    names = SQL(", ").join(map(Identifier, table.names))
    mirror_rows.note_gone(shop, table, within)
    if noted:
        shop.execute(mirror_rows.compose_standing_note(table))
    assign = SQL(", ").join(
        SQL("{0} = excluded.{0}").format(Identifier(n)) for n in (*table.names, "_gone") if n not in table.key
    )
    shop.execute(
        SQL(
            "INSERT INTO {0} ({1}, _gone) SELECT {1}, coalesce(_gone, false) FROM pg_temp.incoming ORDER BY {2} "
            "ON CONFLICT ({2}) DO UPDATE SET {3}"
        ).format(table.base, names, key, assign)
    )
    if noted:
        shop.execute(mirror_rows.compose_standing_note(table))
    shop.execute("DROP TABLE pg_temp.incoming")


@dataclass(frozen=True)
class _Work:
    """Keys of a unit that are merged again, in one transaction; `strange`: rows without an aggregate key, to be deleted."""

    unit: Unit
    keys: list[str]
    strange: bool = False


def _mend_shop(stores: Stores, phase: str, found: Sequence[Difference]) -> None:
    """Merge again what differs, and what depends on it, slice by slice."""
    shop, units = stores.target, stores.route.of(phase)
    began = shop.execute("SELECT clock_timestamp()").fetchone()
    assert began
    of = {u.target: [d for d in found if d.layer != "mirror" and d.target == u.target] for u in units}
    for part in _cut_slices(_plan_work(stores, units, of)):
        _merge(stores, phase, part, {d.key for d in found if d.column == "shop_key"})
    # The shop may have refused one slice's rows only for the sake of what a later one has mended.
    refused = [
        [_Work(u, [key])]
        for u in units
        if isinstance(u, EntityMapping)
        for key in quarantine.find_refused(shop, u.entity, began[0], {d.aggregate for d in of[u.target] if d.aggregate})
    ]
    for part in _cut_slices(refused):
        _merge(stores, phase, part)


def _plan_work(stores: Stores, units: Sequence[Unit], of: dict[str, list[Difference]]) -> Iterator[list[_Work]]:
    """Plan what is to be merged again, in order, in blocks that one transaction must hold: clusters, what has to go, the rest."""
    mappings = [u for u in units if isinstance(u, EntityMapping)]
    for unit in units:
        if isinstance(unit, IdentityMapping):
            yield from ([_Work(unit, keys)] for keys in _find_clusters(stores, unit, of[unit.target]))
    # A child goes because its mapping sees that the parent went, and no parent may go at a commit that leaves it children.
    gone: dict[str, set[str]] = {}
    going = []
    for unit in mappings:
        extra = [d for d in of[unit.target] if (d.layer, d.kind) == ("shop", "extra")]
        gone[unit.target] = {d.aggregate for d in extra if d.aggregate is not None}
        going += [_Work(unit, [d.key], strange=True) for d in extra if d.aggregate is None]
        going += [_Work(unit, [key]) for key in sorted(gone[unit.target])]
    if going:
        yield going
    for unit in mappings:
        keys = {d.aggregate for d in of[unit.target] if d.aggregate is not None} - gone[unit.target]
        yield from ([_Work(unit, [key])] for key in sorted(keys))


def _find_clusters(stores: Stores, unit: IdentityMapping, found: Sequence[Difference]) -> list[list[str]]:
    """Group an identity's keys by cluster: merged apart, those that are left would lead the others back to the wrong shop key."""
    rows = stores.target.execute(
        "SELECT array_agg(k::text) FROM unnest(%s::bigint[]) k "
        "LEFT JOIN ferry.identity i ON i.entity = %s AND i.legacy_key = k GROUP BY coalesce(i.cluster, k::text) ORDER BY min(k)",
        (sorted({d.key for d in found}), unit.identity),
    ).fetchall()
    return [r[0] for r in rows]


def _cut_slices(blocks: Iterable[list[_Work]]) -> Iterator[list[_Work]]:
    """Cut the work into parts of at most as many keys as may be merged at once, but for a block that has more."""
    part: list[_Work] = []
    size = 0
    for block in blocks:
        keys = sum(len(w.keys) for w in block)
        if part and size + keys > merge.SLICE:
            yield part
            part, size = [], 0
        part += block
        size += keys
    if part:
        yield part


def _merge(stores: Stores, phase: str, part: Sequence[_Work], moved: Container[str] = ()) -> None:
    """Merge one slice again, in one transaction; `moved` are the keys of identities that must join their cluster again."""
    shop, merger = stores.target, stores.merger
    merger.stage(stores.route.units)
    with shop.transaction():
        live = _lock_live(stores, phase)
        merger.hold()
        again: dict[str, list[str]] = {}
        for (_, strange), works in groupby(part, key=lambda w: (w.unit.name, w.strange)):
            some = list(works)
            unit, keys = some[0].unit, [key for w in some for key in w.keys]
            if strange:
                assert isinstance(unit, EntityMapping)
                _expel(stores, unit, keys)
                continue
            if isinstance(unit, IdentityMapping):
                _forget_shop_keys(stores, unit, [key for key in keys if key in moved])
            again.setdefault(unit.name, []).extend(keys)
        merger.propagate(live, (), again)


def _forget_shop_keys(stores: Stores, unit: IdentityMapping, keys: Sequence[str]) -> None:
    """Make these legacy keys join their cluster again: a merge of identities looks at clusters only."""
    stores.target.execute(
        SQL(
            "WITH gone AS (DELETE FROM ferry.identity WHERE entity = {} AND legacy_key = ANY({}::bigint[]) "
            "RETURNING legacy_key, shop_key, cluster, shop_id) INSERT INTO {} SELECT * FROM gone"
        ).format(Literal(unit.identity), Literal(list(keys)), Identifier("pg_temp", unit.changed))
    )


def _expel(stores: Stores, unit: EntityMapping, keys: Sequence[str]) -> None:
    """Delete rows that no mapping can have put there, since they have no aggregate key to be merged by."""
    stores.target.execute(f"SELECT {origin.WRITER}".encode())
    stores.target.execute(
        SQL("DELETE FROM {} t WHERE t.{} IS NULL AND {} = ANY({})").format(
            target_of(unit), Identifier(unit.scope), key_text(unit.key, "t"), Literal(list(keys))
        )
    )
