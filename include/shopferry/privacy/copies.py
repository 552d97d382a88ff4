"""What the move itself has kept of people's rows: states in witnesses, verdicts on raw values, texts kept beside legacy."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import locks, pairs, phases
from shopferry.db import exists
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import Stores
from shopferry.keys import key_text
from shopferry.privacy import search
from shopferry.route.entities import PAIR, name_changed_table, name_witness
from shopferry.verify import checksums

Keys = Mapping[str, Sequence[str]]  # the keys of somebody's rows, by the relation's name in the ledger
Contacts = Mapping[str, Sequence[str]]  # columns of e-mails, numbers and the like, by the relation's name in the ledger
_NONE = SQL("SELECT NULL::text AS raw").format()
# Each sweep condemns with a token of its own, so it deletes no verdict that a batch has judged anew or another sweep condemned.
# A pardoned verdict counts as one of an older version: the next run of a phase judges its value again.
_THESE = "v.kind = %s AND md5(v.raw) IN (SELECT md5(r) FROM unnest(%s::text[]) r) AND v.raw = ANY(%s)"
_CONDEMN = f"UPDATE ferry.standardized v SET judged_by = %s WHERE {_THESE}"
_FORGET = f"DELETE FROM ferry.standardized v WHERE {_THESE} AND v.judged_by = %s"
_PARDON = f"UPDATE ferry.standardized v SET judged_by = 0 WHERE {_THESE} AND v.judged_by = %s"


def list_flows(s: Stores) -> list[Stores]:
    """List the flows that are installed, as pairs of stores: the way there, and the way back where it is armed."""
    back = s.back
    return [s, *([back] if back and exists(back.target, "ferry.standardized") else [])]


def read_raws(s: Stores, keys: Keys) -> list[tuple[str, str]]:
    """Read the raw values of their rows that were judged, as (kind, raw), in a flow's mirror and its witnesses."""
    tables, found = mirror.load(s.target), set[tuple[str, str]]()
    for wanted in {w for unit in s.route.units for w in unit.standardize}:
        table = tables.get(wanted.table)
        mine = keys.get(table.relation) if table else None
        if not table or not mine:
            continue
        held = Identifier("ferry", name_witness(table.name)) if wanted.of_witness else table.base
        query = SQL("SELECT DISTINCT ({})::text FROM {} WHERE {}").format(
            SQL(wanted.expression), held, checksums.match_keys(table, mine, in_source=False)
        )
        found |= {(wanted.kind, raw) for (raw,) in s.target.execute(query).fetchall() if raw is not None}
    return sorted(found)


@dataclass(frozen=True)
class WitnessState:
    """A state of a row in a witness, and whether the row still stands."""

    table: MirrorTable
    key: str
    said: Mapping[str, Any]
    standing: bool


def find_states(s: Stores, values: Sequence[str], contacts: Contacts) -> Iterator[WitnessState]:
    """Find the states in the flow's witnesses with one of the values in a contact column, of any row's."""
    tables = mirror.load(s.target)
    for name, columns in s.route.witnessed.items():
        table = tables[name]
        if not values or not (held := [c for c in contacts.get(table.relation, ()) if c in columns]):
            continue
        key = key_text(table.key, "t")
        query = SQL(
            "SELECT {key}, to_jsonb(t), EXISTS (SELECT FROM {view} v WHERE {same}) FROM {witness} t WHERE {}"
        ).format(
            search.match(held, values),
            key=key,
            view=table.view,
            same=SQL(" AND ").join(SQL("v.{0} = t.{0}").format(Identifier(k)) for k in table.key),
            witness=Identifier("ferry", name_witness(name)),
        )
        for of, said, standing in s.target.execute(query).fetchall():
            yield WitnessState(table, of, said, standing)


