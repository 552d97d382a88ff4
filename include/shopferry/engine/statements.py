"""The SQL that merges one unit, composed once from its mapping and from what the catalogue says of its target.

A unit has temp tables in each session that merges it: `affected_<unit>` (key) and `yielded_<unit>`, what its SELECT yields
for those keys; `before_<unit>`, where others read its entity. Between transactions they are empty. They outlive transactions
because making them for each batch again cost more than all merging, and because the statements over them can then be prepared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.control import identity, quarantine
from shopferry.db import Connection
from shopferry.engine import changes, constraints, references
from shopferry.engine.constraints import Follower
from shopferry.engine.references import Reference
from shopferry.engine.writes import (
    RESERVED,
    Writes,
    find_numbered,
    good_rows,
    load_casts,
    target_of,
)
from shopferry.errors import MappingError
from shopferry.keys import key_range, key_text, name_or_expression
from shopferry.route.entities import SETTING, Counts, EntityMapping, IdentityMapping, Source, Unit, name_witness
from shopferry.route.route import Route


@dataclass(frozen=True)
class Statements:
    """One unit's statements, as text; `writes` are run in their order, `refused` counts keys refused before."""

    affected: Identifier
    yielded: Identifier
    key_type: str
    take: str  # the changed rows' keys into `affected`; yields their number
    fill: str  # what the SELECT yields for them into `yielded`
    settle: str  # quarantine and left-out rows; yields how many of the keys the database had refused before
    writes: tuple[str, ...]  # delete, update, insert; of an identity: lock, before, leave, join, after
    empty: str
    note_touched: str  # the affected keys as touched, where the unit is being loaded or, %s, merged behind a batch
    select_noted: str  # all that are noted of the unit
    take_noted: str  # those of them up to a number, %s, into `affected`; yields how many came
    deferrable: tuple[Identifier, ...]  # the target's constraints that are checked at commit
    held: Identifier | None = None  # where others read the entity: its rows as they were before a merge
    before: str | None = None  # note its rows under the affected keys there
    moved: str | None = None  # and those of what is yielded that still stand under another key
    after: str | None = None  # and note as changed those that are not as they were
    park: tuple[str, ...] = ()  # let go of unique values that change: where two rows change places
    follow: str | None = None  # note the aggregates that a foreign key touches when rows are deleted
    follow_all: str | None = None  # the same where all rows of the affected keys are
    followers: frozenset[str] = frozenset()  # the units whose aggregates these are
    take_followed: str | None = None  # where it follows others: those of its own that were noted into `affected`
    forget_followed: str | None = None
    references: tuple[Reference, ...] = ()  # the foreign keys that hold rows of its target
    free: str | None = None  # yields the keys that wait as still referenced and may go now
    find_standing: str = ""  # yields a row where one of the affected keys has rows in the target
    insert: str = ""  # every good row, where none of the affected keys has any
    reads_more: bool = False  # it may read more than its header declares
    lineage_reads: frozenset[str] | None = (
        None  # entities, to find whom events affect; None: perhaps more than is known
    )


