"""Layer 2: shop = mapping(mirror), by the very SELECT that merges. No batch runs ahead meanwhile, so one snapshot
of the shop's database compares them exactly while everything goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.control.differences import Difference
from shopferry.control.preexisting import is_prior
from shopferry.db import Connection
from shopferry.engine.references import STILL_REFERENCED
from shopferry.engine.statements import load_columns, row_key, select_keys_between
from shopferry.engine.writes import RESERVED, compose_difference, good_rows, load_casts, target_of
from shopferry.keys import key_range, key_ranges, key_text
from shopferry.route.entities import EntityMapping
from shopferry.verify.checksums import Part

# Rows of a mapping's sources and its target compared at once: the tables that a SELECT joins are read from their beginning for
# each range, but what differs in one is to have room in memory. Planner costs that look ranges up instead were tried: what they
# saved of a million customers, they cost a hundred times at one mapping of a small shop.
RANGE = 3_000_000
KEYS = 100_000  # aggregate keys named at once
_SAMPLE = 100  # of so many rows one tells where ranges end: to sort the keys of three million orders takes seconds


def compare(target: Connection, mapping: EntityMapping, after: Sequence[object] | None = None) -> Iterator[Part]:
    """Compare one entity, from behind an aggregate key on; each range in a repeatable-read transaction of its own."""
    every = min(_SAMPLE, RANGE)
    some = SQL(
        "(SELECT DISTINCT key FROM ({} UNION ALL SELECT {} FROM {} WHERE {}) u WHERE key IS NOT NULL AND random() * {} < 1)"
    ).format(
        select_keys_between(mapping, after, None),
        Identifier(mapping.scope),
        target_of(mapping),
        key_range([mapping.scope], after, None),
        Literal(every),
    )
    for first, high in key_ranges(target, some, ["key"], RANGE // every):
        low = first or after
        with target.transaction():
            target.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            _affect(target, mapping, select_keys_between(mapping, low, high))
            rows, found = _compare(target, mapping, key_range([mapping.scope], low, high))
            if high is None:
                found += _strangers(target, mapping)
        yield Part(rows, found, high)


def compare_keys(target: Connection, mapping: EntityMapping, aggregates: Sequence[str]) -> list[Difference]:
    """Compare what these aggregate keys yield, with the values, in a repeatable-read transaction of its own."""
    with target.transaction():
        target.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _affect(target, mapping, select_keys_between(mapping, None, None), empty=True)
        kind = load_columns(target, "pg_temp.affected")["key"]
        keys = SQL("{}::{}[]").format(Literal(sorted(set(aggregates))), SQL(kind))
        target.execute(SQL("INSERT INTO pg_temp.affected SELECT unnest({})").format(keys))
        return _compare(target, mapping, SQL("{} = ANY({})").format(Identifier(mapping.scope), keys))[1]


def find_stale(target: Connection, mapping: EntityMapping, keys: Composed) -> list[str]:
    """Find the aggregate keys, among these and all that the target has, of which it holds other rows than the mapping yields."""
    with target.transaction():
        target.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        standing = SQL("{} UNION ALL SELECT {} FROM {}").format(keys, Identifier(mapping.scope), target_of(mapping))
        _affect(target, mapping, standing)
        yields = _yield(target, mapping)
        names = [n for n in yields if n not in RESERVED]
        rows = target.execute(
            SQL(
                "SELECT DISTINCT coalesce(y.{scope}, t.{scope})::text FROM (SELECT * FROM pg_temp.yielded y WHERE {good}) y "
                "FULL JOIN {target} t ON {same} WHERE {differ} ORDER BY 1"
            ).format(
                scope=Identifier(mapping.scope),
                good=good_rows(yields),
                target=target_of(mapping),
                same=SQL(" AND ").join(SQL("t.{0} = y.{0}").format(Identifier(k)) for k in mapping.key),
                differ=compose_difference(names, load_casts(target, mapping.entity), "t", "y"),
            )
        ).fetchall()
        return [key for (key,) in rows]


def _affect(target: Connection, mapping: EntityMapping, keys: Composed, *, empty: bool = False) -> None:
    target.execute(
        SQL(
            "CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL {}"
        ).format(keys, SQL("WITH NO DATA" if empty else ""))
    )


def _yield(target: Connection, mapping: EntityMapping) -> list[str]:
    """Fill the temp table `yielded` with what the mapping yields for the keys in `affected`; returns its columns."""
    target.execute("ANALYZE pg_temp.affected")
    target.execute(SQL("CREATE TEMP TABLE yielded ON COMMIT DROP AS {}").format(SQL(mapping.body)))
    target.execute("ANALYZE pg_temp.yielded")
    return list(load_columns(target, "pg_temp.yielded"))


def _compare(target: Connection, mapping: EntityMapping, within: Composable) -> tuple[int, list[Difference]]:
    """(rows of the shop, differences) of the keys in `affected` and of the shop's rows that the condition selects."""
    # What the database refused is in quarantine by its SQLSTATE although the mapping yields it, if it yields anything.
    target.execute(
        "DELETE FROM pg_temp.affected a USING ferry.quarantine q "
        "WHERE q.entity = %s AND q.key = a.key::text AND q.sqlstate IS NOT NULL",
        (mapping.entity,),
    )
    yields = _yield(target, mapping)
    found = _rows(target, mapping, yields, within) + _outcomes(target, mapping, yields)
    count = target.execute(SQL("SELECT count(*) FROM {} t WHERE {}").format(target_of(mapping), within)).fetchone()
    target.execute("DROP TABLE pg_temp.affected, pg_temp.yielded")
    return (int(count[0]) if count else 0), found


