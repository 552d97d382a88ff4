"""Erasing one person in the middle of a move: in the store that is open, then wherever the move has brought their data.

The order of the steps: their rows are noted in the ledger of both stores, which bars them from the mirrors; they are erased
in the open store, by one transaction, and the stream carries that like any other change; what sessions have written that had
read them before is erased there, too; what no mapping reaches is erased in the other store; our own copies are swept, the
topics trimmed; then everything is searched, and the certificate written. Each step may be broken off and is done again, or is
found done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from psycopg.sql import SQL

from shopferry.cdc import broker, proof
from shopferry.cdc.proof import await_applied, broker_ends
from shopferry.control import activations, backups, locks, mark_key, offsets, phases, requests, routes
from shopferry.control.erasures import Erased
from shopferry.control.phases import State
from shopferry.db import Connection, exists
from shopferry.engine import erased, marks, mirror
from shopferry.engine.pair import open_stores
from shopferry.errors import PhaseError, VerificationError
from shopferry.keys import key_text
from shopferry.privacy import behind, columns, copies, exports, held_files, person, search
from shopferry.privacy.copies import WitnessState
from shopferry.privacy.erasing import CONTACT, Erasure, erase_noted, execute, writing
from shopferry.route import personal
from shopferry.route.settings import STORES
from shopferry.settings import Settings, data_dir

PATIENCE_S = 60.0
_KEPT_UNTIL_CLOSED = [("ferry", "request_value")]
_VERDICTS = ("ferry", "standardized")
_AGAIN = frozenset({"erase what was written meanwhile", "await what came of it", "sweep our copies", "trim the topics"})
_FOLDERS = ("log", held_files.REPORTS, held_files.EXPORTS)


def run(settings: Settings, number: int, who: str, say: Callable[[str], None] = lambda _: None) -> Mapping[str, Any]:
    """Erase the person of a granted request, or go on where an earlier run was broken off; returns the certificate.

    A request that is done changes nothing. Raises ConfigError for what is missing, PhaseError while a phase is copied,
    VerificationError when values are still found in the end; the request goes on running then.
    """
    with open_stores(settings, "erasure") as stores:
        source, target, route = stores.source, stores.target, stores.route
        request = requests.load(target, route.name, number)
        if request.state == "done":
            say(f"request {number} is done since {request.closed:%Y-%m-%d %H:%M}: nothing to do")
            return request.certificate or {}
        if request.kind != "erasure" or request.state not in {"granted", "running"}:
            raise PhaseError(
                f"request {number} is {request.kind}, {request.state}: only a granted erasure runs "
                f"(`shopferry request decide {number} --grant`)"
            )
        if not locks.try_request(target, number):
            raise PhaseError(f"request {number} is run by somebody else now")
        behind.require_still(target, route.name, "an erasure")
        for conn in (target, *([source] if exists(source, "ferry.mark_key") else [])):
            mark_key.record(conn, marks.require_same(target))
        one = Erasure(settings, stores, number, person.load(route), routes.find_active(target, route.name))
        requests.begin(target, number)
        done = requests.load_steps(target, number)
        for name in list_left(done):
            say(name)
            done[name] = STEPS[name](one)
            requests.note_step(target, number, name, done[name])
        certificate = _write_certificate(one, who, done)
        with target.transaction():
            requests.close(target, number, certificate)
        return certificate


def _note_rows(one: Erasure) -> dict[str, Any]:
    """Note all their rows in both ledgers, and keep the values by which copies are found, until the request is closed."""
    counts = {}
    one.look_behind()
    for store in STORES:
        conn = one.connection(store)
        with conn.transaction():
            person.stage(conn, one.asked, store, one.persons[store])
            rows, contacts = _read_rows(one, conn, store, open_only=False)
        requests.keep_values(one.stores.target, one.number, [(CONTACT, v) for v in sorted(contacts)])
        one.note(rows)
        counts[store] = len(rows)
    for stores in copies.list_flows(one.stores):
        requests.keep_values(one.stores.target, one.number, copies.read_raws(stores, _keys_by_table(one)))
    return counts


def _read_rows(one: Erasure, conn: Connection, store: str, *, open_only: bool) -> tuple[list[Erased], set[str]]:
    """Read the staged person's rows: as the ledger notes them, and the values of their contact columns.

    `open_only` are those that are not erased yet.
    """
    rows, contacts = [], set()
    # A mirror holds fewer texts of a row than the store, so all of them together have another mark there.
    copied = {
        t.relation: erased.list_texts(t) for s in copies.list_flows(one.stores) for t in mirror.load(s.target).values()
    }
    for plan in one.plans[store]:
        query = SQL("SELECT {}, to_jsonb(t) FROM {} t JOIN {} p ON {} WHERE {}").format(
            key_text(plan.key, "t"),
            plan.name,
            plan.theirs,
            plan.matches,
            plan.is_open if open_only else SQL("true"),
        )
        for key, row in conn.execute(query).fetchall():
            contacts |= {str(row[c]) for c in plan.contacts if row[c]}
            if plan.statement:
                made = erased.mark_row(row, plan.texts, plan.contacts)
                made |= erased.mark_row(row, copied.get(plan.relation, ()), ())
                rows.append(Erased(plan.relation, key, made, plan.clear(row)))
    return rows, contacts


def _keys_by_table(one: Erasure) -> dict[str, list[str]]:
    """List the keys of their rows that the request has noted, by relation."""
    found: dict[str, list[str]] = {}
    plans = {plan.relation: plan for store in STORES for plan in one.plans[store]}
    for row in one.load_noted():
        if row.relation not in plans or not plans[row.relation].is_of_another(row):
            found.setdefault(row.relation, []).append(row.key)
    return found


def _erase_open(one: Erasure) -> dict[str, Any]:
    """Erase them in the store that is open, in one transaction; what was born since they were noted, too.

    Once more a while later: a session of the application that had read them may have written their rows, or an order, after that.
    """
    one.look_behind()
    with writing(one, one.open) as conn:
        person.stage(conn, one.asked, one.open, one.persons[one.open])
        # What is emptied already has no marks any more but of what may stay.
        rows, contacts = _read_rows(one, conn, one.open, open_only=True)
        counts = execute(conn, one.plans[one.open])
    requests.keep_values(one.stores.target, one.number, [(CONTACT, v) for v in sorted(contacts)])
    one.note(rows)
    return counts


def _erase_other(one: Erasure) -> dict[str, Any]:
    """Erase in the closed store what no mapping reaches there; nothing of it is carried back."""
    route = one.stores.route
    plans = one.plans[one.other]
    if one.other == "shop":  # there all but this comes from mappings
        plans = [p for p in plans if ".".join(p.table) not in route.entities]
    if not plans:
        return {}
    with writing(one, one.other) as conn:
        person.stage(conn, one.asked, one.other, one.persons[one.other])
        counts = execute(conn, plans)
    # What led to a row may be gone by now: the stream has taken the customer from the order.
    noted = {(row.relation, row.key): row for row in one.load_noted()}
    with writing(one, one.other) as conn:
        for plan in plans:
            counts.setdefault(plan.relation, {})["found by the ledger"] = erase_noted(conn, plan, noted)
    return counts


def _await(one: Erasure) -> dict[str, Any]:
    """Wait until the stream has carried the erasure, and what came of it."""
    s = one.stores
    states = {State(p.state) for p in phases.load_all(s.target, s.route.name)}
    if states <= {State.NEW}:
        return {}
    if len(copies.list_flows(one.stores)) > 1:  # the way back is armed, and mirrors what the way there makes of it
        proof.await_both(one.settings, PATIENCE_S)
        return {}
    with broker_ends(s, one.settings) as ends:
        return {"lsn": await_applied(s, ends, PATIENCE_S).lsn}


def _sweep(one: Erasure) -> dict[str, Any]:
    """Sweep our own copies: states in witnesses, verdicts that no live row holds, texts beside legacy, files for recipients."""
    keys, values = _keys_by_table(one), search.choose(one.searched)
    contacts = {plan.relation: plan.contacts for store in STORES for plan in one.plans[store]}
    judged = [v for v in requests.load_values(one.stores.target, one.number) if v[0] != CONTACT]
    counts: dict[str, Any] = {}
    for s in copies.list_flows(one.stores):
        # First noted, for an old event of such a row may come again, and would book its state again.
        one.note(_note_states(copies.find_states(s, values, contacts), keys, values, contacts))
        states = copies.forget_states(s, keys, values, contacts)
        raws = sorted({*judged, *copies.find_verdicts(s, values)})
        counts[s.names[1]] = {
            "states": states,
            "verdicts": copies.forget_verdicts(s, raws),
            "overflow": copies.forget_overflow(s, keys),
            "pairs": copies.forget_pairs(s, one.asked.identity, one.persons["legacy"]),
        }
    counts["files for recipients"] = exports.forget(data_dir() / held_files.EXPORTS, values)
    return counts


def _note_states(
    states: Iterable[WitnessState], keys: copies.Keys, values: Sequence[str], contacts: copies.Contacts
) -> list[Erased]:
    """Make of states that hold one of their values what the ledger notes, but for rows that it has as theirs.

    Such a row was theirs under a key that it has no more, or is somebody else's who had the value before them.
    """
    found: dict[tuple[str, str], Erased] = {}
    for state in states:
        relation = state.table.relation
        if state.key in keys.get(relation, ()):
            continue
        held = {c: None for c in contacts[relation] if any(v in str(state.said.get(c)).casefold() for v in values)}
        made = Erased(relation, state.key, erased.mark_row(state.said, (), held), held if state.standing else None)
        same = found.get((relation, state.key), made)
        clears = {**(made.clears or {}), **(same.clears or {})} if state.standing else None
        found[relation, state.key] = replace(made, marks=made.marks | same.marks, clears=clears)
    return list(found.values())


def _trim(one: Erasure) -> dict[str, Any]:
    """Trim the topics to what both directions have applied; tells how many partitions, or what keeps their records."""
    stays = "the embedded broker deletes no records: they stand until its next start"
    found: dict[str, Any] = {}
    for s in copies.list_flows(one.stores):
        settings = one.settings.reversed if s.route.reverse else one.settings
        applied = offsets.load(s.target, s.route.name)
        found[s.route.name] = len(applied) if broker.trim(settings, applied) else stays
    return found


def _search(one: Erasure) -> dict[str, Any]:
    """Search both stores and our files. Raises VerificationError when a value stands where the map does not keep it."""
    values = one.searched
    ours, theirs = columns.load_ours(), personal.load(one.stores.route)
    # The data map calls legacy's tables so wherever they stand, and a mirror's columns by what it mirrors.
    names = {"legacy": {"public": "legacy", "mirror": one.stores.route.shop_schema}, "shop": {"mirror": "legacy"}}

    def keeps(store: str) -> Callable[[str, str, str], bool]:
        def kept(within: str, table: str, column: str) -> bool:
            line = (ours if within == "ferry" else theirs).find(names[store].get(within, within), table, column)
            return line is not None and line.erase == "keep"

        return kept

    found: dict[str, int] = {}
    for store in STORES:
        counts = search.search_store(one.connection(store), values, keeps(store), [*_KEPT_UNTIL_CLOSED, _VERDICTS])
        found |= {f"{store}: {place}": n for place, n in counts.items()}
    for s in copies.list_flows(one.stores):
        # What a row still holds stands by chance in it, or the law keeps it, and its verdict must stay as long.
        if count := copies.count_orphans(s, search.choose(values)):
            found[f"{s.names[1]}: {'.'.join(_VERDICTS)}"] = count
    found |= search.search_files([data_dir() / folder for folder in _FOLDERS], values)
    if found:
        listed = ", ".join(f"{place} ({n})" for place, n in found.items())
        raise VerificationError(
            f"request {one.number}: values of the person still stand in {listed}; add what belongs to them to "
            f"{one.asked.where}, or what the law keeps to {personal.FILE}, and run the request again"
        )
    return {"values": len(values), "found": 0}


def _write_certificate(one: Erasure, who: str, done: Mapping[str, Any]) -> dict[str, Any]:
    """Write what was done, without a value: counts by table, what is kept till when, who must be told, which backups are left."""
    return {
        "request": one.number,
        "route": one.route,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": who,
        "open store": one.open,
        "steps": dict(done),
        "recipients to be told": [
            {
                "recipient": h.recipient,
                "activation": h.activation,
                "fields": list(h.fields),
                "handed over": h.first_sent.isoformat(timespec="seconds"),
                "told last": h.last_sent.isoformat(timespec="seconds"),
                "told to let go": h.let_go,
            }
            for h in activations.load_handed_over(one.stores.target, one.route, one.persons["shop"])
        ],
        "backups that still hold the person": [
            {
                "store": b.store,
                "taken": b.taken.isoformat(timespec="seconds"),
                "until": b.keep_until.isoformat(timespec="seconds"),
            }
            for b in backups.list_all(one.stores.target, one.route)
            if b.removed is None
        ],
    }


STEPS: Mapping[str, Callable[[Erasure], dict[str, Any]]] = {
    "note their rows": _note_rows,
    "erase in the open store": _erase_open,
    "await the stream": _await,
    "erase what was written meanwhile": _erase_open,
    "erase in the other store": _erase_other,
    "await what came of it": _await,
    "sweep our copies": _sweep,
    "trim the topics": _trim,
    "search": _search,
}


def list_left(done: Collection[str]) -> list[str]:
    """List the steps that a run has still to take.

    They are more after a search that has found something: that may have been written since.
    """
    again = _AGAIN if set(done) == STEPS.keys() - {"search"} else frozenset()
    return [name for name in STEPS if name not in done or name in again]