def stage(conn: Connection, route: Route, unit: Unit, followers_of: Mapping[str, tuple[Follower, ...]]) -> Statements:
    """Make sure of the unit's temp tables in this session and compose its statements; `followers_of` is of each entity.

    Raises MappingError where the SELECT does not yield what its header or its target needs.
    """
    affected, yielded = Identifier("pg_temp", f"affected_{unit.slug}"), Identifier("pg_temp", f"yielded_{unit.slug}")
    select = SQL("WITH affected AS (TABLE {}) SELECT * FROM ({}) y").format(affected, SQL(unit.body))
    _stage_tables(conn, unit, select)
    key_type = load_columns(conn, f"pg_temp.affected_{unit.slug}")["key"]
    fill = SQL("INSERT INTO {} {}").format(yielded, select)
    empty = SQL("WITH a AS (DELETE FROM {}) DELETE FROM {}").format(affected, yielded)
    known = {"ferry.identity" if s.is_identity else s.relation for s in unit.sources} | {"ferry.standardized", SETTING}
    witnesses = {f"ferry.{name_witness(table)}": f"{unit.schema}.{table}" for table, _ in unit.witness}
    known |= set(witnesses)
    reads = changes.find_columns_read(conn, select, frozenset(known), frozenset(m.entity for m in route.mappings))
    for booked, relation in witnesses.items():  # a new state comes with a change of that column
        if reads is not None and relation in reads:
            reads[relation] += reads[booked]
    take = compose_take(affected, _select_changed_keys(unit, reads))
    settle: Composable = SQL("SELECT 0")
    note_touched = SQL(
        "INSERT INTO ferry.touched (route, unit, key, ahead) SELECT {}, {}, key::text, %s FROM {}"
    ).format(Literal(route.name), Literal(unit.name), affected)
    select_noted = SQL("SELECT key::{} FROM ferry.touched WHERE route = {} AND unit = {}").format(
        SQL(key_type), Literal(route.name), Literal(unit.name)
    )
    take_noted = SQL(
        "WITH noted AS (DELETE FROM ferry.touched WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM ferry.touched WHERE route = {} AND unit = {} AND no <= %s)) RETURNING key), "
        "found AS (INSERT INTO {} SELECT key::{} FROM noted EXCEPT SELECT key FROM {} RETURNING key) "
        "SELECT count(*) FROM found"
    ).format(Literal(route.name), Literal(unit.name), affected, SQL(key_type), affected)
    find_standing: Composable = SQL("")
    insert: Composable = SQL("")
    deferrable: tuple[Identifier, ...] = ()
    held = before = moved = after = follow = follow_all = take_followed = forget_followed = free = None
    park: list[Composed] = []
    followers: frozenset[str] = frozenset()
    holding: tuple[Reference, ...] = ()
    if isinstance(unit, IdentityMapping):
        _require_whole_keys(conn, unit)
        stage_changed(conn, unit.relation, unit.changed)
        changed = Identifier("pg_temp", unit.changed)
        writes = identity.compose_resolution(
            unit.identity,
            unit.sequence,
            unit.text,
            affected=affected,
            wanted=yielded,
            changed=changed,
            keys_given=_gives_keys(conn, unit),
        )
    else:
        assert isinstance(unit, EntityMapping)
        names = list(load_columns(conn, f"pg_temp.yielded_{unit.slug}"))
        casts = _load_casts(conn, unit, names)
        settle = quarantine.compose_settlement(
            unit.entity,
            affected=affected,
            outcome=_select_outcome(unit, yielded, names),
            loose=key_type if changes.find_loose(conn, f"pg_temp.affected_{unit.slug}", ["key"]) else None,
        )
        loose = changes.find_loose(conn, unit.entity, unit.key)
        rows = Writes(
            unit, yielded, casts, tuple(names), tuple(loose), tuple(find_numbered(conn, unit.entity, unit.key))
        )
        writes = rows.compose(affected)
        insert = rows.compose_plain_insert()
        find_standing = SQL("SELECT FROM {} t JOIN {} a ON t.{} = a.key LIMIT 1").format(
            target_of(unit), affected, Identifier(unit.scope)
        )
        deferrable = _find_deferrable(conn, unit)
        holding = references.find_references(conn, unit.entity)
        free = references.compose_free(unit, key_type, holding, route)
        park = constraints.compose_parking(conn, rows) + constraints.compose_leaving_first(conn, rows)
        following = followers_of.get(unit.entity, ())
        constraints.stage(conn, following)
        followers = frozenset(u.name for u in constraints.list_followers(following))
        follow, follow_all = (
            s.as_string(conn) if s else None
            for s in (
                constraints.compose_following(unit, affected, condition, following)
                for condition in (rows.compose_leaving(), SQL("true"))
            )
        )
        if any(unit in constraints.list_followers(f) for f in followers_of.values()):
            followed = constraints.name_followed(unit)
            noted = SQL("SELECT key FROM {} EXCEPT SELECT key FROM {}").format(followed, affected)
            take_followed = compose_take(affected, noted).as_string(conn)
            forget_followed = SQL("DELETE FROM {}").format(followed).as_string(conn)
        if any(s.relation == unit.entity for u in route.units for s in u.sources):
            held = Identifier("pg_temp", f"before_{unit.slug}")
            before, after = (s.as_string(conn) for s in _compose_notes(conn, unit, affected, held))
            moved = m.as_string(conn) if (m := _compose_moved_note(rows, held)) else None
    return Statements(
        affected,
        yielded,
        key_type,
        take.as_string(conn),
        fill.as_string(conn),
        settle.as_string(conn),
        tuple(w.as_string(conn) for w in writes),
        empty.as_string(conn),
        note_touched.as_string(conn),
        select_noted.as_string(conn),
        take_noted.as_string(conn),
        deferrable,
        held,
        before,
        moved,
        after,
        tuple(p.as_string(conn) for p in park),
        follow,
        follow_all,
        followers,
        take_followed,
        forget_followed,
        holding,
        free.as_string(conn) if free else None,
        find_standing.as_string(conn),
        insert.as_string(conn),
        reads is None,
        _find_entities_in_lineage(conn, unit, route),
    )