def _rows(target: Connection, mapping: EntityMapping, yields: Sequence[str], within: Composable) -> list[Difference]:
    casts = load_casts(target, mapping.entity)
    names = [n for n in yields if n not in RESERVED]
    rows = target.execute(
        SQL(
            "SELECT coalesce(nullif({key_y}, ''), {key_t}), "
            "CASE WHEN t.* IS NULL THEN 'missing' WHEN y.* IS NULL THEN 'extra' ELSE 'differs' END, "
            "coalesce(y.{scope}::text, t.{scope}::text), ARRAY[{wanted_texts}], ARRAY[{standing_texts}] "
            "FROM (SELECT * FROM pg_temp.yielded y WHERE {good}) y "
            "FULL JOIN (SELECT * FROM {target} WHERE {within}) t ON {same} "
            "WHERE {differ} AND NOT (y.* IS NULL AND ({prior} OR {held}))"
        ).format(
            key_y=key_text(mapping.key, "y"),
            key_t=key_text(mapping.key, "t"),
            good=good_rows(yields),
            within=within,
            target=target_of(mapping),
            scope=Identifier(mapping.scope),
            differ=compose_difference(names, casts, "t", "y"),
            prior=is_prior(mapping.entity, key_text(mapping.key, "t")),
            held=_is_held(mapping, SQL("t.{}::text").format(Identifier(mapping.scope))),
            same=SQL(" AND ").join(SQL("t.{0} = y.{0}").format(Identifier(k)) for k in mapping.key),
            wanted_texts=SQL(", ").join(SQL("({})::text").format(casts[c].format(Identifier("y", c))) for c in names),
            standing_texts=SQL(", ").join(SQL("t.{}::text").format(Identifier(c)) for c in names),
        )
    ).fetchall()
    found = []
    for key, kind, aggregate, theirs, ours in rows:
        if kind != "differs":
            found.append(Difference("shop", mapping.entity, key, kind, aggregate=aggregate))
            continue
        found += [
            Difference("shop", mapping.entity, key, kind, name, aggregate, expected, stands)
            for name, expected, stands in zip(names, theirs, ours, strict=True)
            if expected != stands
        ]
    return found


