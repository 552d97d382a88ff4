"""Who may be written to at this moment, for one purpose by one channel: what the new shop says, and what we know besides.

The route says in `activation.sql` how the new shop is asked, by three queries: `people`, everybody with their addresses;
`audience`, whom the shop allows to be written to; `refused`, who has said no. No file of an activation or a campaign can allow
more. The grammar is in docs/howto/activation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import activations
from shopferry.control.optouts import CHANNELS
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.engine.standardize import standardize
from shopferry.errors import ConfigError
from shopferry.insight.selects import NUMBER, Select, read, require_once
from shopferry.route import headed
from shopferry.route.entities import IdentityMapping
from shopferry.route.route import Route, find_folder

FILE = "activation.sql"
BASES = ("consent", "soft_opt_in")
YIELDS: Mapping[str, tuple[str, ...]] = {
    "people": (NUMBER, "email", "phone"),
    "audience": (NUMBER, "purpose", "channel", "basis"),
    "refused": (NUMBER, "purpose", "channel"),
}
_BY_EMAIL = ("email",)
_BY_PHONE = ("sms", "phone")


@dataclass(frozen=True)
class Questions:
    """What the route's file says: its purposes, its queries, and the identity that joins legacy's accounts to customers."""

    where: Path
    identity: str | None
    purposes: tuple[str, ...]
    queries: Mapping[str, Select]

    def filter_allowed(self, purpose: str, channel: str) -> Composed:
        """Compose the condition that a row q is of a customer whom the shop allows to be written to."""
        return SQL("WHERE EXISTS (SELECT FROM ({}\n) a WHERE a.{} = q.{} AND {})").format(
            SQL(self.queries["audience"].text),
            Identifier(NUMBER),
            Identifier(NUMBER),
            _compose_meant(purpose, channel, "a"),
        )


@dataclass(frozen=True)
class Person:
    """One customer's addresses as they are compared: a lower-case e-mail, an E.164 number; None where there is none."""

    email: str | None
    phone: str | None

    def find_address(self, channel: str) -> str | None:
        """Return the address of a channel; by post it is in the file's own fields."""
        return self.email if channel in _BY_EMAIL else self.phone if channel in _BY_PHONE else None

    @cached_property
    def email_mark(self) -> str:
        """The mark of the e-mail; empty without one."""
        return marks.make(self.email) if self.email else ""

    @cached_property
    def phone_mark(self) -> str:
        """The mark of the number; empty without one."""
        return marks.make(self.phone) if self.phone else ""

    def find_mark(self, channel: str) -> str:
        """Return the mark of a channel's address; empty by post, and where there is no address."""
        return self.email_mark if channel in _BY_EMAIL else self.phone_mark if channel in _BY_PHONE else ""


@dataclass(frozen=True)
class Permission:
    """What holds at one moment for one purpose and channel; customers are named by their keys as texts."""

    channel: str
    people: Mapping[str, Person]
    bases: Mapping[str, str]  # on which basis whom the shop allows to be written to
    refusing: frozenset[str]  # who has said no to this, or objects to all of it
    frozen: frozenset[str]  # whose data may only be kept, or is to be erased
    opted_out: frozenset[str]  # marks of addresses that refuse, as other tools keep them

    def allows(self, customer: str) -> bool:
        """Tell whether a customer may be written to."""
        return customer in self.bases and not self.bars(customer)

    def bars(self, customer: str) -> bool:
        """Tell whether a customer must not be written to, whatever the shop's audience says.

        A refusal is of an address, too: who shares it with somebody who has refused is not written to there.
        """
        if customer in self.refusing or customer in self.frozen or customer not in self.people:
            return True
        person = self.people[customer]
        if person.find_mark(self.channel) in self._refusing_marks:
            return True
        return bool(self.opted_out) and not self.opted_out.isdisjoint((person.email_mark, person.phone_mark))

    @cached_property
    def _refusing_marks(self) -> frozenset[str]:
        found = (self.people[c].find_mark(self.channel) for c in self.refusing if c in self.people)
        return frozenset(mark for mark in found if mark)

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        """Every address that the shop has, by its mark."""
        return {marks.make(address): address for p in self.people.values() for address in (p.email, p.phone) if address}


def load(route: Route, root: Path | None = None) -> Questions:
    """Read `<route>/activation.sql`. Raises ConfigError when the route has none, MappingError for what is wrong in it."""
    file, where = find_folder(route.base_name, root) / FILE, Path(route.base_name, FILE)
    if not file.exists():
        raise ConfigError(
            f"route {route.name} has no {FILE}: write the queries {', '.join(YIELDS)} as docs/howto/activation.md says; "
            "nothing else knows who may be written to"
        )
    text = headed.read(file, where, ("identity", "purposes", "name"), divider="name")
    queries = {s.name: Select(where, s.line, s.text) for s in text.sections[1:]}
    for section in text.sections[1:]:
        if section.name not in YIELDS:
            raise text.error(section.line, f"query {section.name!r} is none of {', '.join(YIELDS)}")
    if missing := [name for name in YIELDS if name not in queries or not queries[name].text]:
        raise text.error(1, f"there is no query `-- name: {missing[0]}`")
    said = text.first("purposes")
    purposes = tuple(word.strip() for word in said.value.split(",") if word.strip())
    named = text.all("identity")
    known = [unit.identity for unit in route.units if isinstance(unit, IdentityMapping)]
    if named and named[0].value not in known:
        raise text.error(
            named[0].line, f"identity {named[0].value!r} is none of this route's: {', '.join(known) or 'none'}"
        )
    return Questions(where, named[0].value if named else None, purposes, queries)


def ask(shop: Connection, route: Route, asked: Questions, purpose: str, channel: str) -> Permission:
    """Ask who may be written to now, in the caller's transaction, which sees one moment.

    Raises MappingError for a query that does not run, or yields what it must not.
    """
    assert channel in CHANNELS
    meant = SQL("WHERE {}").format(_compose_meant(purpose, channel, "q"))
    people = read(shop, asked.queries["people"], YIELDS["people"][1:])
    require_once(asked.queries["people"], people)
    allowed = read(shop, asked.queries["audience"], ("basis",), meant)
    require_once(asked.queries["audience"], allowed)
    for customer, basis in allowed:
        if basis not in BASES:
            raise asked.queries["audience"].error(f"basis of customer {customer} is neither {' nor '.join(BASES)}")
    refused = {c for (c,) in read(shop, asked.queries["refused"], (), meant)}
    refused |= activations.load_barred(shop, route.base_name, asked.identity, activations.OBJECTING)
    return Permission(
        channel,
        {c: Person(_standardize_email(email), _standardize_phone(phone)) for c, email, phone in people},
        dict(allowed),
        frozenset(refused),
        frozenset(activations.load_barred(shop, route.base_name, asked.identity, activations.FROZEN)),
        frozenset(activations.load_opted_out(shop, route.base_name, channel)),
    )


def _compose_meant(purpose: str, channel: str, alias: str) -> Composed:
    return SQL("{a}.purpose::text = {p} AND {a}.channel::text = {c}").format(
        a=Identifier(alias), p=Literal(purpose), c=Literal(channel)
    )


def _standardize_email(raw: str | None) -> str | None:
    """Make an e-mail what its mark is made of; one that no mapping would take is compared in small letters."""
    return (standardize("email", raw).value or raw.strip().lower() or None) if raw else None


def _standardize_phone(raw: str | None) -> str | None:
    if not raw or (raw.startswith("+") and raw[1:].isdecimal()):
        return raw or None
    return standardize("phone", f"|{raw}").value or raw