def _find_entities_in_lineage(conn: Connection, unit: Unit, route: Route) -> frozenset[str] | None:
    """Find the entities that the lineage of what events change reads; None if it may read more than the catalogue names."""
    entities = {m.entity for m in route.mappings}
    found: set[str] = set()
    for source in unit.sources:
        if source.lineage is None or source.is_entity or source.is_ours:
            continue
        read = changes.find_read(conn, _keys_of(source, None), unit.schema)
        if read is None:
            return None
        found |= read & entities
    return frozenset(found)


def _require_whole_keys(conn: Connection, unit: IdentityMapping) -> None:
    given = load_columns(conn, f"pg_temp.yielded_{unit.slug}").get("legacy_key")
    if given not in ("smallint", "integer", "bigint"):
        raise MappingError(
            f"{unit.file}:{unit.line}: identity {unit.identity} joins rows whose keys are whole numbers, and its legacy_key "
            f"is {given or 'not yielded'}: map such tables without an identity"
        )


def _gives_keys(conn: Connection, unit: IdentityMapping) -> bool:
    """Tell whether an identity's SELECT yields the shop keys, too. Raises MappingError where another way is named for them."""
    kind = load_columns(conn, f"pg_temp.yielded_{unit.slug}").get("shop_key")
    if kind is None:
        return False
    if kind not in ("smallint", "integer", "bigint") or unit.sequence or unit.text:
        raise MappingError(
            f"{unit.file}:{unit.line}: identity {unit.identity} yields shop_key, so that is a whole number, and the header "
            "names neither a sequence nor a text"
        )
    return True


def _stage_tables(conn: Connection, unit: Unit, select: Composed) -> None:
    """Make sure of the temp tables of the unit's sources, of its keys, and of what `select` yields for these."""
    for source in unit.sources:
        stage_changed(conn, source.relation, source.changed)
    conn.execute(
        SQL("CREATE TEMP TABLE IF NOT EXISTS {} AS SELECT key FROM ({}) k WITH NO DATA").format(
            Identifier(f"affected_{unit.slug}"), select_keys_between(unit, None, None)
        )
    )
    conn.execute(
        SQL("CREATE TEMP TABLE IF NOT EXISTS {} AS {} WITH NO DATA").format(Identifier(f"yielded_{unit.slug}"), select)
    )


