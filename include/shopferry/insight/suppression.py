"""Whom a recipient must let go, and whom its lists must never hold.

A recipient that takes hashes gets those of all who refuse. One that takes addresses gets them only of people that it was handed
before: nobody's address is handed over to say that it may not be used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from shopferry.control import activations
from shopferry.db import Connection
from shopferry.insight.activation_file import Activation
from shopferry.insight.formats import Leaver
from shopferry.insight.permission import Permission

Key = tuple[str, str]  # of a member: the customer's key and the address's mark


def find_suppressed(
    activation: Activation, permission: Permission, known: Iterable[Key], present: Collection[Key]
) -> dict[Key, str | None]:
    """Find whom the recipient's lists must not hold: who is known there and may be no more, or refuses.

    `known` are all that it was ever handed, `present` those who may be with it now. An address that is there for another
    customer, who may be written to, is none of them. Returns the address of each, as far as the shop has it.
    """
    marks = {mark for _, mark in present if mark}
    gone = {key for key in known if key not in present and key[1] not in marks}
    if activation.format.hashed:
        for customer, person in permission.people.items():
            mark = person.find_mark(permission.channel)
            if mark and mark not in marks and permission.bars(customer):
                gone.add((customer, mark))
    return {key: permission.addresses.get(key[1]) for key in sorted(gone)} if gone else {}


def list_leavers(shop: Connection, found: dict[Key, str | None]) -> list[Leaver]:
    """List whom to let go, with the addresses that they were handed over with.

    One that the shop has no more is looked up among our verdicts. Where these have it no more either, the recipient
    knows the person by the customer's number, which it was handed, too.
    """
    lost = [mark for (_, mark), address in found.items() if mark and not address]
    verdicts = activations.find_addresses(shop, lost) if lost else {}
    return [Leaver(customer, address or verdicts.get(mark)) for (customer, mark), address in found.items()]


def list_suppressed(shop: Connection, found: Mapping[Key, str | None], staying: Collection[str]) -> list[Leaver]:
    """List whom the recipient's lists must never hold.

    `staying` are the customers whom the recipient has after the run: a suppression that could name one of them by the number
    alone would take out the address of now. That they leave with the old one was told before.
    """
    return [one for one in list_leavers(shop, dict(found)) if one.address or one.customer_id not in staying]