def forget_states(s: Stores, keys: Keys, values: Sequence[str], contacts: Contacts) -> int:
    """Delete the states of their rows from the flow's witnesses, and merge what was made of them.

    A state of another row goes, too, if one of its contact columns holds one of the values: an account that is gone had them.
    What goes is looked for first, so that batches wait for its deletion only.
    """
    tables, count = mirror.load(s.target), 0
    for name, columns in s.route.witnessed.items():
        table = tables[name]
        matches = [checksums.match_keys(table, mine, in_source=False)] if (mine := keys.get(table.relation)) else []
        if values and (held := [c for c in contacts.get(table.relation, ()) if c in columns]):
            matches.append(search.match(held, values))
        if not matches:
            continue
        witness, theirs = Identifier("ferry", name_witness(name)), SQL(" OR ").join(matches)
        found = s.target.execute(
            SQL("SELECT DISTINCT {} FROM {} t WHERE {}").format(key_text(table.key, "t"), witness, theirs)
        ).fetchall()
        if not found:
            continue
        # By what they said their changes are followed, for nothing else is left to follow.
        names = SQL(", ").join(map(Identifier, dict.fromkeys((*table.key, *columns))))
        s.merger.stage(s.route.units)
        with s.target.transaction():
            live = {p for p, state, _ in phases.lock(s.target, s.route.name) if state.live}
            s.merger.hold()
            count += s.target.execute(
                SQL(
                    "WITH gone AS (DELETE FROM {} WHERE {} AND ({}) RETURNING {names}), noted AS (INSERT INTO {} ({names}) "
                    "SELECT DISTINCT {names} FROM gone RETURNING 1) SELECT FROM gone"
                ).format(
                    witness,
                    checksums.match_keys(table, [key for (key,) in found], in_source=False),
                    theirs,
                    Identifier("pg_temp", name_changed_table(table.relation)),
                    names=names,
                )
            ).rowcount
            s.merger.propagate([u for u in s.route.units if u.phase in live], {table.relation})
    return count


def find_verdicts(s: Stores, values: Sequence[str]) -> list[tuple[str, str]]:
    """Find the raw values, as (kind, raw), whose verdicts hold one of the values."""
    if not values:
        return []
    query = SQL("SELECT kind, raw FROM ferry.standardized WHERE {}").format(search.match(["raw", "value"], values))
    return s.target.execute(query).fetchall()


def forget_verdicts(s: Stores, raws: Sequence[tuple[str, str]]) -> int:
    """Delete the verdicts on these raw values, as (kind, raw), but for those that any row still holds.

    They are condemned first, and a batch that needs a condemned verdict judges its value anew, which saves it. Batches that began
    earlier are waited for. Then the rows are searched without a lock, and condemned verdicts that no row holds are deleted.
    """
    by_kind: dict[str, list[str]] = {}
    for kind, value in raws:
        by_kind.setdefault(kind, []).append(value)
    condemned = {kind: sorted(set(values) - _find_told(s, kind, values)) for kind, values in by_kind.items()}
    if not any(condemned.values()):
        return 0
    token = -random.SystemRandom().randrange(1, 2**31)
    with s.target.transaction():
        locks.lock_verdicts(s.target)
        for kind, values in condemned.items():
            s.target.execute(_CONDEMN, (token, kind, values, values))
    with s.target.transaction():
        locks.lock_propagation(s.target, s.route.name)
    held = _select_held(s)
    left = {kind: sorted(set(values) - _find_held(s, held.get(kind), values)) for kind, values in condemned.items()}
    with s.target.transaction():
        locks.lock_verdicts(s.target)
        count = sum(s.target.execute(_FORGET, (kind, values, values, token)).rowcount for kind, values in left.items())
        for kind, values in condemned.items():
            s.target.execute(_PARDON, (kind, values, values, token))
    return count


def count_orphans(s: Stores, values: Sequence[str]) -> int:
    """Count the verdicts with one of the values that no row holds: of the others, the rows themselves say whose they are."""
    held, count = _select_held(s), 0
    by_kind: dict[str, list[str]] = {}
    for kind, raw in find_verdicts(s, values):
        by_kind.setdefault(kind, []).append(raw)
    for kind, raws in by_kind.items():
        mine = sorted(set(raws) - _find_told(s, kind, raws))
        count += len(set(mine) - _find_held(s, held.get(kind), mine))
    return count