def _compose_notes(
    conn: Connection, unit: EntityMapping, affected: Identifier, held: Identifier
) -> tuple[Composed, Composed]:
    """Compose what notes an entity's rows under the affected keys before a merge, and what notes after it those that changed."""
    table = target_of(unit)
    conn.execute(
        SQL("CREATE TEMP TABLE IF NOT EXISTS {} AS TABLE {} WITH NO DATA").format(
            Identifier(f"before_{unit.slug}"), table
        )
    )
    stage_changed(conn, unit.entity, unit.changed)
    scope = SQL("JOIN {} a ON a.key = t.{}").format(affected, Identifier(unit.scope))
    noted = changes.compose_note(Identifier("pg_temp", unit.changed), load_columns(conn, unit.entity), unit.key, table)
    before = SQL("INSERT INTO {} SELECT t.* FROM {} t {}").format(held, table, scope)
    after = SQL("WITH b AS (DELETE FROM {} RETURNING *), n AS MATERIALIZED (SELECT t.* FROM {} t {}) {}").format(
        held, table, scope, noted
    )
    return before, after


def _compose_moved_note(rows: Writes, held: Identifier) -> Composed | None:
    """Compose what notes, once its SELECT is filled in, the good rows that stand under other keys than the affected ones.

    They come from other aggregates, and who read them there must see them go. None where the key tells the aggregate.
    """
    unit = rows.unit
    if unit.scope in unit.key:
        return None
    # NOT IN is hashed however large the planner believes the temp tables to be.
    return SQL(
        "INSERT INTO {} SELECT t.* FROM {} y JOIN {} t ON {} "
        "WHERE {} AND (ROW({}) NOT IN (SELECT {} FROM {} b)) IS NOT FALSE"
    ).format(
        held,
        rows.yielded,
        target_of(unit),
        rows.same,
        rows.good,
        SQL(", ").join(rows.cast[k] for k in unit.key),
        SQL(", ").join(Identifier("b", k) for k in unit.key),
        held,
    )


def stage_changed(conn: Connection, relation: str, name: str) -> None:
    """Make sure of the temp table that holds a relation's changed rows as they were before and as they are after."""
    rows: Composable = SQL("SELECT {} FROM ferry.identity").format(identity.COLUMNS)
    if not relation.startswith("identity."):
        rows = SQL("SELECT * FROM {}").format(Identifier(*relation.split(".")))
    changes.stage(conn, name, rows)


def load_columns(conn: Connection, relation: str) -> dict[str, str]:
    """Load the columns of a relation, each with its type; empty when there is no such relation."""
    return dict(
        conn.execute(
            """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum""",
            (relation,),
        ).fetchall()
    )


def compose_take(affected: Identifier, keys: Composable) -> Composed:
    """Compose what puts these keys into `affected` and yields their number."""
    return SQL(
        "WITH found AS (INSERT INTO {} SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL RETURNING key) "
        "SELECT count(*) FROM found"
    ).format(affected, keys)


def _select_changed_keys(unit: Unit, reads: dict[str, list[str]] | None) -> Composed:
    """Compose a SELECT of the keys that the changed rows of any source affect, given the columns that the unit's SELECT reads."""
    keys = [_keys_of(s, None if reads is None else reads.get(s.relation)) for s in unit.sources]
    return Composed(keys).join(" UNION ALL ")


def _keys_of(source: Source, reads: list[str] | None) -> Composed:
    changed = changes.select_touching(Identifier("pg_temp", source.changed), reads)
    if source.column:
        return SQL("SELECT {} AS key FROM ({}) c").format(name_or_expression(source.column), changed)
    return SQL("SELECT key FROM (WITH changed AS ({}) {}) AS lineage (key)").format(changed, SQL(str(source.lineage)))


