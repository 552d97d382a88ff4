"""Draw what an activation would hand a recipient now: who comes in, who has changed, who leaves. Nothing here writes.

What a draft says is frozen. Whether each of its people may still be written to is asked once more when it is handed over
(`delivery`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property

from psycopg.sql import SQL

from shopferry.control import activations, phases, routes
from shopferry.control.activations import Member
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.errors import PhaseError
from shopferry.insight import permission, segments, selects, suppression
from shopferry.insight.activation_file import Activation
from shopferry.insight.formats import Row, Sheet, Value
from shopferry.insight.permission import Permission, Questions
from shopferry.insight.selects import NUMBER
from shopferry.insight.suppression import Key
from shopferry.route.route import Route

_FILLED = {State.IN_SYNC, State.VERIFIED, State.CUT_OVER}
_BETWEEN = {State.COPYING, State.MERGING}


@dataclass(frozen=True)
class Draft:
    """What one activation would hand over as it stands at one moment; `rows` are all who may be told of then."""

    activation: Activation
    sheet: Sheet
    rows: Mapping[Key, Row]
    hashes: Mapping[Key, str]  # keyed, of all that a row says
    permission: Permission
    members: Mapping[Key, Member]  # whom the recipient has, had, or may have

    @cached_property
    def present(self) -> dict[Key, Row]:
        """The rows of those who may be written to, at the address of the row; one address comes once."""
        found: dict[Key, Row] = {}
        taken: set[str] = set()
        for key, row in self.rows.items():
            customer, mark = key
            person = self.permission.people.get(customer)
            if not person or not self.permission.allows(customer):
                continue
            if person.find_mark(self.activation.channel) != mark or mark in taken:
                continue
            found[key] = row
            taken |= {mark} if mark else set()
        return found

    @cached_property
    def gained(self) -> list[Key]:
        """Those whom the recipient does not have, or perhaps not: a run that was to hand them over was broken off.

        Who was refused comes again once what is said of them has changed.
        """
        return [
            k
            for k in self.present
            if k not in self.refused and (k not in self.members or self.members[k].state != "in")
        ]

    @cached_property
    def refused(self) -> set[Key]:
        """Those whom the recipient does not take, as they still are."""
        had = {k: m for k, m in self.members.items() if m.state == "refused"}
        return {k for k in self.present if k in had and had[k].row_hash == self.hashes[k]}

    @cached_property
    def changed(self) -> list[Key]:
        """Those whom the recipient has otherwise."""
        had = {k: m for k, m in self.members.items() if m.state == "in"}
        return [k for k in self.present if k in had and had[k].row_hash != self.hashes[k]]

    @cached_property
    def gone(self) -> list[Key]:
        """Those whom the recipient has, or perhaps has, and may have no more."""
        return [k for k, m in self.members.items() if m.state != "out" and k not in self.present]

    @cached_property
    def suppressed(self) -> dict[Key, str | None]:
        """Those whom the recipient's lists must not hold, with their addresses, as far as the shop has them."""
        return suppression.find_suppressed(self.activation, self.permission, self.members, self.present)

    @property
    def lost(self) -> dict[Key, str | None]:
        """Those whom the recipient must be told to let go now."""
        return {k: self.suppressed[k] for k in self.gone if k in self.suppressed}

    @property
    def first(self) -> bool:
        """Whether the recipient was never handed anything by it."""
        return not self.members

    @property
    def told(self) -> str:
        """Who would come and go, in one clause."""
        return (
            f"{len(self.gained)} people come in, {len(self.changed)} have changed, {len(self.lost)} leave; "
            f"the recipient then has {len(self.present) - len(self.refused)}"
        )


def draw(shop: Connection, route: Route, asked: Questions, activation: Activation) -> Draft:
    """Draw what an activation would hand over, as the shop is now; changes nothing.

    Raises MappingError for a SELECT that does not run, or yields what the destination does not take, PhaseError while the
    shop is being filled.
    """
    require_ready(shop, route)
    schema = route.shop_schema
    with selects.at_one_moment(shop):
        segments.require_known(shop, schema, activation)
        columns = find_columns(shop, activation)
        allowed = permission.ask(shop, route, asked, activation.purpose, activation.channel)
        meant = asked.filter_allowed(activation.purpose, activation.channel)
        if activation.segment:
            meant += SQL(" AND ") + segments.compose_within(schema, activation.segment)
        read = selects.read(shop, activation.select, columns, meant)
        selects.require_once(activation.select, read)
        rows = dict(_make_rows(activation, columns, allowed, read))
        members = activations.load_members(shop, route.base_name, activation.name)
    hashes = {k: marks.make(json.dumps([row.basis, *columns, *row.fields])) for k, row in rows.items()}
    sheet = Sheet(columns, activation.purpose, activation.channel)
    return Draft(activation, sheet, rows, hashes, allowed, {(m.customer_id, m.mark): m for m in members})


def find_columns(shop: Connection, activation: Activation) -> tuple[str, ...]:
    """Find the columns that go to the destination. Raises MappingError where they are not what it takes."""
    columns = selects.find_columns(shop, activation.select)
    if NUMBER not in columns:
        raise activation.select.error(f"yields no column {NUMBER}")
    told = tuple(c for c in columns if c != NUMBER)
    if fault := activation.format.find_fault(activation.channel, told):
        raise activation.select.error(fault)
    return told


def _make_rows(
    activation: Activation, columns: Sequence[str], allowed: Permission, read: Sequence[Sequence[object]]
) -> Iterator[tuple[Key, Row]]:
    """Make the rows of those who may be written to. An address that is not the customer's own is refused."""
    form, select = activation.format, activation.select
    column = form.address.get(activation.channel)
    for customer, *values in read:
        number = str(customer)
        if not allowed.allows(number):
            continue
        fields = tuple(_make_plain(v) for v in values)
        person = allowed.people[number]
        address = person.find_address(activation.channel)
        if column:
            handed = fields[columns.index(column)]
            if not address or not isinstance(handed, str) or handed.strip().lower() != address.lower():
                raise select.error(
                    f"column {column!r} of customer {number} is not the address that query `people` has of them: who is "
                    "written to at another person's address has not agreed to it"
                )
        row = Row(number, address, allowed.bases[number], fields)
        if long := form.find_too_long(columns, row):
            raise select.error(
                f"column {long!r} of customer {number} is longer than the {form.longest} bytes that {form.name} takes: cut it"
            )
        yield (number, person.find_mark(activation.channel)), row


def _make_plain(value: object) -> Value:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value)
    return str(value)


def is_filled(shop: Connection, route: Route) -> bool:
    """Tell whether some phase has filled the new shop: before, there is nobody to be written to. Works before `phase init`."""
    if not routes.is_installed(shop):
        return False
    return any(State(p.state) in _FILLED for p in phases.load_all(shop, route.base_name))


def require_ready(shop: Connection, route: Route) -> None:
    """Raise PhaseError where nobody can say who may be written to: before a phase is through, and while one is copied.

    Raises ConfigError without the key of marks.
    """
    marks.require_same(shop)
    states = {p.phase: State(p.state) for p in phases.load_all(shop, route.base_name)}
    if moving := [phase for phase, state in states.items() if state in _BETWEEN]:
        raise PhaseError(f"phase {moving[0]} is {states[moving[0]]}: refusals may be missing, wait until it is in sync")
    if not _FILLED & set(states.values()):
        raise PhaseError("no phase has filled the new shop: there is nobody to be written to")
