"""The answer to an access request: all that is held on one person, as one encrypted zip of `person.json` and `person.html`.

The form of person.json is in docs/reference/person.schema.json.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyzipper

from shopferry.control import activations, backups, locks, looks, requests, routes
from shopferry.control.activations import HandedOver
from shopferry.control.requests import Request
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import PhaseError
from shopferry.pages.languages import Language
from shopferry.privacy import behind, columns, consents, export_page, held_files, person, told
from shopferry.privacy.holdings import Holdings, Rows
from shopferry.route import language as route_language
from shopferry.route import personal
from shopferry.route import settings as route_settings
from shopferry.route.personal import DataMap
from shopferry.route.route import Route, find_folder
from shopferry.route.settings import STORES
from shopferry.settings import Settings, data_dir

VERSION = "shopferry person 1"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # what nobody takes for another when it is read out
Document = dict[str, Any]


def run(
    settings: Settings,
    number: int,
    who: str,
    hand_over: Callable[[Path, str], None],
    say: Callable[[str], None] = lambda _: None,
) -> Mapping[str, Any]:
    """Export what is held on the person of a granted access request; returns the certificate, which holds no value.

    `hand_over` is given the file and its password, which is kept nowhere, before the request is closed: a run that dies before
    that is run again, with a new password. A request that is done changes nothing. Raises PhaseError for one that may not run.
    """
    with open_stores(settings, "access export") as stores:
        target, route = stores.target, stores.route
        request = requests.load(target, route.base_name, number)
        if request.state == "done":
            say(
                f"request {number} is done since {request.closed:%Y-%m-%d %H:%M}: nothing to do; open another for a new file"
            )
            return request.certificate or {}
        if request.kind != "access" or request.state not in {"granted", "running"}:
            raise PhaseError(
                f"request {number} is {request.kind}, {request.state}: only a granted access request is exported "
                f"(`shopferry request decide {number} --grant`)"
            )
        if not locks.try_request(target, number):
            raise PhaseError(f"request {number} is run by somebody else now")
        behind.require_still(target, route.name, "an answer")
        requests.begin(target, number)
        behind.name(stores, person.load(route), number)
        document, counts = collect(stores, request)
        with target.transaction():  # before there is a file: who opens it looks at all of the person
            persons = requests.load_persons(target, number)
            seen = {f"{store}.person": keys for store, keys in persons.items() if keys}
            looks.book(target, route.base_name, who, "request run", f"request {number}", seen)
        file, password = data_dir() / held_files.REQUESTS / f"{number}.zip", make_password()
        write(file, document, password, route_language.load(route.base_name))
        hand_over(file, password)
        certificate = _certify(request, route, who, document, counts)
        with target.transaction():
            requests.close(target, number, certificate)
        return certificate


def collect(stores: Stores, request: Request) -> tuple[Document, dict[str, int]]:
    """Collect what person.json says, as plain values, and how many rows of which table."""
    route = stores.route
    data_map, persons = personal.load(route), requests.load_persons(stores.target, request.id)
    holdings = Holdings(stores, person.load(route), data_map, persons)
    customers = holdings.asked.split("shop", persons["shop"]).get(person.PERSON, [])
    (legacy, of_legacy), (shop, of_shop) = (holdings.read_store(store) for store in STORES)
    moved = holdings.read_moved(legacy)
    active = routes.find_active(stores.target, route.name)
    tables = [*legacy, *shop]
    responsible = route_settings.load(route.base_name).responsible
    document = {
        "schema_version": VERSION,
        "request": _tell_request(request),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "responsible": {"owner": responsible.owner or None, "contact": responsible.contact or None},
        "accounts": persons,
        "open_store": active,
        "data": [_tell_rows(t, list(t.rows.values())) for t in tables if t.rows],
        "mirror": moved.mirror,
        "history": moved.history,
        "quarantine": moved.quarantine,
        "left_out": moved.left_out,
        "corrections": moved.corrections,
        "consents": _read_consents(stores, customers),
        "derived": {"joined": moved.joined, "compared": moved.compared, "concluded": [*of_legacy, *of_shop]},
        "recipients": _gather_recipients(
            tables, activations.load_handed_over(stores.target, route.base_name, customers)
        ),
        "copies": list(_list_copies(stores, data_map)),
        "requests": [_tell_request(r) for r in requests.load_of_same(stores.target, request.id)],
        "columns": {_name(t, c): told.describe(line) for t in tables if t.rows for c, line in t.told.lines.items()},
        "not_told": [
            {"column": _name(t, c), "why": why} for t in tables if t.rows for c, why in t.told.withheld.items()
        ],
        "provided_by_you": [made for t in tables if t.store == active and (made := _tell_provided(t))["rows"]],
    }
    counts = {f"{t.store}.{t.table}": len(t.rows) for t in tables if t.rows}
    return json.loads(_dump(document)), counts


def _name(table: Rows, column: str) -> str:
    return f"{table.store}.{table.table}.{column}"


def _tell_rows(table: Rows, rows: Sequence[Mapping[str, Any]]) -> Document:
    return {"store": table.store, "table": table.table, "rows": rows}


def _tell_provided(table: Rows) -> Document:
    rows = ({c: v for c, v in row.items() if c in table.told.provided and v is not None} for row in table.rows.values())
    return _tell_rows(table, [row for row in rows if row])


def _tell_request(request: Request) -> Document:
    return {
        "number": request.id,
        "kind": request.kind,
        "received": request.received,
        "due": request.due,
        "state": request.state,
        "decided_at": request.decided_at,
        "refusal": request.refusal,
        "closed": request.closed,
    }


def _read_consents(stores: Stores, keys: Iterable[str]) -> list[Document]:
    """Read the consents of these customers of the new shop, with every act and text; none where the route has no consents."""
    if not (find_folder(stores.route.name) / consents.FILE).exists():
        return []
    found = []
    for key in keys:
        with stores.target.transaction():
            stores.target.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if read := consents.find(stores.target, stores.route, key):
                found.append({k: v for k, v in asdict(read).items() if k != "route"})
    return found


def _gather_recipients(tables: Iterable[Rows], handed: Iterable[HandedOver]) -> list[Document]:
    """Gather who gets what outside the shop: as the data map says, and as activations have handed it over, with the days."""
    found: dict[str, Document] = {}

    def meet(recipient: str) -> Document:
        return found.setdefault(recipient, {"recipient": recipient, "columns": [], "handed_over": []})

    for table in tables:
        for column, line in table.told.lines.items():
            for recipient in line.recipients if table.rows else ():
                meet(recipient)["columns"].append(_name(table, column))
    for one in handed:
        told = {
            "by": one.activation,
            "fields": one.fields,
            "first": one.first_sent,
            "last": one.last_sent,
            "let_go": one.let_go,
        }
        meet(one.recipient)["handed_over"].append(told)
    return list(found.values())


def _list_copies(stores: Stores, data_map: DataMap) -> Iterable[Document]:
    """List the places that hold copies, each with its end; the values in them are those that are told already."""
    ours = columns.load_ours()
    verdicts, ledger = ours.find("ferry", "standardized", "raw"), ours.find("shopferry", "erased", "marks")
    assert verdicts and ledger
    move, terms = verdicts.keep, route_settings.load(stores.route.base_name).retention
    yield {
        "place": "mirror",
        "what": "the old shop's rows beside the new shop, which follow every change",
        "until": move,
    }
    yield {"place": "verdicts", "what": "values as you wrote them, and what was made of them", "until": move}
    if stores.route.witnessed:
        yield {"place": "witnesses", "what": "what stood in your consents and account before", "until": move}
    yield {
        "place": "topics of the message broker",
        "what": "changes of your rows on their way between the shops",
        "until": f"they are applied and swept, at the latest {terms.topics:g} days after they came",
    }
    for backup in (b for b in backups.list_all(stores.target, stores.route.base_name) if b.removed is None):
        yield {
            "place": f"backup {backup.id} of the old shop"
            if backup.store == "legacy"
            else f"backup {backup.id} of the new shop",
            "what": f"all of that shop as it was on {backup.taken:%Y-%m-%d}",
            "until": f"{backup.keep_until:%Y-%m-%d}, and as long as it is the newest that was tried",
        }
    yield {
        "place": "this file",
        "what": "a copy of it with us, encrypted",
        "until": f"{terms.exports:g} days after it was made",
    }


def make_password() -> str:
    """Make a password of 25 letters and digits in groups of five: 123 bits, to be read out or written down."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(5))