def select_keys_between(unit: Unit, low: Sequence[object] | None, high: Sequence[object] | None) -> Composed:
    """Compose a SELECT of the aggregate keys in a range, from every source whose column is the key, and its witness."""
    selects = []
    for source in unit.simple_sources:
        column = str(source.column)
        within = key_range([column], low, high)
        if source.is_identity:
            within = SQL("entity = {} AND {}").format(Literal(source.name), within)
            relation = Identifier("ferry", "identity")
        else:
            relation = Identifier(unit.schema, source.name)
        relations = [relation]
        if any(table == source.name and column in names for table, names in unit.witness):
            relations.append(Identifier("ferry", name_witness(source.name)))
        selects += [
            SQL("SELECT {} AS key FROM {} WHERE {}").format(name_or_expression(column), r, within) for r in relations
        ]
    return SQL(" UNION ALL ").join(selects)


def row_key(unit: EntityMapping) -> Composed:
    """What names a row of `yielded y` in quarantine: the legacy id where the entity counts one, else its key."""
    if unit.counts:
        return counted_key(unit.counts, "y")
    return key_text(unit.key, "y")


def counted_key(counts: Counts, alias: str) -> Composed:
    """Compose the legacy key that a row of the target, or one that its mapping yields, accounts for."""
    if counts.expression.isidentifier():
        return SQL("{}.{}").format(SQL(alias), Identifier(counts.expression))
    return SQL("(SELECT {} FROM (SELECT {}.*) AS counted)").format(SQL(counts.expression), SQL(alias))


def compose_passing_over(unit: EntityMapping, yielded: Identifier) -> Composed:
    """Compose what takes from `yielded` the rows that neither wait in quarantine nor are left out."""
    known = SQL(" AND ").join(
        SQL("NOT EXISTS (SELECT FROM {} k WHERE k.entity = {} AND k.row_key = {}::text)").format(
            Identifier("ferry", table), Literal(unit.entity), row_key(unit)
        )
        for table in ("quarantine", "left_out")
    )
    return SQL("DELETE FROM {} y WHERE {}").format(yielded, known)


def _select_outcome(unit: EntityMapping, yielded: Identifier, names: Sequence[str]) -> Composed:
    """Compose a SELECT of (row_key, key, reasons, left_out) of every yielded row that may not enter the shop."""
    left_out = "CASE WHEN cardinality(y.problems) = 0 THEN y.left_out END" if "left_out" in names else "NULL::text"
    return SQL(
        "SELECT {row_key}::text AS row_key, y.{scope}::text AS key, "
        "CASE WHEN cardinality(y.problems) > 0 THEN y.problems END AS reasons, {left_out} AS left_out "
        "FROM {yielded} y WHERE NOT ({good}) AND {row_key} IS NOT NULL"
    ).format(
        row_key=row_key(unit),
        scope=Identifier(unit.scope),
        left_out=SQL(left_out),
        yielded=yielded,
        good=good_rows(names),
    )


def _load_casts(conn: Connection, unit: EntityMapping, names: Sequence[str]) -> dict[str, SQL]:
    """Load the cast to the target's type of each column that the mapping yields."""
    casts = load_casts(conn, unit.entity)
    if not casts:
        raise MappingError(f"{unit.file}:1: entity {unit.entity} does not exist in the new shop")
    if taken := [c for c in RESERVED if c in casts]:
        # Else its values would stand where reason codes do, which are shown to everybody.
        raise MappingError(
            f"{unit.file}:1: {unit.entity} has a column {taken[0]}, by which a mapping says why a row may not enter: "
            "give that column another name"
        )
    for needed in ("problems", unit.scope, *unit.key):
        if needed not in names:
            raise MappingError(f"{unit.file}:{unit.line}: the SELECT yields no column {needed!r}")
    for column in names:
        if column not in RESERVED and column not in casts:
            raise MappingError(f"{unit.file}:{unit.line}: {unit.entity} has no column {column!r}")
    return casts


def _find_deferrable(conn: Connection, unit: EntityMapping) -> tuple[Identifier, ...]:
    rows = conn.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND condeferrable ORDER BY 1",
        (unit.entity,),
    ).fetchall()
    return tuple(Identifier(unit.entity.split(".")[0], r[0]) for r in rows)
