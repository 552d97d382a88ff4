"""Hand a recipient what has changed since it was told last: leavers first, then who comes in or has changed.

Nothing here may write to the shop; what was handed over is booked by keys and keyed marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shopferry.control import activations, locks, looks, mark_key, optouts, routes
from shopferry.control.activations import Member, Run
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.errors import ConfigError, GateError, PhaseError
from shopferry.insight import handover, permission, push, selects, suppression
from shopferry.insight.activation import Draft
from shopferry.insight.handover import Parcel
from shopferry.insight.permission import Permission, Questions
from shopferry.insight.push import Load, Pushed, Receiver
from shopferry.insight.suppression import Key
from shopferry.route import settings as route_settings
from shopferry.route.route import Route


@dataclass(frozen=True)
class Outcome:
    """What a run has handed over; files where it went into a folder, else what the recipient did not take."""

    final: Draft
    run: Run
    files: Sequence[Path] = ()
    refused: int = 0  # members
    stuck: int = 0  # leavers that the recipient did not take note of: the next run tells it again

    @property
    def told(self) -> list[str]:
        """Tell what the recipient did not take, by numbers; nothing where it took all."""
        return [
            *(
                [f"{self.refused} people were refused by the recipient: they come again once their data has changed"]
                * bool(self.refused)
            ),
            *([f"{self.stuck} leavers were refused by the recipient: the next run tells it again"] * bool(self.stuck)),
        ]


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
    to: Path | Receiver,
    *,
    who: str,
    why: str,
    approved_by: str | None,
) -> Outcome:
    """Hand a draft over, as files in a folder or to the recipient's address on the web, and book it.

    Who may no more be written to since it was drawn is left out, and leaves if the recipient has them. A run that is broken
    off is done again by the next. Raises GateError without fresh opt-outs, PhaseError without an approval of the first run,
    and while another session hands over the same; ConfigError for an address where the destination takes files.
    """
    final = _prepare(shop, route, asked, drawn, to, approved_by)
    activation = final.activation
    keys = [*final.gained, *final.changed]
    packed = _pack(shop, final, keys, pushed=isinstance(to, Receiver))
    run = _describe(route, drawn, final, who, approved_by)
    sent = [Member(customer, mark, final.hashes[customer, mark], "failed") for customer, mark in keys]
    with shop.transaction():
        mark_key.record(shop, marks.require_same(shop))
        number = activations.begin(shop, run, sent)
        looks.book(shop, route.base_name, who, "activate run", why, {"ferry.activation_run": [str(number)]})
    files, pushed = list[Path](), Pushed()
    if isinstance(to, Receiver) and isinstance(packed, Load):

        def ask() -> Permission:
            return look_again(shop, route, asked, drawn).permission

        pushed = push.push(shop, to, run, number, activation.format, final.sheet, packed, ask)
    elif isinstance(to, Path) and isinstance(packed, Parcel):
        files = handover.write(packed, to, f"{activation.name}-{number:06}")
    with shop.transaction():
        if files:
            activations.book_all_taken(shop, number)
        activations.let_go(shop, run, number, [key for key in final.gone if key not in pushed.stuck])
        activations.end(shop, number, pushed.withheld)
    run = replace(run, withheld=run.withheld + pushed.withheld)
    return Outcome(final, run, files, pushed.refused, len(pushed.stuck))


def _prepare(
    shop: Connection, route: Route, asked: Questions, drawn: Draft, to: Path | Receiver, approved_by: str | None
) -> Draft:
    """Look once more at what was drawn, once nothing stands against handing it over; raises as `hand_over`."""
    activation = drawn.activation
    if isinstance(to, Receiver) and not activation.format.pushed:
        raise ConfigError(f"{activation.destination} takes files: hand {activation.name} over into a folder")
    if not locks.try_activation(shop, route.base_name, activation.name):
        raise PhaseError(f"activation {activation.name} is handed over by somebody else now")
    require_fresh(shop, route)
    final = look_again(shop, route, asked, drawn)
    if final.first and not approved_by:
        raise PhaseError(
            f"this is the first run of {activation.name} to {activation.recipient}: {final.told}. Somebody has to approve "
            "it: run it again with --approve NAME"
        )
    return final


def look_again(shop: Connection, route: Route, asked: Questions, drawn: Draft) -> Draft:
    """Ask once more who of a draft may be written to; what each row says stays as it was drawn."""
    activation = drawn.activation
    with selects.at_one_moment(shop):
        allowed = permission.ask(shop, route, asked, activation.purpose, activation.channel)
        members = activations.load_members(shop, route.base_name, activation.name)
    had = {(m.customer_id, m.mark): m for m in members}
    return Draft(activation, drawn.sheet, drawn.rows, drawn.hashes, allowed, had)


def _pack(shop: Connection, final: Draft, keys: Sequence[Key], *, pushed: bool) -> Parcel | Load:
    """Pack what a run hands over, as files or as what is pushed; `keys` are its members."""
    rows = [final.present[key] for key in keys]
    staying = {customer for customer, _ in final.present}
    if not pushed:
        return handover.pack(shop, final.activation, final.sheet, rows, final.lost, final.suppressed, staying)
    leavers = suppression.list_leavers(shop, dict(final.lost))
    listed = suppression.list_suppressed(shop, final.suppressed, staying)
    return Load(list(zip(final.lost, leavers, strict=True)), listed, list(zip(keys, rows, strict=True)))


def _describe(route: Route, drawn: Draft, final: Draft, who: str, approved_by: str | None) -> Run:
    activation = final.activation
    return Run(
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
