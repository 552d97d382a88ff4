"""One SQL file that the shop's own team can schedule when the move is over: it renews what is derived, without shopferry.

It holds the mappings' SELECTs as they are, the settings with their values, and the day of each run in the place of the clock.
"""

from __future__ import annotations

import re

from psycopg.sql import SQL, Composable, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine.statements import load_columns
from shopferry.engine.writes import RESERVED
from shopferry.errors import MappingError
from shopferry.insight.derived import select_all_keys
from shopferry.route.entities import CLOCK, SETTING, EntityMapping
from shopferry.route.route import Route

_OURS = re.compile(r"\b(ferry|legacy|clean)\.[a-z_]+")
_HEAD = """-- Counts {entities} together from the shop's other tables, as the move did it ({route}).
-- Run it once a day: psql -v ON_ERROR_STOP=1 -f FILE. It needs nothing but the shop's own tables, writes only what has changed,
-- and may be run as often as you like. The lines between segments are the values below.
BEGIN;
CREATE TEMP TABLE clock ON COMMIT DROP AS SELECT current_date AS as_of;
CREATE TEMP TABLE setting (name text PRIMARY KEY, value text NOT NULL) ON COMMIT DROP;
"""


def write(target: Connection, route: Route) -> str:
    """Write the file's text. Raises MappingError where a mapping reads what goes with shopferry, or a secret."""
    known = {s.name: s for s in route.settings}
    parts = [
        _HEAD.format(entities=", ".join(m.entity for m in route.derived), route=f"route {route.base_name}"),
    ]
    read = sorted({n for m in route.derived for n in re.findall(r"\bname\s*=\s*'([^']+)'", m.body) if n in known})
    for name in read:
        if known[name].secret:
            raise MappingError(f"setting {name!r} is a secret, and would stand in the file: derive nothing from it")
        line = SQL("INSERT INTO setting VALUES ({}, {});\n").format(Literal(name), Literal(known[name].value))
        parts.append(line.as_string(target))
    parts += [_write_mapping(target, mapping) for mapping in route.derived]
    return "".join([*parts, "COMMIT;\n"])


def _write_mapping(target: Connection, mapping: EntityMapping) -> str:
    body = re.sub(rf"\b{re.escape(CLOCK)}\b", "clock", mapping.body)
    body = re.sub(rf"\b{re.escape(SETTING)}\b", "setting", body)
    if left := _OURS.search(body):
        raise MappingError(f"{mapping.file}:{mapping.line}: reads {left[0]}, which goes with shopferry")
    names = [n for n in load_columns(target, f"pg_temp.yielded_{mapping.slug}") if n not in RESERVED]
    given: dict[str, Composable] = {
        "keys": select_all_keys(mapping),
        "body": SQL(body.rstrip().rstrip(";")),
        "entity": Identifier(*mapping.entity.split(".")),
        "names": SQL(", ").join(map(Identifier, names)),
        "key": SQL(", ").join(map(Identifier, mapping.key)),
        "same": SQL(" AND ").join(SQL("y.{0} = t.{0}").format(Identifier(k)) for k in mapping.key),
        "set": SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(n)) for n in names if n not in mapping.key),
        "ours": SQL(", ").join(SQL("t.{}").format(Identifier(n)) for n in names),
        "new": SQL(", ").join(SQL("excluded.{}").format(Identifier(n)) for n in names),
    }
    text = SQL(
        """
-- {entity}
CREATE TEMP TABLE affected ON COMMIT DROP AS
    SELECT DISTINCT key FROM (
    {keys}
    ) k WHERE key IS NOT NULL;
ANALYZE affected;
CREATE TEMP TABLE yielded ON COMMIT DROP AS
{body};
ANALYZE yielded;
DELETE FROM {entity} t WHERE NOT EXISTS (SELECT FROM yielded y WHERE {same} AND y.problems = '{{}}');
INSERT INTO {entity} AS t ({names})
    SELECT {names} FROM yielded WHERE problems = '{{}}'
    ON CONFLICT ({key}) DO UPDATE SET {set}
    WHERE ({ours}) IS DISTINCT FROM ({new});
DROP TABLE affected, yielded;
"""
    )
    return text.format(**given).as_string(target)