def find_orphans(s: Stores, most: int) -> Iterator[list[tuple[str, str]]]:
    """Find the verdicts on raw values that no row of the flow's mirror or witnesses holds; yields at most so many at a time.

    What is found may be written again before it is forgotten: `forget_verdicts` looks once more.
    """
    held = _select_held(s)
    kinds = [str(kind) for (kind,) in s.target.execute("SELECT DISTINCT kind FROM ferry.standardized ORDER BY 1")]
    for kind in kinds:
        query = SQL(
            "SELECT v.raw FROM ferry.standardized v WHERE v.kind = {} AND NOT EXISTS (SELECT FROM ({}) u WHERE u.raw = v.raw)"
        ).format(Literal(kind), held.get(kind, _NONE))
        # They stay at the server, and outlive the commits in between.
        with s.target.cursor("orphans", withhold=True) as found:
            found.execute(query)
            while rows := found.fetchmany(most):
                raws = [raw for (raw,) in rows]
                told = _find_told(s, kind, raws)
                if left := [(kind, raw) for raw in raws if raw not in told]:
                    yield left


def _select_held(s: Stores) -> dict[str, Composed]:
    """Compose the SELECT of all raw values that rows of the mirror and of witnesses hold, by the kind of the verdict on them."""
    kinds: dict[str, list[Composed]] = {}
    tables = mirror.load(s.target)
    for wanted in {w for unit in s.route.units for w in unit.standardize}:
        if wanted.table in tables:
            held = Identifier("ferry", name_witness(wanted.table)) if wanted.of_witness else tables[wanted.table].view
            kinds.setdefault(wanted.kind, []).append(
                SQL("SELECT ({})::text AS raw FROM {}").format(SQL(wanted.expression), held)
            )
    return {kind: SQL(" UNION ALL ").join(parts) for kind, parts in kinds.items()}


def _find_held(s: Stores, held: Composed | None, raws: Sequence[str]) -> set[str]:
    """Find which of these raw values of one kind rows hold; `held` selects those that rows of the flow hold."""
    if not raws or held is None:
        return set()
    query = SQL("SELECT DISTINCT u.raw FROM ({}) u WHERE u.raw = ANY(%s)").format(held)
    return {raw for (raw,) in s.target.execute(query, (list(raws),)).fetchall()}


def _find_told(s: Stores, kind: str, raws: Sequence[str]) -> set[str]:
    """Find which of these raw values of the closed store the open one still judges: legacy has those verdicts from there.

    By them the way back leaves legacy's own values as they are, which stand in legacy's tables and not in its mirror.
    """
    if not s.route.reverse:
        return set()
    rows = s.source.execute("SELECT raw FROM ferry.standardized WHERE kind = %s AND raw = ANY(%s)", (kind, list(raws)))
    return {raw for (raw,) in rows.fetchall()}


def forget_pairs(s: Stores, entity: str, accounts: Sequence[str]) -> int:
    """Delete the pairs of these accounts, with what was decided of them, and merge what that changes."""
    keys = [int(a) for a in accounts if a.isdecimal()]
    if s.route.reverse or not keys:
        return 0
    s.merger.stage(s.route.units)
    with s.target.transaction():
        live = {p for p, state, _ in phases.lock(s.target, s.route.name) if state.live}
        s.merger.hold()
        changed = Identifier("pg_temp", name_changed_table(PAIR))
        if any(source.relation == PAIR for unit in s.route.units for source in unit.sources):
            count = pairs.forget(s.target, s.route.base_name, entity, keys, changed)
            s.merger.propagate([u for u in s.route.units if u.phase in live], {PAIR})
            return count
    return 0


def forget_overflow(s: Stores, keys: Keys) -> int:
    """Delete the texts of their rows that legacy is too short for."""
    count = 0
    for relation, mine in keys.items():
        store, _, table = relation.partition(".")
        if store == ("legacy" if s.route.reverse else "shop"):
            entity = f"public.{table}" if s.route.reverse else f"{s.route.shop_schema}.{table}"
            count += s.target.execute(
                "DELETE FROM ferry.kept WHERE entity = %s AND array_to_string(key, '/') = ANY(%s)", (entity, mine)
            ).rowcount
    return count