def _is_held(mapping: EntityMapping, key: Composable) -> Composed:
    """Compose the condition that the rows of an aggregate key stand in the target only because others reference them."""
    return SQL("EXISTS (SELECT FROM ferry.quarantine w WHERE w.entity = {} AND w.key = {} AND w.reasons @> {})").format(
        Literal(mapping.entity), key, Literal([STILL_REFERENCED])
    )


def _outcomes(target: Connection, mapping: EntityMapping, yields: Sequence[str]) -> list[Difference]:
    """A problem that is not in quarantine, a quarantined row that has no problem any more; and so of rows left out."""
    left_out = "CASE WHEN cardinality(y.problems) = 0 THEN y.left_out END" if "left_out" in yields else "NULL::text"
    rows = target.execute(
        SQL(
            "SELECT coalesce(y.row_key, q.row_key), coalesce(y.key, q.key), y.reasons, q.reasons, y.left_out, q.left_out "
            "FROM (SELECT {row_key}::text AS row_key, y.{scope}::text AS key, nullif(y.problems, '{{}}')::text AS reasons, "
            "             {left_out} AS left_out FROM pg_temp.yielded y "
            "      WHERE NOT ({good}) AND {row_key} IS NOT NULL) y "
            "FULL JOIN (SELECT row_key, key, h.reasons::text AS reasons, l.reason AS left_out "
            "           FROM (SELECT * FROM ferry.quarantine WHERE entity = {entity} AND sqlstate IS NULL AND {affected}) h "
            "           FULL JOIN (SELECT * FROM ferry.left_out WHERE entity = {entity} AND {affected}) l USING (row_key, key) "
            "          ) q USING (row_key) "
            "WHERE (y.reasons, y.left_out) IS DISTINCT FROM (q.reasons, q.left_out)"
        ).format(
            row_key=row_key(mapping),
            scope=Identifier(mapping.scope),
            entity=Literal(mapping.entity),
            left_out=SQL(left_out),
            good=good_rows(yields),
            affected=SQL(
                "key IN (SELECT a.key::text FROM pg_temp.affected a)"
            ),  # a full join lets no condition through
        )
    ).fetchall()
    found = []
    for key, aggregate, *pairs in rows:
        for column, expected, stands in (("reasons", *pairs[:2]), ("left_out", *pairs[2:])):
            if expected != stands:
                kind = "missing" if stands is None else "extra" if expected is None else "differs"
                found.append(Difference("quarantine", mapping.entity, key, kind, column, aggregate, expected, stands))
    return found


def _strangers(target: Connection, mapping: EntityMapping) -> list[Difference]:
    """Rows that no key leads to: of the shop without an aggregate key, of quarantine and rows left out with one there is not."""
    rows = target.execute(
        SQL("SELECT {} FROM {} t WHERE t.{} IS NULL AND NOT {}").format(
            key_text(mapping.key, "t"),
            target_of(mapping),
            Identifier(mapping.scope),
            is_prior(mapping.entity, key_text(mapping.key, "t")),
        )
    ).fetchall()
    found = [Difference("shop", mapping.entity, key, "extra") for (key,) in rows]
    held = target.execute(
        SQL(
            "SELECT h.row_key, h.key, h.what FROM ("
            "  SELECT row_key, key, 'reasons' AS what FROM ferry.quarantine WHERE entity = {0} "
            "  UNION ALL SELECT row_key, key, 'left_out' FROM ferry.left_out WHERE entity = {0}) h "
            "WHERE NOT EXISTS (SELECT FROM ({1}) k WHERE k.key::text = h.key) "  # NOT IN more keys than fit is quadratic
            "AND NOT ({2} AND EXISTS (SELECT FROM {3} t WHERE t.{4}::text = h.key))"
        ).format(
            Literal(mapping.entity),
            select_keys_between(mapping, None, None),
            _is_held(mapping, SQL("h.key")),
            target_of(mapping),
            Identifier(mapping.scope),
        )
    ).fetchall()
    return found + [Difference("quarantine", mapping.entity, row, "extra", what, key) for row, key, what in held]