def write(file: Path, document: Document, password: str, language: Language) -> None:
    """Write the zip, AES-256, whole or not at all, for the account that runs this and nobody else."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = file.with_name(f".{file.name}.tmp")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as raw:
        with pyzipper.AESZipFile(raw, "w", pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as made:
            made.setpassword(password.encode())
            made.writestr("person.json", json.dumps(document, indent=2, ensure_ascii=False))
            made.writestr("person.html", export_page.render(document, language))
        raw.flush()
        os.fsync(raw.fileno())
    unfinished.replace(file)


def _certify(request: Request, route: Route, who: str, document: Document, counts: Mapping[str, int]) -> dict[str, Any]:
    """Write what was exported, without a value: counts by table, and the columns that were named alone."""
    now, days = datetime.now(UTC), route_settings.load(route.base_name).retention.exports
    return {
        "request": request.id,
        "route": route.base_name,
        "at": now.isoformat(timespec="seconds"),
        "by": who,
        "open store": document["open_store"],
        "file": f"{held_files.REQUESTS}/{request.id}.zip",
        "to be removed": str(now.date() + timedelta(days=days)),
        "rows": dict(counts),
        "beside them": {
            part: len(document[part])
            for part in ("mirror", "history", "quarantine", "left_out", "corrections", "consents", "requests")
        },
        "named, not told": {entry["column"]: entry["why"] for entry in document["not_told"]},
    }


def _dump(document: Document) -> str:
    return json.dumps(document, default=_make_plain)


def _make_plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)
