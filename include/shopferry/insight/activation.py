"""Hand a recipient what has changed since it was told last: leavers first, then who comes in or has changed.

What a run holds is frozen when it is drawn. Whether each of its people may still be written to is asked once more when it is
handed over. Nothing here may write to the shop; what was handed over is booked by keys and keyed marks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from shopferry.control import activations, locks, looks, mark_key, optouts, phases, routes
from shopferry.control.activations import Member, Run
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.errors import GateError, PhaseError
from shopferry.insight import handover, permission, selects, suppression
from shopferry.insight.activation_file import Activation
from shopferry.insight.formats import Row, Sheet, Value
from shopferry.insight.permission import Permission, Questions
from shopferry.insight.selects import NUMBER
from shopferry.insight.suppression import Key
from shopferry.route import settings as route_settings
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
        """Those whom the recipient does not have, or perhaps not: a run that was to hand them over was broken off."""
        return [k for k in self.present if k not in self.members or self.members[k].state != "in"]

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
            f"the recipient then has {len(self.present)}"
        )


def draw(shop: Connection, route: Route, asked: Questions, activation: Activation) -> Draft:
    """Draw what an activation would hand over, as the shop is now; changes nothing.

    Raises MappingError for a SELECT that does not run, or yields what the destination does not take, PhaseError while the
    shop is being filled.
    """
    require_ready(shop, route)
    with selects.at_one_moment(shop):
        columns = find_columns(shop, activation)
        allowed = permission.ask(shop, route, asked, activation.purpose, activation.channel)
        read = selects.read(
            shop, activation.select, columns, asked.filter_allowed(activation.purpose, activation.channel)
        )
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


def require_fresh(shop: Connection, route: Route) -> None:
    """Raise GateError where a list of opt-outs that route.toml names is older than a day and not waived by name.

    After the cutover nothing is imported any more: then the tools write their opt-outs into the new shop.
    """
    if routes.find_active(shop, route.base_name) != "legacy":
        return
    terms = route_settings.load(route.base_name).cutover
    late, _ = optouts.judge_ages(shop, route.base_name, terms.optout_sources, terms.optout_waived_by)
    if late:
        raise GateError(
            f"nothing is handed over: {'; '.join(late)}. Who has opted out since would be written to: `shopferry optout "
            f"import` a new export, no older than {optouts.MOST_HOURS} h"
        )


def hand_over(
    shop: Connection,
    route: Route,
    asked: Questions,
    drawn: Draft,
    folder: Path,
    *,
    who: str,
    why: str,
    approved_by: str | None,
) -> tuple[Draft, Run, list[Path]]:
    """Hand a draft over as files in a folder, and book it; returns what was handed over, and the files in their order.

    Who may no more be written to since it was drawn is left out, and leaves if the recipient has them. A run that is broken
    off is done again by the next. Raises GateError without fresh opt-outs, PhaseError without an approval of the first run,
    and while another session hands over the same.
    """
    activation = drawn.activation
    if not locks.try_activation(shop, route.base_name, activation.name):
        raise PhaseError(f"activation {activation.name} is handed over by somebody else now")
    require_fresh(shop, route)
    final = look_again(shop, route, asked, drawn)
    if final.first and not approved_by:
        raise PhaseError(
            f"this is the first run of {activation.name} to {activation.recipient}: {final.told}. Somebody has to approve "
            "it: run it again with --approve NAME"
        )
    staying = {customer for customer, _ in final.present}
    parcel = handover.pack(shop, activation, final.sheet, _list_rows(final), final.lost, final.suppressed, staying)
    run = Run(
        route.base_name,
        activation.name,
        activation.destination,
        activation.recipient,
        final.sheet.columns,
        who,
        approved_by,
        gained=len(final.gained),
        changed=len(final.changed),
        lost=len(final.lost),
        suppressed=len(final.suppressed),
        withheld=len(drawn.present.keys() - final.present.keys()),
    )
    sent = [
        Member(customer, mark, final.hashes[customer, mark], "failed")
        for customer, mark in (*final.gained, *final.changed)
    ]
    with shop.transaction():
        mark_key.record(shop, marks.require_same(shop))
        number = activations.begin(shop, run, sent)
        looks.book(shop, route.base_name, who, "activate run", why, {"ferry.activation_run": [str(number)]})
    files = handover.write(parcel, folder, f"{activation.name}-{number:06}")
    with shop.transaction():
        activations.end(shop, run, number, final.gone)
    return final, run, files


def look_again(shop: Connection, route: Route, asked: Questions, drawn: Draft) -> Draft:
    """Ask once more who of a draft may be written to; what each row says stays as it was drawn."""
    activation = drawn.activation
    with selects.at_one_moment(shop):
        allowed = permission.ask(shop, route, asked, activation.purpose, activation.channel)
        members = activations.load_members(shop, route.base_name, activation.name)
    had = {(m.customer_id, m.mark): m for m in members}
    return Draft(activation, drawn.sheet, drawn.rows, drawn.hashes, allowed, had)


def _list_rows(final: Draft) -> list[Row]:
    return [final.present[key] for key in (*final.gained, *final.changed)]
